// The page: it holds the state, computes all numbers of it, and hands them to the view.

"use strict";

npse.page = (() => {
  const {state: states, block, judge, view} = npse;
  const JUDGED = ["u", "w1", "w2", "w", "x"];
  const {find} = view;

  let state, values, pointed = null, timer = 0;

  // All numbers of a state, by name.
  function computed(state) {
    const found = {...state, ...block.forward(state)};
    if (!state.backward) return found;
    Object.assign(found, block.backward(state.dy, state, found));
    found.verdicts = Object.fromEntries(JUDGED.map(name =>
      [name, judge.check(name, found[`d${name}`], state, found.u, state.dy)]));
    found.numeric = block.nested(found.verdicts.u.values, block.shape(found.u));
    return found;
  }

  function show(next, problem = "") {
    find("#problem").textContent = problem;
    find("#problem").hidden = !problem;
    state = next;
    values = computed(state);
    view.draw(values);
    fillControls();
    if (pointed && !pointed.isConnected) pointed = null;
    view.point(pointed, values);
  }

  // The state of an address; a wrong one is reported, and the example is shown.
  function open(hash) {
    let next = states.start(), problem = "";
    try {
      next = states.read(hash.replace(/^#/, ""));
    } catch (error) {
      problem = `This address cannot be read: ${error.message}. The example is shown.`;
    }
    show(next, problem);
  }

  // After a small change the address is replaced, once the reader pauses; a large one can be undone with "back".
  const address = () => `#${states.written(state)}`;
  function keep() {
    clearTimeout(timer);
    timer = setTimeout(() => history.replaceState(null, "", address()), 300);
  }
  function jump(next) {
    clearTimeout(timer);
    history.replaceState(null, "", address());
    show(next);
    history.pushState(null, "", address());
  }

  // controls

  function fillControls() {
    const C = states.filtersOf(state), M = states.hiddenOf(state), ratio = Number((C / M).toFixed(2));
    find(`#filters [value="${C}"]`).checked = true;
    find("#hidden").max = C;
    find("#hidden").value = M;
    find("#reduction").textContent = `${M}, r = C/M = ${ratio}`;
    find("#gate").value = state.gate;
    find("#backward").setAttribute("aria-pressed", state.backward);
  }

  function makeControls() {
    for (const C of states.FILTERS) {
      const choice = view.element("input", {type: "radio", name: "filters", value: C});
      find("#filters").append(view.element("label", {}, choice, ` ${C}`));
      choice.addEventListener("change", () => jump(states.resized(state, C, Math.min(C, states.hiddenOf(state)))));
    }
    for (const gate of Object.keys(block.gates)) find("#gate").append(view.element("option", {value: gate}, gate));
    find("#hidden").addEventListener("input", event =>
      jump(states.resized(state, states.filtersOf(state), Number(event.target.value))));
    find("#gate").addEventListener("change", event => jump({...state, gate: event.target.value}));
    find("#backward").addEventListener("click", () => {
      jump({...state, backward: !state.backward});
      if (state.backward) find("#paths").scrollIntoView({block: "nearest"});
    });
    find("#squeeze-path").addEventListener("change", event => jump({...state, squeezePath: event.target.checked}));
    find("#restart").addEventListener("click", () => jump(states.start()));
    for (const link of document.querySelectorAll(".try a")) {
      link.addEventListener("click", event => {
        event.preventDefault();
        jump(states.read(link.hash.slice(1)));
        find("main").scrollIntoView();
      });
    }
    find("#controls").addEventListener("submit", event => event.preventDefault());
  }

  function begin() {
    makeControls();
    open(location.hash);
    npse.input.listen(document, {
      change(name, index, value) { show(states.changed(state, name, index, value)); keep(); },
      point(one) { pointed = one; view.point(one, values); },
    });
    addEventListener("hashchange", () => open(location.hash));
  }

  return {begin, open, JUDGED, values: () => values};
})();

npse.page.begin();
