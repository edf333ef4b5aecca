// The state of the page: what a reader may change. It stands in the address, behind the #, so that it can be shared.
//
//     #x=0,0,2,...&w=...&w1=...&w2=...&dy=...&gate=sigmoid&backward=1&squeeze=0
//
// Arrays are written in the order of the book: x (H, W, Cin), w (kh, kw, Cin, C), w1 (M, C), w2 (C, M), dy (H, W, C).
// C and M follow from their lengths. What is missing is as in the example of the notebooks.

"use strict";

npse.state = (() => {
  const {nested, flat, shape, gates} = npse.block;
  const LIMIT = 9;                                   // numbers lie between -9 and 9
  const FILTERS = [2, 3, 4];                         // there are at most as many hidden units as filters
  const PICTURE = [3, 3, 2], WINDOW = [2, 2, 2], MAP = [2, 2];
  const LN3 = Math.log(3);

  // The pencil example of the notebooks 1 to 4, then two more filters and hidden units for those who want them.
  const maps = (...parts) => parts[0].map((row, i) => row.map((_, j) => parts.map(part => part[i][j])));
  const START = {
    x: maps([[0, 2, 2], [0, 2, 0], [3, 3, 3]], [[0, 0, 3], [1, 0, 0], [0, 2, 2]]),
    w: kernels([[[-2, 2], [0, 0]], [[0, 0], [0, 2]]], [[[0, -2], [0, 2]], [[0, 0], [0, 1]]],
               [[[1, 0], [0, -1]], [[0, 1], [-1, 0]]], [[[1, 1], [1, 1]], [[0, 0], [0, 0]]]),
    w1: [[1, -1, 0, 0], [-1, 1, 0, 0], [0, 1, 1, 0], [0, 0, -1, 0.5]],
    w2: [[LN3, 2, 0, 1], [-LN3, 1, 0.5, 0], [1, 0, -0.5, 1], [-1, 1, 0.5, 0]],
    dy: maps([[2, 1], [1, -1]], [[1, 4], [2, -1]], [[1, 0], [-1, 2]], [[0, -1], [1, 1]]),
  };

  // filters[k][c] is a kernel (kh, kw); the result is w[i][j][c][k]
  function kernels(...filters) {
    return [0, 1].map(i => [0, 1].map(j => [0, 1].map(c => filters.map(filter => filter[c][i][j]))));
  }

  const sizes = (C, M) => ({x: PICTURE, w: [...WINDOW, C], w1: [M, C], w2: [C, M], dy: [...MAP, C]});
  const filtersOf = state => state.w2.length;
  const hiddenOf = state => state.w1.length;

  const start = () => resized({...START, gate: "sigmoid", backward: false, squeezePath: true}, 2, 2);

  // The same numbers for other sizes; new filters and hidden units are those of the example.
  function resized(state, C, M) {
    const fitted = (array, example, size) => size.length === 0 ? array ?? example
      : [...Array(size[0]).keys()].map(i => fitted(array?.[i], example[i], size.slice(1)));
    const arrays = Object.entries(sizes(C, M)).map(([name, size]) => [name, fitted(state[name], START[name], size)]);
    return {...state, ...Object.fromEntries(arrays)};
  }

  // A state as the part of an address behind the #.
  function written(state) {
    const arrays = ["x", "w", "w1", "w2", "dy"].map(name => `${name}=${flat(state[name]).join(",")}`);
    return [...arrays, `gate=${state.gate}`, `backward=${+state.backward}`, `squeeze=${+state.squeezePath}`].join("&");
  }

  // The state that the part of an address behind the # describes. Error, with a text for the reader, if it is none.
  function read(text) {
    const given = new URLSearchParams(text);
    const known = ["x", "w", "w1", "w2", "dy", "gate", "backward", "squeeze"];
    for (const name of given.keys()) {
      if (!known.includes(name)) throw new Error(`the address names ${name}; expected ${known.join(", ")}`);
    }
    const C = given.has("w") ? count(given, "w") / 8 : 2;
    if (!FILTERS.includes(C)) throw new Error(`w must hold 16, 24 or 32 numbers (2 to 4 filters), not ${C * 8}`);
    const M = given.has("w1") ? count(given, "w1") / C : 2;
    if (!(Number.isInteger(M) && M <= C)) {
      throw new Error(`w1 must hold ${C} numbers for each of 1 to ${C} hidden units, not ${M * C} in all`);
    }
    const state = resized(start(), C, M);
    for (const [name, size] of Object.entries(sizes(C, M))) {
      if (given.has(name)) state[name] = nested(numbers(given, name, size.reduce((a, b) => a * b)), size);
    }
    state.gate = oneOf(given, "gate", Object.keys(gates), state.gate);
    state.backward = oneOf(given, "backward", ["0", "1"], "0") === "1";
    state.squeezePath = oneOf(given, "squeeze", ["0", "1"], "1") === "1";
    return state;
  }

  const count = (given, name) => given.get(name).split(",").length;

  function numbers(given, name, expected) {
    const values = given.get(name).split(",").map(word => word.trim() === "" ? NaN : Number(word));
    if (values.length !== expected) throw new Error(`${name} must hold ${expected} numbers, not ${values.length}`);
    const wrong = values.findIndex(value => !(Math.abs(value) <= LIMIT));
    if (wrong >= 0) {
      const word = given.get(name).split(",")[wrong] || "nothing";
      throw new Error(`${name} must hold numbers from -${LIMIT} to ${LIMIT}, not ${word}`);
    }
    return values;
  }

  function oneOf(given, name, words, otherwise) {
    const word = given.get(name) ?? otherwise;
    if (!words.includes(word)) throw new Error(`${name} must be one of ${words.join(", ")}, not ${word}`);
    return word;
  }

  // The state with another number at one place.
  function changed(state, name, index, value) {
    const bounded = Math.min(LIMIT, Math.max(-LIMIT, value)) + 0;              // + 0: no minus zero
    const put = (part, [i, ...rest]) =>
      i === undefined ? bounded : part.map((inner, k) => k === i ? put(inner, rest) : inner);
    return {...state, [name]: put(state[name], index)};
  }

  return {LIMIT, FILTERS, start, resized, written, read, changed, filtersOf, hiddenOf};
})();
