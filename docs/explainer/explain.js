// How each computed number is made: its formula with numbers in it, and the numbers that it is made of.
//
//     explain("z", [0], values)  ->  {terms: [[["u", [0, 0, 0]]], ...], text: "(4 + 0 + 8 + 0) / 4 = 3"}
//
// `terms` is a list of products, each a list of places [name, index].

"use strict";

npse.explain = (() => {
  const {range, shape} = npse.block;

  const at = (values, [name, index]) => index.reduce((array, i) => array[i], values[name]);
  const across = (...counts) => counts.reduce((tuples, n) => tuples.flatMap(t => range(n).map(i => [...t, i])), [[]]);

  // A number as it is shown: three decimals, fewer for large numbers; a real minus sign.
  function shown(value) {
    const size = Math.abs(value);
    if (size > 0 && size < 5e-4) return signed(value.toExponential(0));
    if (size >= 1e5) return signed(value.toExponential(1).replace("+", ""));
    const decimals = size < 10 ? 3 : size < 100 ? 2 : size < 1000 ? 1 : 0;
    return signed(String(Number(value.toFixed(decimals))));
  }
  const signed = text => text.replace(/-/g, "−");
  const factor = value => value < 0 ? `(${shown(value)})` : shown(value);

  // The products whose sum is a number: for each name, a function of index and values.
  const sums = {
    u: ([a, b, k], v) => across(...shape(v.w).slice(0, 3))
      .map(([i, j, c]) => [["x", [a + i, b + j, c]], ["w", [i, j, c, k]]]),
    a1: ([m], v) => range(v.z.length).map(k => [["w1", [m, k]], ["z", [k]]]),
    a2: ([k], v) => range(v.h.length).map(m => [["w2", [k, m]], ["h", [m]]]),
    y: ([a, b, k]) => [[["s", [k]], ["u", [a, b, k]]]],
    ds: ([k], v) => across(...shape(v.u).slice(0, 2)).map(([a, b]) => [["dy", [a, b, k]], ["u", [a, b, k]]]),
    dw2: ([k, m]) => [[["da2", [k]], ["h", [m]]]],
    dh: ([m], v) => range(v.s.length).map(k => [["da2", [k]], ["w2", [k, m]]]),
    dw1: ([m, k]) => [[["da1", [m]], ["z", [k]]]],
    dz: ([k], v) => range(v.h.length).map(m => [["da1", [m]], ["w1", [m, k]]]),
    direct: ([a, b, k]) => [[["dy", [a, b, k]], ["s", [k]]]],
    dw: ([i, j, c, k], v) => across(...shape(v.u).slice(0, 2))
      .map(([a, b]) => [["x", [a + i, b + j, c]], ["du", [a, b, k]]]),
    dx: ([p, q, c], v) => across(...shape(v.u), ...shape(v.w).slice(0, 2))
      .filter(([a, b, , i, j]) => a + i === p && b + j === q)
      .map(([a, b, k, i, j]) => [["w", [i, j, c, k]], ["du", [a, b, k]]]),
  };

  // The numbers that another number is made of, and how: (index, values) -> {terms, text}.
  const others = {
    z: ([k], v) => mean(across(...shape(v.u).slice(0, 2)).map(([a, b]) => ["u", [a, b, k]]), v),
    h: ([m], v) => ({terms: [[["a1", [m]]]], text: `max(${shown(v.a1[m])}, 0)`}),
    s: ([k], v) => gate(k, v),
    da2: ([k], v) => gateSlope(k, v),
    da1: ([m], v) => ({terms: [[["dh", [m]]], [["h", [m]]]],
                       text: v.h[m] > 0 ? `${shown(v.dh[m])}, because h > 0` : "0, because h = 0"}),
    through: ([a, b, k], v) => ({terms: [[["dz", [k]]]], text: `${shown(v.dz[k])} / ${v.u.length * v.u[0].length}`}),
    du: ([a, b, k], v) => {
      const direct = ["direct", [a, b, k]], through = ["through", [a, b, k]];
      if (!v.squeezePath) return {terms: [[direct]], text: `${shown(at(v, direct))}, without the squeeze path`};
      return {terms: [[direct], [through]], text: `${shown(at(v, direct))} + ${factor(at(v, through))}`};
    },
    numeric: () => ({terms: [], text: "(L(u + h) − L(u − h)) / 2h, moving this pixel of u alone"}),
  };

  function mean(places, v) {
    const numbers = places.map(place => factor(at(v, place)));
    return {terms: places.map(place => [place]), text: `(${numbers.join(" + ")}) / ${places.length}`};
  }

  const gateTexts = {
    sigmoid: a => `1 / (1 + exp(${shown(-a)}))`,
    hard_sigmoid: a => `${shown(a)} / 6 + 1/2, cut off at 0 and 1`,
    twice_sigmoid: a => `2 / (1 + exp(${shown(-a)}))`,
    tanh: a => `tanh(${shown(a)})`,
    relu: a => `max(${shown(a)}, 0)`,
  };
  const slopeTexts = {
    sigmoid: s => `s (1 − s) = ${shown(s)} · ${factor(1 - s)}`,
    hard_sigmoid: s => s > 0 && s < 1 ? "1/6" : "0, because the gate is cut off",
    twice_sigmoid: s => `s (1 − s/2) = ${shown(s)} · ${factor(1 - s / 2)}`,
    tanh: s => `1 − s² = 1 − ${shown(s * s)}`,
    relu: s => s > 0 ? "1" : "0, because the gate is closed",
  };

  function gate(k, v) {
    if (v.gate !== "softmax") return {terms: [[["a2", [k]]]], text: gateTexts[v.gate](v.a2[k])};
    const all = v.a2.map(a => `exp(${shown(a)})`).join(" + ");
    return {terms: v.a2.map((_, m) => [["a2", [m]]]), text: `exp(${shown(v.a2[k])}) / (${all})`};
  }

  function gateSlope(k, v) {
    const here = [["ds", [k]], ["s", [k]]];
    if (v.gate !== "softmax") {
      return {terms: [here], text: `${shown(v.ds[k])} · slope, slope = ${slopeTexts[v.gate](v.s[k])}`};
    }
    const all = v.s.map((s, m) => `${factor(v.ds[m])}·${factor(s)}`).join(" + ");
    return {terms: v.s.map((_, m) => [["ds", [m]], ["s", [m]]]),
            text: `s (ds − Σ ds·s) = ${shown(v.s[k])} · (${shown(v.ds[k])} − (${all}))`};
  }

  function explain(name, index, values) {
    if (!(name in sums)) return others[name](index, values);
    const terms = sums[name](index, values);
    const counting = terms.filter(term => term.every(place => at(values, place) !== 0));
    const texts = counting.map(term => term.map((place, i) => (i ? factor : shown)(at(values, place))).join("·"));
    return {terms, text: texts.join(" + ").replaceAll("+ −", "− ") || "a sum of zeros"};
  }

  return {explain, sums, shown};
})();
