// Input: a number is dragged, moved by keys or typed; a number that is pointed at or focused says how it is made.

"use strict";

npse.input = (() => {
  const PIXELS = 5;                            // of a drag change a number by one step
  const DECIMALS = 1;                          // of a number after a step
  const STEP = 0.1, LARGE_STEP = 1;
  const {LIMIT} = npse.state;

  const placeOf = one => [one.dataset.name, one.dataset.index.split(",").map(Number)];
  const stepped = (value, steps) => Number((value + steps).toFixed(DECIMALS));
  const isYours = one => one?.classList.contains("yours");
  const cellAt = event => event.target.closest?.(".cell");

  let drag = null;

  function endDrag() {
    drag?.one.classList.remove("dragged");
    drag = null;
  }

  // `change(name, index, value)` and `point(cell or null)` are told what a reader does.
  function listen(root, {change, point}) {
    const moved = (one, value) => change(...placeOf(one), value);

    root.addEventListener("pointerdown", event => {
      const one = cellAt(event);
      if (!isYours(one) || event.button !== 0 || one.firstElementChild) return;
      drag = {one, from: event.clientX, value: Number(one.dataset.value)};
      one.classList.add("dragged");
      one.focus({preventScroll: true});
      event.preventDefault();
    });
    root.addEventListener("pointermove", event => {
      if (drag && !event.buttons) endDrag();             // it ended outside of the window
      if (!drag) return;
      const steps = Math.trunc((event.clientX - drag.from) / PIXELS);
      if (steps) drag.began = true;
      if (drag.began) moved(drag.one, steps ? stepped(drag.value, steps * STEP) : drag.value);
    });
    for (const end of ["pointerup", "pointercancel"]) {
      root.addEventListener(end, endDrag);
    }
    root.addEventListener("dblclick", event => { if (isYours(cellAt(event))) type(cellAt(event), moved); });

    root.addEventListener("keydown", event => {
      const one = cellAt(event);
      if (!one || event.target.tagName === "INPUT" || event.ctrlKey || event.metaKey || event.altKey) return;
      if (isYours(one) && /^[-.\d]$/.test(event.key)) type(one, moved, event.key);
      else if (isYours(one) && event.key === "Enter") type(one, moved, one.dataset.value);
      else if (!key(one, event, moved)) return;
      event.preventDefault();
    });

    root.addEventListener("focusin", event => {
      const one = cellAt(event);
      if (one) makeTabStop(one);
      point(one);
    });
    root.addEventListener("pointerover", event => { if (!drag && cellAt(event)) point(cellAt(event)); });
    root.addEventListener("pointerout", event => {
      if (!drag && cellAt(event)) point(document.activeElement.closest(".cell"));
    });
  }

  // Up and down change a number of the reader's; all other arrows go to a neighbour in the grid.
  function key(one, event, moved) {
    const step = event.shiftKey ? LARGE_STEP : STEP, value = Number(one.dataset.value);
    const changes = {ArrowUp: () => stepped(value, step), ArrowDown: () => stepped(value, -step),
                     PageUp: () => stepped(value, LARGE_STEP), PageDown: () => stepped(value, -LARGE_STEP),
                     Home: () => -LIMIT, End: () => LIMIT};
    if (isYours(one) && event.key in changes) moved(one, changes[event.key]());
    else return go(one, event.key);
    return true;
  }

  function go(one, direction) {
    const cells = [...one.parentElement.children], here = cells.indexOf(one);
    const columns = Number(one.parentElement.style.getPropertyValue("--columns")) || 1;
    const next = cells[here + {ArrowLeft: -1, ArrowRight: 1, ArrowUp: -columns, ArrowDown: columns}[direction]];
    next?.focus();
    return Boolean(next);
  }

  // A grid is one stop of the Tab key: the number that was focused last.
  function makeTabStop(one) {
    for (const other of one.parentElement.querySelectorAll(".cell")) other.tabIndex = other === one ? 0 : -1;
  }

  // Replace a number by a field to type in; Enter or leaving the field takes the number, Escape does not.
  function type(one, moved, text = one.dataset.value) {
    const label = one.getAttribute("aria-label");
    const field = npse.view.element("input", {inputmode: "decimal", "aria-label": label, value: text});
    one.replaceChildren(field);
    field.focus();
    field.setSelectionRange(text.length, text.length);
    let over = false;
    const finish = taken => {
      if (over) return;
      over = true;
      const value = Number(field.value.trim().replace("−", "-").replace(",", "."));
      const isNumber = field.value.trim() !== "" && Number.isFinite(value);
      field.remove();
      moved(one, taken && isNumber ? value : Number(one.dataset.value));
    };
    field.addEventListener("blur", () => finish(true));
    field.addEventListener("keydown", event => {
      if (event.key !== "Enter" && event.key !== "Escape") return;
      finish(event.key === "Enter");
      one.focus();
      event.preventDefault();
      event.stopPropagation();
    });
  }

  return {listen};
})();
