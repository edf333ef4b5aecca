// The arithmetic of the page: convolution, squeeze, excitation, scale, each backward under its forward.
//
// The functions have the names, letters and formulas of the book (npse/reference), for one picture (N = 1), stride 1
// and no padding. Arrays are nested lists: x[i][j][c], w[i][j][c][k], u[a][b][k], z[k], w1[m][k], w2[k][m].
// tests/test_explainer.py compares every number with the book.

"use strict";
var npse = globalThis.npse || {};     // one name for all scripts: a page opened as a file can load no modules

npse.block = (() => {
  const range = count => [...Array(count).keys()];
  const filled = (value, size, ...rest) => range(size).map(() => rest.length ? filled(value, ...rest) : value);
  const zeros = (...shape) => filled(0, ...shape);
  const total = numbers => numbers.reduce((sum, number) => sum + number, 0);

  // equation (1)

  // u[a][b][k] = sum over i, j, c of  x[a + i][b + j][c] * w[i][j][c][k]
  function conv2d(x, w) {
    const [kh, kw, , filters] = shape(w);
    const u = zeros(x.length - kh + 1, x[0].length - kw + 1, filters);
    each_tap(u, w, (a, b, i, j, c, k) => { u[a][b][k] += x[a + i][b + j][c] * w[i][j][c][k]; });
    return u;
  }

  // dw[i][j][c][k] = sum over a, b of  x[a + i][b + j][c] * du[a][b][k]
  function conv2d_backward_w(du, x, w) {
    const dw = zeros(...shape(w));
    each_tap(du, w, (a, b, i, j, c, k) => { dw[i][j][c][k] += x[a + i][b + j][c] * du[a][b][k]; });
    return dw;
  }

  // dx[p][q][c] = sum over all a + i = p, b + j = q and k of  w[i][j][c][k] * du[a][b][k]
  function conv2d_backward_x(du, w, x) {
    const dx = zeros(...shape(x));
    each_tap(du, w, (a, b, i, j, c, k) => { dx[a + i][b + j][c] += w[i][j][c][k] * du[a][b][k]; });
    return dx;
  }

  // all pixels (a, b) of a map, all taps (i, j) of the window, all channels c, all filters k
  function each_tap(map, w, visit) {
    const [height, width] = shape(map), [kh, kw, inputs, filters] = shape(w);
    for (let a = 0; a < height; a++) for (let b = 0; b < width; b++)
      for (let i = 0; i < kh; i++) for (let j = 0; j < kw; j++)
        for (let c = 0; c < inputs; c++) for (let k = 0; k < filters; k++) visit(a, b, i, j, c, k);
  }

  // equation (2)

  // z[k] = 1/(H*W) * sum over a, b of  u[a][b][k]
  const squeeze = u => sum_of_pixels(u.flat()).map(sum => sum / area(u));

  // du[a][b][k] = dz[k] / (H*W)
  const squeeze_backward = (dz, u) => u.map(row => row.map(() => dz.map(share => share / area(u))));

  // equation (3)

  // y[m] = sum over k of  w[m][k] * x[k]
  const dense = (x, w) => w.map(row => total(row.map((weight, k) => weight * x[k])));

  // dx[k] = sum over m of  dy[m] * w[m][k]        dw[m][k] = dy[m] * x[k]
  function dense_backward(dy, x, w) {
    return {dx: x.map((_, k) => total(dy.map((d, m) => d * w[m][k]))), dw: dy.map(d => x.map(value => d * value))};
  }

  const relu = x => x.map(a => a > 0 ? a : 0);
  const relu_backward = (dy, y) => dy.map((d, m) => y[m] > 0 ? d : 0);

  // The gates of npse, by its names: s = gate(a), da = gate_backward(ds, s), and the piece of the function that each
  // number is on. The gradients are written in terms of the output s.
  const gates = {
    sigmoid: elementwise(sigmoid_of, s => s * (1 - s)),
    hard_sigmoid: elementwise(a => Math.min(1, Math.max(0, a / 6 + 0.5)), s => s > 0 && s < 1 ? 1 / 6 : 0,
                              a => (a > -3) + (a >= 3)),
    twice_sigmoid: elementwise(a => 2 * sigmoid_of(a), s => s * (1 - s / 2)),
    tanh: elementwise(Math.tanh, s => 1 - s * s),
    relu: elementwise(a => a > 0 ? a : 0, s => s > 0 ? 1 : 0, a => a > 0),
    softmax: {forward: softmax, backward: softmax_backward, pieces: () => []},
  };

  function elementwise(gate, slope, piece) {
    return {forward: a => a.map(gate), backward: (ds, s) => ds.map((d, k) => d * slope(s[k])), slope,
            pieces: a => piece ? a.map(piece) : []};
  }

  // 1 / (1 + exp(-a)), written with exp(-|a|), which never overflows
  function sigmoid_of(a) {
    const e = Math.exp(-Math.abs(a));
    return a >= 0 ? 1 / (1 + e) : e / (1 + e);
  }

  // s[k] = exp(a[k]) / sum over m of exp(a[m])
  function softmax(a) {
    const powers = a.map(value => Math.exp(value - Math.max(...a)));
    return powers.map(power => power / total(powers));
  }

  // da[k] = s[k] * (ds[k] - sum over m of ds[m] * s[m])
  function softmax_backward(ds, s) {
    const mean = total(ds.map((d, k) => d * s[k]));
    return s.map((value, k) => value * (ds[k] - mean));
  }

  // s = gate(w2 relu(w1 z)), with all that lies between
  function excite(z, w1, w2, gate) {
    const a1 = dense(z, w1), h = relu(a1), a2 = dense(h, w2);
    return {a1, h, a2, s: gates[gate].forward(a2)};
  }

  // from ds back to dz, in the order of the derivation
  function excite_backward(ds, z, h, s, w1, w2, gate) {
    const da2 = gates[gate].backward(ds, s);
    const {dx: dh, dw: dw2} = dense_backward(da2, h, w2);
    const da1 = relu_backward(dh, h);
    const {dx: dz, dw: dw1} = dense_backward(da1, z, w1);
    return {da2, dw2, dh, da1, dw1, dz};
  }

  // equation (4)

  // y[a][b][k] = s[k] * u[a][b][k]
  const scale = (u, s) => u.map(row => row.map(pixel => pixel.map((value, k) => s[k] * value)));

  // du[a][b][k] = dy[a][b][k] * s[k]        ds[k] = sum over a, b of  dy[a][b][k] * u[a][b][k]
  function scale_backward(dy, u, s) {
    return {du: scale(dy, s), ds: sum_of_pixels(multiply(dy, u).flat())};
  }

  // the whole block

  function forward({x, w, w1, w2, gate}) {
    const u = conv2d(x, w);
    return {u, ...forward_from_u({u, w1, w2, gate})};
  }

  function forward_from_u({u, w1, w2, gate}) {
    const z = squeeze(u);
    const hidden = excite(z, w1, w2, gate);
    return {z, ...hidden, y: scale(u, hidden.s)};
  }

  // u reaches y on two paths. With squeezePath off the second one is forgotten.
  function backward(dy, {x, w, w1, w2, gate, squeezePath}, {u, z, h, s}) {
    const {du: direct, ds} = scale_backward(dy, u, s);
    const inside = excite_backward(ds, z, h, s, w1, w2, gate);
    const through = squeeze_backward(inside.dz, u);
    const du = squeezePath ? add(direct, through) : direct;
    return {ds, ...inside, direct, through, du, dw: conv2d_backward_w(du, x, w), dx: conv2d_backward_x(du, w, x)};
  }

  // nested lists

  const add = (a, b) => Array.isArray(a) ? a.map((part, i) => add(part, b[i])) : a + b;
  const multiply = (a, b) => Array.isArray(a) ? a.map((part, i) => multiply(part, b[i])) : a * b;
  const sum_of_pixels = pixels => pixels.reduce(add);
  const shape = array => Array.isArray(array) ? [array.length, ...shape(array[0])] : [];
  const area = map => map.length * map[0].length;
  const flat = array => Array.isArray(array) ? array.flat(Infinity) : [array];

  // the inverse of `flat`
  function nested(numbers, [size, ...rest]) {
    if (!rest.length) return numbers.slice(0, size);
    const length = numbers.length / size;
    return range(size).map(i => nested(numbers.slice(i * length, (i + 1) * length), rest));
  }

  // every index of an array, in the order of `flat`
  const indices = ([size, ...rest]) =>
    size === undefined ? [[]] : range(size).flatMap(i => indices(rest).map(index => [i, ...index]));

  return {gates, forward, forward_from_u, backward, range, shape, flat, nested, indices};
})();
