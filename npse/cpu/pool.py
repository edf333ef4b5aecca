"""Pooling over windows. Global average pooling is `squeeze`. Letters: as in the book."""

from functools import partial

import numpy as np

from npse import reference as book
from npse.cpu.runtime.arrays import replaces
from npse.cpu.runtime.jit import kernel
from npse.cpu.runtime.memory_pool import empty
from npse.cpu.runtime.parallel import parallel_for
from npse.cpu.se import squeeze, squeeze_backward
from npse.reference.conv import output_size

global_average_pool, global_average_pool_backward = squeeze, squeeze_backward


@replaces(book.average_pool)
def average_pool(x, size, stride=None):
    stride = size if stride is None else stride
    Ho, Wo = output_size(x.shape, (size, size), stride, 0)
    y = np.zeros((len(x), Ho, Wo, x.shape[3]), x.dtype)
    parallel_for(partial(_average_pool, x, y, size, stride, x.dtype.type(size**2)), len(x))
    return y


@kernel
def _average_pool(x, y, size, stride, count, first, last):
    for n in range(first, last):
        for a in range(y.shape[1]):
            for b in range(y.shape[2]):
                for i in range(size):
                    for j in range(size):
                        for c in range(y.shape[3]):
                            y[n, a, b, c] += x[n, stride * a + i, stride * b + j, c] / count


@replaces(book.average_pool_backward)
def average_pool_backward(dy, x_shape, size, stride=None):
    stride = size if stride is None else stride
    dx = np.zeros(x_shape, dy.dtype)
    parallel_for(partial(_average_pool_backward, dy, dx, size, stride, dy.dtype.type(size**2)), len(dx))
    return dx


@kernel
def _average_pool_backward(dy, dx, size, stride, count, first, last):
    for n in range(first, last):
        for a in range(dy.shape[1]):
            for b in range(dy.shape[2]):
                for i in range(size):
                    for j in range(size):
                        for c in range(dy.shape[3]):
                            dx[n, stride * a + i, stride * b + j, c] += dy[n, a, b, c] / count


@replaces(book.max_pool)
def max_pool(x, size, stride=None):
    stride = size if stride is None else stride
    Ho, Wo = output_size(x.shape, (size, size), stride, 0)
    y = empty((len(x), Ho, Wo, x.shape[3]), x.dtype)
    parallel_for(partial(_max_pool, x, y, size, stride), len(x))
    return y


@kernel
def _max_pool(x, y, size, stride, first, last):
    """Write the maximum of each window to y, which holds the maximum so far during the loop over the taps."""
    for n in range(first, last):
        for a in range(y.shape[1]):
            for b in range(y.shape[2]):
                for c in range(y.shape[3]):
                    y[n, a, b, c] = x[n, stride * a, stride * b, c]
                for i in range(size):
                    for j in range(size):
                        for c in range(y.shape[3]):
                            v, best = x[n, stride * a + i, stride * b + j, c], y[n, a, b, c]
                            y[n, a, b, c] = v if _wins(v, best) else best


@replaces(book.max_pool_backward)
def max_pool_backward(dy, x, size, stride=None):
    stride = size if stride is None else stride
    dx = empty(x.shape, x.dtype)
    parallel_for(partial(_max_pool_backward, dy, x, dx, size, stride), len(x))
    return dx


@kernel
def _max_pool_backward(dy, x, dx, size, stride, first, last):
    C, zero = x.shape[3], x.dtype.type(0)
    highest, winner = np.empty(C, x.dtype), np.empty(C, x.dtype)     # of each channel: its maximum, and the tap of it
    for n in range(first, last):
        dx[n] = zero
        for a in range(dy.shape[1]):
            for b in range(dy.shape[2]):
                for c in range(C):
                    highest[c], winner[c] = x[n, stride * a, stride * b, c], zero
                for i in range(size):
                    for j in range(size):
                        tap = x.dtype.type(i * size + j)
                        for c in range(C):
                            v, best = x[n, stride * a + i, stride * b + j, c], highest[c]
                            highest[c] = v if _wins(v, best) else best
                            winner[c] = tap if _wins(v, best) else winner[c]
                for i in range(size):
                    for j in range(size):
                        tap = x.dtype.type(i * size + j)
                        for c in range(C):
                            dx[n, stride * a + i, stride * b + j, c] += dy[n, a, b, c] if winner[c] == tap else zero


@kernel
def _wins(v, best):
    """Whether v replaces the maximum so far, ``best``. The first NaN replaces every number, as in NumPy."""
    return (v > best) | ((v != v) & (best == best))                  # without a branch the compiler can vectorize
