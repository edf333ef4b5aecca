"""Pooling over windows, and the maximum of a map. Global average pooling is `squeeze`. Letters: as in the book."""

from functools import partial

import numpy as np

from npse import reference as book
from npse.cpu.runtime.arrays import pixels, replaces, zeros
from npse.cpu.runtime.jit import kernel
from npse.cpu.runtime.memory_pool import empty, empty_like
from npse.cpu.runtime.parallel import parallel_for
from npse.cpu.se import squeeze, squeeze_backward
from npse.reference.pool import divisors, pooled_size

global_average_pool, global_average_pool_backward = squeeze, squeeze_backward


@replaces(book.average_pool, recordable=True)
def average_pool(x, size, stride=None, padding=0, ceil_mode=False, count_include_pad=True):
    how = size, stride or size, padding
    y = zeros((len(x), *pooled_size(x.shape, *how, ceil_mode), x.shape[3]), x.dtype)
    counts = divisors(x.shape, x.dtype, *how, ceil_mode, count_include_pad)
    parallel_for(partial(_average_pool, x, y, *map(int, how), counts), len(x))
    return y


@kernel
def _average_pool(x, y, size, stride, padding, counts, first, last):
    _, H, W, C = x.shape
    for n in range(first, last):
        for a in range(y.shape[1]):
            top = stride * a - padding
            for b in range(y.shape[2]):
                left, count = stride * b - padding, counts[a, b, 0]
                for i in range(max(0, top), min(H, top + size)):
                    for j in range(max(0, left), min(W, left + size)):
                        for c in range(C):
                            y[n, a, b, c] += x[n, i, j, c] / count


@replaces(book.average_pool_backward, recordable=True)
def average_pool_backward(dy, x_shape, size, stride=None, padding=0, ceil_mode=False, count_include_pad=True):
    how = size, stride or size, padding
    dx = zeros(x_shape, dy.dtype)
    counts = divisors(x_shape, dy.dtype, *how, ceil_mode, count_include_pad)
    parallel_for(partial(_average_pool_backward, dy, dx, *map(int, how), counts), len(dx))
    return dx


@kernel
def _average_pool_backward(dy, dx, size, stride, padding, counts, first, last):
    _, H, W, C = dx.shape
    for n in range(first, last):
        for a in range(dy.shape[1]):
            top = stride * a - padding
            for b in range(dy.shape[2]):
                left, count = stride * b - padding, counts[a, b, 0]
                for i in range(max(0, top), min(H, top + size)):
                    for j in range(max(0, left), min(W, left + size)):
                        for c in range(C):
                            dx[n, i, j, c] += dy[n, a, b, c] / count


@replaces(book.max_pool, recordable=True)
def max_pool(x, size, stride=None, padding=0, ceil_mode=False):
    how = size, stride or size, padding
    y = empty((len(x), *pooled_size(x.shape, *how, ceil_mode), x.shape[3]), x.dtype)
    parallel_for(partial(_max_pool, x, y, *map(int, how)), len(x))
    return y


@kernel
def _max_pool(x, y, size, stride, padding, first, last):
    """Write the maximum of each window to y, which holds the maximum so far during the loop over the taps."""
    _, H, W, C = x.shape
    for n in range(first, last):
        for a in range(y.shape[1]):
            top, bottom = max(0, stride * a - padding), min(H, stride * a - padding + size)
            for b in range(y.shape[2]):
                left, right = max(0, stride * b - padding), min(W, stride * b - padding + size)
                for c in range(C):
                    y[n, a, b, c] = x[n, top, left, c]
                for i in range(top, bottom):
                    for j in range(left, right):
                        for c in range(C):
                            v, best = x[n, i, j, c], y[n, a, b, c]
                            y[n, a, b, c] = v if _wins(v, best) else best


@replaces(book.max_pool_backward, recordable=True)
def max_pool_backward(dy, x, size, stride=None, padding=0, ceil_mode=False):
    dx = empty(x.shape, x.dtype)
    parallel_for(partial(_max_pool_backward, dy, x, dx, *map(int, (size, stride or size, padding))), len(x))
    return dx


@kernel
def _max_pool_backward(dy, x, dx, size, stride, padding, first, last):
    _, H, W, C = x.shape
    zero = x.dtype.type(0)
    highest, winner = np.empty(C, x.dtype), np.empty(C, x.dtype)     # of each channel: its maximum, and the tap of it
    for n in range(first, last):
        dx[n] = zero
        for a in range(dy.shape[1]):
            top, bottom = max(0, stride * a - padding), min(H, stride * a - padding + size)
            for b in range(dy.shape[2]):
                left, right = max(0, stride * b - padding), min(W, stride * b - padding + size)
                for c in range(C):
                    highest[c], winner[c] = x[n, top, left, c], zero
                for i in range(top, bottom):
                    for j in range(left, right):
                        tap = x.dtype.type((i - top) * size + j - left)
                        for c in range(C):
                            v, best = x[n, i, j, c], highest[c]
                            highest[c] = v if _wins(v, best) else best
                            winner[c] = tap if _wins(v, best) else winner[c]
                for i in range(top, bottom):
                    for j in range(left, right):
                        tap = x.dtype.type((i - top) * size + j - left)
                        for c in range(C):
                            dx[n, i, j, c] += dy[n, a, b, c] if winner[c] == tap else zero


@kernel
def _wins(v, best):
    """Whether v replaces the maximum so far, ``best``. The first NaN replaces every number, as in NumPy."""
    return (v > best) | ((v != v) & (best == best))                  # without a branch the compiler can vectorize


@replaces(book.global_max_pool, recordable=True)
def global_max_pool(u):
    z = empty((len(u), u.shape[3]), u.dtype)
    parallel_for(partial(_global_max_pool, pixels(u), z), len(u))
    return z


@kernel
def _global_max_pool(u, z, first, last):
    for n in range(first, last):
        for c in range(u.shape[2]):
            z[n, c] = u[n, 0, c]
        for r in range(1, u.shape[1]):
            for c in range(u.shape[2]):
                v, best = u[n, r, c], z[n, c]
                z[n, c] = v if _wins(v, best) else best


@replaces(book.global_max_pool_backward, recordable=True)
def global_max_pool_backward(dz, u):
    du = empty_like(u)
    parallel_for(partial(_global_max_pool_backward, dz, pixels(u), pixels(du)), len(u))
    return du


@kernel
def _global_max_pool_backward(dz, u, du, first, last):
    C, zero = u.shape[2], u.dtype.type(0)
    highest, winner = np.empty(C, u.dtype), np.empty(C, np.int64)
    for n in range(first, last):
        for c in range(C):
            highest[c], winner[c] = u[n, 0, c], 0
        for r in range(u.shape[1]):
            for c in range(C):
                v, best = u[n, r, c], highest[c]
                highest[c] = v if _wins(v, best) else best
                winner[c] = r if _wins(v, best) else winner[c]
                du[n, r, c] = zero
        for c in range(C):
            du[n, winner[c], c] = dz[n, c]
