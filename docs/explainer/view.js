// Drawing: cells for all numbers, laid out once for each size of the block, then filled with values.
//
// A cell is an element with data-name, data-index and data-value; its text is data-value, rounded.

"use strict";

npse.view = (() => {
  const {range, flat, shape} = npse.block;
  const {explain, shown} = npse.explain;
  const YOURS = ["x", "w", "w1", "w2", "dy"];
  const OF_ONE_PICTURE = ["w", "w1", "w2", "dw", "dw1", "dw2"];     // arrays without an axis N
  const WORDS = {
    x: "picture", w: "filters", u: "maps", z: "means", a1: "before the ReLU", h: "hidden units", a2: "before the gate",
    s: "gates", y: "output", direct: "through scale", through: "through squeeze", du: "their sum",
    numeric: "finite difference", w1: "weights", w2: "weights",
  };
  const still = matchMedia("(prefers-reduced-motion: reduce)");

  const find = selector => document.querySelector(selector);
  const sub = k => String(k + 1).replace(/\d/g, digit => "₀₁₂₃₄₅₆₇₈₉"[digit]);
  const sup = c => "¹²"[c];

  function element(tag, attributes = {}, ...children) {
    const made = document.createElement(tag);
    for (const [name, value] of Object.entries(attributes)) {
      if (name === "html") made.innerHTML = value;                   // texts of this file only
      else made.setAttribute(name, value);
    }
    made.append(...children);
    return made;
  }

  // cells

  // The name of a number as in the code of the book, such as u[0, 1, 0, 1].
  const codeName = (name, index) => `${{direct: "du", through: "du", numeric: "numeric du"}[name] || name}[${
    [...OF_ONE_PICTURE.includes(name) ? [] : [0], ...index].join(", ")}]`;

  function cell(name, index) {
    const label = `${codeName(name, index)}${WORDS[name] ? `, ${WORDS[name]}` : ""}`;
    const place = {"data-name": name, "data-index": index.join(","), tabindex: "-1"};
    if (!YOURS.includes(name)) {
      return element("button", {...place, type: "button", class: "cell", "data-label": label});
    }
    return element("span", {...place, class: "cell yours", role: "spinbutton", "aria-label": label,
                            "aria-valuemin": -npse.state.LIMIT, "aria-valuemax": npse.state.LIMIT});
  }

  // A grid of numbers with a title: rows of places, such as [[[0, 0], [0, 1]], ...].
  function grid(name, title, places, kind = "") {
    const numbers = element("div", {class: "grid", role: "group", style: `--columns: ${places[0].length}`,
                                    "aria-label": title.replace(/<[^>]*>/g, "")},
                            ...places.flat().map(index => cell(name, index)));
    numbers.firstChild.tabIndex = 0;
    return element("figure", {class: `array ${kind}`}, element("figcaption", {html: title}), numbers);
  }

  const square = (rows, columns, rest) => range(rows).map(i => range(columns).map(j => [i, j, ...rest]));
  const matrix = (rows, columns) => range(rows).map(i => range(columns).map(j => [i, j]));
  const column = size => range(size).map(k => [[k]]);
  const map = (name, k, title, kind) => grid(name, title, square(2, 2, [k]), kind);

  const lane = (...parts) => element("div", {class: "lane"}, ...parts);
  const sign = text => element("span", {class: "sign", "aria-hidden": "true"}, text);
  const agreement = () => element("span", {class: "sign", "data-agreement": ""});

  // sections: their lanes, with gradients if `back`

  // An array and below it its gradient.
  const pair = (back, name, title, places) => element("div", {class: "pair"}, grid(name, title, places),
    ...back ? [grid(`d${name}`, `d${title}`, places, "grad")] : []);

  const sections = {
    convolution(C, M, back) {
      const picture = c => pair(back, "x", `<i>x</i>${sup(c)}`, square(3, 3, [c]));
      const kernel = (c, k) => pair(back, "w", `<i>w</i>${sub(k)}${sup(c)}`, square(2, 2, [c, k]));
      const filter = k => lane(kernel(0, k), kernel(1, k), sign("→"), map("u", k, `<i>u</i>${sub(k)}`));
      return [lane(picture(0), picture(1)), element("div", {class: "filters"}, ...range(C).map(filter))];
    },

    squeeze: (C, M, back) => range(C).map(k => lane(
      pair(back, "z", `<i>z</i>${sub(k)}`, [[[k]]]), element("p", {class: "sum", "data-sum": k}))),

    excitation: (C, M, back) => [
      lane(pair(back, "w1", "<i>w</i>₁", matrix(M, C)), sign("→"),
           pair(back, "a1", "<i>a</i>₁", column(M)), sign("→"), pair(back, "h", "<i>h</i>", column(M))),
      lane(pair(back, "w2", "<i>w</i>₂", matrix(C, M)), sign("→"),
           pair(back, "a2", "<i>a</i>₂", column(C)), sign("→"), pair(back, "s", "<i>s</i>", column(C))),
    ],

    scale: (C, M, back) => range(C).map(k => lane(
      element("p", {class: "times"}, element("span", {html: `<i>s</i>${sub(k)} · <i>u</i>${sub(k)} =`}),
              element("span", {class: "gauge", "data-gauge": k})),
      map("y", k, `<i>y</i>${sub(k)}`), ...back ? [map("dy", k, `d<i>y</i>${sub(k)}`, "grad")] : [])),

    paths: (C, M, back) => range(back ? C : 0).map(k => lane(
      map("direct", k, `d<i>y</i>${sub(k)} · <i>s</i>${sub(k)}`, "direct"), sign("+"),
      map("through", k, `d<i>z</i>${sub(k)} / <i>HW</i>`, "through"), sign("="),
      map("du", k, `d<i>u</i>${sub(k)}`, "whole"), agreement(), map("numeric", k, "measured"))),
  };

  // The judge's table: a row for each gradient.
  function verdicts() {
    const rows = npse.page.JUDGED.map(name => element("li", {"data-verdict": name},
      element("span", {class: "mark", "aria-hidden": "true"}), element("span", {class: "says"}),
      element("span", {class: "error"}, "relative error ",
              element("button", {type: "button", class: "cell", "data-name": "error", "data-index": name,
                                 "aria-label": `relative error of d${name}`}))));
    find("#judge .verdicts").replaceChildren(element("ul", {}, ...rows));
  }

  function build(values) {
    for (const [id, draw] of Object.entries(sections)) {
      find(`#${id} .numbers`).replaceChildren(...draw(...shape(values.w2), values.backward));
    }
    find("#judge .verdicts").replaceChildren();
    if (values.backward) verdicts();
    for (const part of document.querySelectorAll("section.back, .formula.back")) part.hidden = !values.backward;
  }

  // filling

  let built = "", cells = [];                 // the kind of what is laid out, and its cells

  function draw(values) {
    const kind = [...shape(values.w1), values.backward].join(" ");
    const isNew = kind !== built;
    if (isNew) {
      build(values);
      cells = [...document.querySelectorAll(".grid .cell")];
    }
    built = kind;
    const scales = {};                             // of each array: its largest number, which is drawn darkest
    for (const one of cells) {
      const {name} = one.dataset;
      scales[name] ??= Math.max(...flat(values[name]).map(Math.abs)) || 1;
      fill(one, values[name], scales[name], isNew);
    }
    fillRest(values);
  }

  function fill(one, array, largest, isNew) {
    if (one.firstElementChild) return;                               // a reader is typing
    const value = one.dataset.index.split(",").reduce((part, i) => part[i], array);
    const text = value === null ? "kink" : shown(value);
    if (!isNew && one.textContent !== text) glow(one);
    one.dataset.value = value;
    one.textContent = text;
    one.classList.toggle("negative", value < 0);
    one.style.setProperty("--size", (Math.abs(value) / largest).toFixed(3));
    if (one.matches(".yours")) one.setAttribute("aria-valuenow", value);
    else one.setAttribute("aria-label", `${one.dataset.label} is ${text}`);
  }

  function glow(one) {
    if (!still.matches) one.animate([{boxShadow: "0 0 0 3px var(--glow)"}, {boxShadow: "0 0 0 3px transparent"}], 500);
  }

  function fillRest(v) {
    const root = document.documentElement;
    root.classList.toggle("backward", v.backward);
    root.classList.toggle("cut-off", v.backward && !v.squeezePath);
    for (const one of document.querySelectorAll("[data-sum]")) {
      one.textContent = `= ${explain("z", [+one.dataset.sum], v).text}`;
    }
    for (const one of document.querySelectorAll("[data-gauge]")) {
      const s = v.s[+one.dataset.gauge];
      one.style.setProperty("--open", Math.min(1, Math.abs(s) / (v.gate === "twice_sigmoid" ? 2 : 1)));
      one.title = `gate ${shown(s)}`;
    }
    find("#sigma").textContent = v.gate === "sigmoid" ? "σ" : v.gate;
    if (v.backward) fillVerdicts(v);
  }

  function fillVerdicts(v) {
    for (const [name, found] of Object.entries(v.verdicts)) {
      const row = find(`[data-verdict="${name}"]`), number = row.querySelector(".cell");
      row.className = found.verdict.replace(" ", "-");
      row.querySelector(".mark").textContent = {right: "✓", wrong: "✕", "cannot tell": "?"}[found.verdict];
      const says = `gradient of ${name}: ${found.verdict}${found.message ? `, ${found.message}` : ""}`;
      row.querySelector(".says").textContent = says;
      row.querySelector(".error").hidden = found.error === null || found.verdict === "wrong";
      number.dataset.value = found.error;
      number.textContent = found.error === null ? "" : npse.judge.exponent(found.error);
    }
    for (const one of document.querySelectorAll("[data-agreement]")) {
      one.textContent = {right: "≈", wrong: "≠", "cannot tell": "?"}[v.verdicts.u.verdict];
    }
    const squeezeSwitch = find("#squeeze-path");
    squeezeSwitch.checked = v.squeezePath;
    find(".switch .state").textContent = v.squeezePath ? "on" : "off";
    find("#diagnosis").textContent = diagnosis(v);
  }

  function diagnosis(v) {
    const {u, w1, w2} = v.verdicts;
    if (u.verdict === "wrong" && !v.squeezePath) {
      const others = w1.verdict === "right" && w2.verdict === "right"
        ? " The gradients of w1 and w2 are right: they alone would not show the mistake." : "";
      return `du is dy*s only: u also reaches y through the squeeze. Add dz/(H*W), Eq. 2.${others}`;
    }
    if (u.verdict !== "right") return "Central differences cannot judge these numbers. Try others.";
    if (v.squeezePath) return "Both paths are there. Switch the squeeze path off, and look again.";
    return "The squeeze path is off, and du is right all the same: here the path carries nothing. Try other numbers.";
  }

  // One number and those that it is made of.
  function point(one, values) {
    for (const marked of document.querySelectorAll(".source, .pointed")) marked.classList.remove("source", "pointed");
    const box = find("#how");
    box.classList.toggle("shown", Boolean(one));
    if (!one) return;
    const {name} = one.dataset, index = one.dataset.index.split(",").map(Number);
    one.classList.add("pointed");
    if (name === "error") {
      return tell(box, "relative error", "= |numeric − ours| / max(|numeric|, |ours|), the worst entry");
    }
    const title = codeName(name, index);
    const value = shown(+one.dataset.value);
    if (YOURS.includes(name)) {
      return tell(box, title, `= ${value}. Drag it sideways, press ↑ or ↓, or double-click to type.`);
    }
    const made = explain(name, index, values);
    const end = one.textContent === "kink" ? ": the step crosses a kink" : made.text === value ? "" : ` = ${value}`;
    tell(box, title, `= ${made.text}${end}`);
    for (const [source, place] of made.terms.flat()) {
      find(`.cell[data-name="${source}"][data-index="${place.join(",")}"]`)?.classList.add("source");
    }
  }

  function tell(box, where, text) {
    box.querySelector(".where").textContent = where;
    box.querySelector(".text").textContent = ` ${text}`;
  }

  return {draw, point, find, element};
})();
