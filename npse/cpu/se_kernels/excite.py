"""The excitation, equation (3), and its gradients: one pass over the rows of (N, C) arrays. Letters: as in the book.

These arrays are a thousand times smaller than the maps, so a dozen NumPy calls would take longer than the arithmetic.
A kernel works on ``lane`` images at a time, one for each element of a vector register, and transposes them: a row of
``zt`` (C, lane) holds one channel of all these images. One function then computes all four products. The gradients of
the weights are sums over the images, in order, for one hidden unit at a time, so that no bit depends on the number of
threads. For dtypes without vector registers the op of the book runs, on one thread of the BLAS library.
"""

import math
from functools import partial

import numpy as np

from npse import reference as book
from npse.cpu.runtime.arrays import replaces
from npse.cpu.runtime.blas import on_one_blas_thread
from npse.cpu.runtime.jit import kernel
from npse.cpu.runtime.memory_pool import empty_like, empty_together
from npse.cpu.runtime.parallel import parallel_for
from npse.cpu.simd.tile import lanes, outer, store, zeros


@replaces(book.excite, recordable=True)
def excite(z, w1, w2, b1=None, b2=None):
    lane = lanes(z.dtype)
    if not lane:
        return on_one_blas_thread(book.excite)(z, w1, w2, b1, b2)
    s = empty_like(z)
    parallel_for(partial(excite_groups, lane, z, w1, w2, or_zeros(b1, w1), or_zeros(b2, w2), s), -(-len(z) // lane), 1)
    return s


@kernel
def excite_groups(lane, z, w1, w2, b1, b2, s, first, last):
    """Write s (N, C) for groups first .. last of ``lane`` images: z (N, C), w1 (M, C), w2 (C, M), b1 (M,), b2 (C,)."""
    (M, C), one = w1.shape, z.dtype.type(1)
    zt, at, h = np.zeros((C, lane), z.dtype), np.empty((C, lane), z.dtype), np.empty((M, lane), z.dtype)
    for start in range(first * lane, last * lane, lane):
        images = min(lane, len(z) - start)
        for n in range(images):
            for c in range(C):
                zt[c, n] = z[start + n, c]
        _hidden(lane, zt, w1, b1, h)
        _product(lane, w2, M, 1, h, at)
        for n in range(images):
            for c in range(C):
                a = at[c, n] + b2[c]
                e = math.exp(-abs(a))                             # in (0, 1]
                s[start + n, c] = (one if a >= 0 else e) / (one + e)


@replaces(book.excite_backward, recordable=True)
def excite_backward(ds, z, s, w1, w2, b1=None):
    lane = lanes(z.dtype)
    if not lane:
        return on_one_blas_thread(book.excite_backward)(ds, z, s, w1, w2, b1)
    (N, C), M = z.shape, len(w1)
    h, da1, da2, dw2t = empty_together(z.dtype, (N, M), (N, M), (N, C), (M, C))
    dz, dw1, dw2, db1, db2 = empty_together(z.dtype, (N, C), (M, C), (C, M), (M,), (C,))
    parallel_for(partial(_rows, lane, ds, z, s, w1, w2, or_zeros(b1, w1), h, da1, da2, dz), -(-len(z) // lane), 1)
    parallel_for(partial(_weights, z, h, da1, da2, dw1, dw2t), M)
    parallel_for(partial(_biases, da1, da2, dw2t, dw2, db1, db2), C, C)
    return dz, dw1, dw2, db1, db2


@kernel
def _rows(lane, ds, z, s, w1, w2, b1, h, da1, da2, dz, first, last):
    """Write h, da1 (N, M) and da2, dz (N, C) for groups first .. last of ``lane`` images: ds, z, s (N, C)."""
    (M, C), one, zero = w1.shape, z.dtype.type(1), z.dtype.type(0)
    zt, da2t, dzt = np.zeros((C, lane), z.dtype), np.zeros((C, lane), z.dtype), np.empty((C, lane), z.dtype)
    ht, da1t = np.empty((M, lane), z.dtype), np.empty((M, lane), z.dtype)
    for start in range(first * lane, last * lane, lane):
        images = min(lane, len(z) - start)
        for n in range(images):
            for c in range(C):
                k = start + n
                da2[k, c] = ds[k, c] * s[k, c] * (one - s[k, c])
                zt[c, n], da2t[c, n] = z[k, c], da2[k, c]
        _hidden(lane, zt, w1, b1, ht)
        _product(lane, w2, 1, M, da2t, da1t)
        for n in range(images):
            for m in range(M):
                da1t[m, n] = da1t[m, n] if ht[m, n] > zero else zero
                h[start + n, m], da1[start + n, m] = ht[m, n], da1t[m, n]
        _product(lane, w1, 1, C, da1t, dzt)
        for n in range(images):
            for c in range(C):
                dz[start + n, c] = dzt[c, n]


@kernel
def _weights(z, h, da1, da2, dw1, dw2t, first, last):
    """Write rows first .. last of dw1 = da1^T z and dw2t = h^T da2 (M, C): z, da2 (N, C), h, da1 (N, M)."""
    for m in range(first, last):
        dw1[m] = 0
        dw2t[m] = 0
        for n in range(len(z)):
            for c in range(z.shape[1]):
                dw1[m, c] += da1[n, m] * z[n, c]
            for c in range(z.shape[1]):
                dw2t[m, c] += h[n, m] * da2[n, c]


@kernel
def _biases(da1, da2, dw2t, dw2, db1, db2, first, last):
    """Write db1 (M,) and db2 (C,), sums over the images of da1 (N, M) and da2 (N, C); and dw2 (C, M) from dw2t (M, C).

    All channels are one range.
    """
    sums1, sums2 = np.zeros(len(db1)), np.zeros(len(db2))
    for n in range(len(da1)):
        for m in range(len(db1)):
            sums1[m] += da1[n, m]
        for c in range(len(db2)):
            sums2[c] += da2[n, c]
    for m in range(len(db1)):
        db1[m] = sums1[m]
    for c in range(first, last):
        db2[c] = sums2[c]
        for m in range(len(db1)):
            dw2[c, m] = dw2t[m, c]


@kernel
def _hidden(lane, zt, w1, b1, h):
    """Write h (M, lane) = relu(w1 zt + b1), with zt (C, lane); a NaN stays a NaN."""
    zero = zt.dtype.type(0)
    _product(lane, w1, w1.shape[1], 1, zt, h)
    for m in range(len(h)):
        for n in range(lane):
            a = h[m, n] + b1[m]
            h[m, n] = zero if a < zero else a


@kernel
def _product(lane, w, row, column, x, y):
    """Write y (rows, lane) = W x with x (K, lane) and W[m, k] = w.flat[m * row + k * column]; a row is one vector."""
    whole = len(y) // 4 * 4
    for m in range(0, whole, 4):
        tile = zeros(y, 4, 1)
        for k in range(len(x)):
            tile = outer(tile, w, m * row + k * column, row, x, k * lane, lane)
        store(tile, y, m * lane, lane)
    for m in range(whole, len(y)):
        tile = zeros(y, 1, 1)
        for k in range(len(x)):
            tile = outer(tile, w, m * row + k * column, row, x, k * lane, lane)
        store(tile, y, m * lane, lane)


def or_zeros(b, w):
    """Return the biases b, or zeros for the rows of w if there are none."""
    return np.zeros(len(w), w.dtype) if b is None else b
