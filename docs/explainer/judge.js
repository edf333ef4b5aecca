// The judge: it measures each gradient with central differences and compares, as npse/gradcheck does.
//
//     dL/dv  ~  sum(dy * (y(v + h) - y(v - h))) / 2h,      L = sum(dy * y)
//
// A step that crosses a kink (of the ReLU, of a gate) measures no slope, and its entry is left out.

"use strict";

npse.judge = (() => {
  const {gates, forward, forward_from_u, flat, nested, indices, shape, range} = npse.block;
  const EPS = 2 ** -52;
  const TOLERANCE = 1e-6;       // of the relative error
  const FLOOR = 0.01;           // the error of smaller entries is relative to this share of the largest gradient
  const SAFETY = 10;            // by which factor rounding may exceed its estimate
  const RESOLUTION = 1e-3;      // the smallest error that must be seen, relative to the largest gradient
  const MOST_STEPS = 20;        // that are tried for one entry
  const CURVED = 1e-3;          // of its slope: by how much the slopes on either side may differ

  const largest = numbers => Math.max(0, ...numbers.map(Math.abs));
  const norm = numbers => Math.hypot(...numbers);
  const typicalSize = numbers => norm(numbers) / Math.sqrt(numbers.length) || 1;

  // The block as a function of one flat argument: y, flat, and the piece of each kink that its input is on.
  function functionOf(name, state, u) {
    const run = ["x", "w"].includes(name) ? forward : forward_from_u;
    const arguments_ = {...state, u}, sizes = shape(arguments_[name]);
    return numbers => {
      const {a1, a2, y} = run({...arguments_, [name]: nested(numbers, sizes)});
      return {y: flat(y), pieces: [...a1.map(a => a > 0), ...gates[state.gate].pieces(a2)]};
    };
  }

  // at(entry, step): the central difference, its rounding error, and by how much the slopes on either side differ;
  // null if the step crosses a kink.
  function differences(f, v, dy) {
    const here = f(v), largestY = largest(here.y), largestV = largest(v), largestDy = largest(dy);
    return (entry, h) => {
      const above = v.with(entry, v[entry] + h), below = v.with(entry, v[entry] - h);
      const forth = above[entry] - v[entry], back = v[entry] - below[entry], distance = forth + back;
      const up = f(above), down = f(below);
      if (here.pieces.some((piece, i) => piece !== up.pieces[i] || piece !== down.pieces[i])) return null;
      const change = up.y.map((y, i) => y - down.y[i]);
      const moved = Math.max(norm(dy.filter((_, i) => change[i] !== 0)), largestDy);
      const terms = norm(dy.map((d, i) => d * change[i])) / distance;
      const sum = numbers => numbers.reduce((all, number, i) => all + dy[i] * number, 0);
      return {value: sum(change) / distance, rounding: EPS * (largestY * moved + largestV * terms) / distance,
              bend: sum(up.y.map((y, i) => (y - here.y[i]) / forth - (here.y[i] - down.y[i]) / back))};
    };
  }

  // The central difference of one entry with the least error: the step is made smaller until the error of the formula
  // is below the error of rounding.
  function best(at, entry, h) {
    let found = null, suitable = null;
    for (const step of range(MOST_STEPS + 1).map(k => h / 4 ** k)) {
      const once = at(entry, step), twice = at(entry, 2 * step);
      if (!once || !twice) continue;
      const suits = Math.abs(once.bend) <= CURVED * Math.abs(once.value);
      const far = Math.abs(twice.value - once.value) / 3;
      const truncation = suits ? far : Math.max(far, Math.abs(once.bend) / 2);
      const budget = {value: once.value, error: SAFETY * (truncation + once.rounding)};
      if (!found || budget.error < found.error) found = budget;
      if (suits && budget.error <= SAFETY * RESOLUTION * Math.abs(once.value)
          && (!suitable || budget.error < suitable.error)) suitable = budget;
      if (suits && truncation <= once.rounding) break;
    }
    return suitable || found;
  }

  // The numeric gradient of one argument, flat: {value, rounding, bend} for each entry, or null at a kink.
  function measure(name, state, u, dy) {
    const v = flat(name === "u" ? u : state[name]);
    const at = differences(functionOf(name, state, u), v, dy);
    const step = entry => Math.cbrt(EPS) * Math.max(Math.abs(v[entry]), typicalSize(v));
    const numeric = v.map((_, entry) => at(entry, step(entry)));
    const most = largest(numeric.filter(Boolean).map(entry => entry.value));
    const better = entry => best(at, entry, step(entry));
    numeric.forEach((found, entry) => {       // where the function is too curved for this step
      const slope = found && Math.max(Math.abs(found.value), FLOOR * most);
      if (!found || Math.abs(found.bend) <= Math.max(CURVED * slope, 4 * SAFETY * found.rounding)) return;
      const mended = better(entry);
      if (mended) found.value = mended.value;
    });
    return {numeric, better};
  }

  // The verdict on one gradient: {verdict, error, message, values}, in the words of npse's judge. `ours` is nested.
  function check(name, ours, state, u, dy) {
    const {numeric, better} = measure(name, state, u, flat(dy));
    const mine = flat(ours), batch = name === "x" || name === "u" ? [0] : [];
    const entryName = entry => `${name}[${[...batch, ...indices(shape(ours))[entry]].join(", ")}]`;
    const kept = range(mine.length).filter(entry => numeric[entry]);
    const values = numeric.map(found => found ? found.value : null);
    const crossed = mine.length - kept.length;
    const note = crossed ? `${crossed} of ${mine.length} entries crossed a kink` : "";
    if (!kept.length) return {verdict: "cannot tell", error: null, message: `${note}: try other numbers`, values};

    const most = largest(kept.map(entry => values[entry]));
    const rounding = SAFETY * largest(kept.map(entry => numeric[entry].rounding));
    const errors = mine.map((value, entry) => {
      if (!numeric[entry]) return 0;
      const floor = Math.max(FLOOR * most, SAFETY * numeric[entry].rounding / TOLERANCE, Number.MIN_VALUE);
      return Math.abs(values[entry] - value) / Math.max(floor, Math.abs(values[entry]), Math.abs(value));
    });
    const before = errors.filter(error => error > TOLERANCE).length;
    let unsettled = false;
    for (const entry of range(mine.length).sort((a, b) => errors[b] - errors[a])) {
      if (errors[entry] <= TOLERANCE) break;
      const budget = better(entry), expected = budget ? budget.value : values[entry];
      const size = Math.max(Math.abs(mine[entry]), Math.abs(expected), FLOOR * most);
      const error = Math.abs(mine[entry] - expected);
      if (!budget || error > TOLERANCE * size + budget.error) {
        const wrong = `${before} of ${mine.length} entries differ, worst at ${entryName(entry)}: ours `
          + `${general(mine[entry])}, numeric ${general(expected)}, relative error ${exponent(errors[entry])}`;
        return {verdict: "wrong", error: errors[entry], message: [wrong, note].filter(Boolean).join("; "), values};
      }
      errors[entry] = error / size;
      unsettled ||= budget.error > RESOLUTION * most;
    }
    const error = Math.max(...errors), hidden = rounding * Math.cbrt(EPS) < largest(mine)
      && largest(mine) < rounding / RESOLUTION;
    if (unsettled) return {verdict: "cannot tell", error, message: "central differences do not settle", values};
    if (hidden) return {verdict: "cannot tell", error, message: "rounding would hide an error of 0.1 %", values};
    return {verdict: "right", error, message: note, values};
  }

  // Numbers as Python writes them: with eight digits, or as 1.8e+00.
  function general(value) {
    const power = value === 0 ? 0 : Math.floor(Math.log10(Math.abs(Number(value.toPrecision(8)))));
    if (power < -4 || power >= 8) {
      const [digits, p] = value.toExponential(7).split("e");
      return `${trimmed(digits)}${padded(p)}`;
    }
    return trimmed(value.toFixed(7 - power));
  }
  const trimmed = digits => digits.includes(".") ? digits.replace(/\.?0+$/, "") : digits;
  const padded = power => `e${power[0] === "-" ? "-" : "+"}${power.replace(/^[+-]/, "").padStart(2, "0")}`;
  function exponent(value) {
    const [digits, power] = value.toExponential(1).split("e");
    return digits + padded(power);
  }

  return {check, exponent};
})();
