"""Pooling over windows on the device, and the maximum of a map. Pooling over the whole map is `squeeze`.

In the forward pass a thread reads all pixels of its window. In the backward pass it reads all windows of its pixel. So
each element is written by one thread only. Windows that overlap are read again, from the cache. The backward pass adds
the windows of a pixel from the last to the first: this is the order of the taps (i, j) in the book. Letters: as in the
book.
"""

import math

import numpy as np
from numba import cuda

from npse import reference as book
from npse.cuda.runtime.arrays import area, flat, replaces
from npse.cuda.runtime.block_reduce import higher_or_nan, max_or_nan_rows, min_rows
from npse.cuda.runtime.device import BLOCK_THREADS, device_function, empty, empty_like, kernel, launch
from npse.cuda.runtime.grid_stride import grid_for_maps, grid_for_rows, thread_map, thread_map_in_row
from npse.cuda.runtime.vectors import lanewise, launch_over_maps, launch_over_rows, where
from npse.cuda.se import squeeze, squeeze_backward
from npse.reference.pool import pooled_size

global_average_pool, global_average_pool_backward = squeeze, squeeze_backward


@replaces(book.average_pool)
def average_pool(x, size, stride=None, padding=0, ceil_mode=False, count_include_pad=True):
    how = size, stride or size, padding
    y = empty((x.shape[0], *pooled_size(x.shape, *how, ceil_mode), x.shape[3]), x.dtype)
    launch_over_rows(_average_pool, grid_for_rows, x, *map(int, (*how, padding if count_include_pad else 0)), y)
    return y


@kernel
def _average_pool(x, size, stride, padding, frame, y):
    n, a, first, c = thread_map_in_row(y.shape[3])
    if c < y.shape[3]:
        top, H, W = stride * a - padding, x.shape[1], x.shape[2]
        height = _counted(top, size, H, frame)
        for b in range(first, y.shape[2], cuda.blockDim.y):
            total, left = y.dtype.type(0), stride * b - padding
            for i in range(max(top, 0), min(top + size, H)):
                for j in range(max(left, 0), min(left + size, W)):
                    total += x[n, i, j, c]
            y[n, a, b, c] = total / y.dtype.type(height * _counted(left, size, W, frame))


@device_function
def _counted(first, size, extent, frame):
    """Return how many places of a window count in an average: those in the map, or at most ``frame`` beyond it."""
    return min(first + size, extent + frame) - max(first, -frame)


@replaces(book.average_pool_backward)
def average_pool_backward(dy, x_shape, size, stride=None, padding=0, ceil_mode=False, count_include_pad=True):
    dx, how = empty(x_shape, dy.dtype), (size, stride or size, padding, padding if count_include_pad else 0)
    launch_over_rows(_average_pool_backward, grid_for_rows, dy, *map(int, how), dx)
    return dx


@kernel
def _average_pool_backward(dy, size, stride, padding, frame, dx):
    n, h, first, c = thread_map_in_row(dx.shape[3])
    if c < dx.shape[3]:
        H, W = dx.shape[1], dx.shape[2]
        top, bottom = _windows(h + padding, size, stride, dy.shape[1])
        for v in range(first, W, cuda.blockDim.y):
            total = dx.dtype.type(0)
            left, right = _windows(v + padding, size, stride, dy.shape[2])
            for a in range(bottom, top - 1, -1):
                height = _counted(stride * a - padding, size, H, frame)
                for b in range(right, left - 1, -1):
                    width = _counted(stride * b - padding, size, W, frame)
                    total += dy[n, a, b, c] / dx.dtype.type(height * width)
            dx[n, h, v, c] = total


@replaces(book.max_pool)
def max_pool(x, size, stride=None, padding=0, ceil_mode=False):
    how = size, stride or size, padding
    y = empty((x.shape[0], *pooled_size(x.shape, *how, ceil_mode), x.shape[3]), x.dtype)
    launch_over_rows(_max_pool, grid_for_rows, x, *map(int, how), y)
    return y


@kernel
def _max_pool(x, size, stride, padding, y):
    n, a, first, c = thread_map_in_row(y.shape[3])
    if c < y.shape[3]:
        for b in range(first, y.shape[2], cuda.blockDim.y):
            _, y[n, a, b, c] = _first_maximum(x, n, stride * a - padding, stride * b - padding, c, size)


@replaces(book.max_pool_backward)
def max_pool_backward(dy, x, size, stride=None, padding=0, ceil_mode=False):
    dx = empty_like(x)
    launch_over_rows(_max_pool_backward, grid_for_rows, dy, x, *map(int, (size, stride or size, padding)), dx)
    return dx


@kernel
def _max_pool_backward(dy, x, size, stride, padding, dx):
    n, h, first, c = thread_map_in_row(dx.shape[3])
    if c < dx.shape[3]:
        i = h + padding
        top, bottom = _windows(i, size, stride, dy.shape[1])
        for v in range(first, dx.shape[2], cuda.blockDim.y):
            zero, j = dx.dtype.type(0), v + padding
            total = zero
            left, right = _windows(j, size, stride, dy.shape[2])
            for a in range(bottom, top - 1, -1):
                for b in range(right, left - 1, -1):
                    tap, _ = _first_maximum(x, n, stride * a - padding, stride * b - padding, c, size)
                    own = dx.dtype.type((i - stride * a) * size + j - stride * b)
                    total += where(_is_equal(tap, own), dy[n, a, b, c], zero)
            dx[n, h, v, c] = total


@device_function
def _windows(i, size, stride, count):
    """Return the first and the last window a, of ``count``, that contain i: stride * a <= i < stride * a + size."""
    first = (i - size) // stride + 1 if i >= size else 0
    return first, min(i // stride, count - 1)


@device_function
def _first_maximum(x, n, top, left, c, size):
    """Return the tap i*size + j of the first maximum of a window, and its value. A NaN is the maximum, as in NumPy.

    The tap is a number of the dtype of x, so that it is a vector if x holds vectors. Taps beyond the map are left out.
    """
    first_i, first_j = max(0, -top), max(0, -left)
    tap, best = x.dtype.type(first_i * size + first_j), x[n, top + first_i, left + first_j, c]
    for i in range(first_i, min(size, x.shape[1] - top)):
        for j in range(first_j, min(size, x.shape[2] - left)):
            value = x[n, top + i, left + j, c]
            better = _is_larger_or_first_nan(value, best)
            tap, best = where(better, x.dtype.type(i * size + j), tap), where(better, value, best)
    return tap, best


@lanewise
@device_function
def _is_larger_or_first_nan(value, best):
    return value > best or (value != value and best == best)


@lanewise
@device_function
def _is_equal(a, b):
    return a == b


@replaces(book.global_max_pool)
def global_max_pool(u):
    z = empty((u.shape[0], u.shape[3]), u.dtype)
    launch_over_maps(_global_max_pool, grid_for_maps, u, area(u), z)
    return z


@kernel
def _global_max_pool(u, R, z):
    shared = cuda.shared.array(BLOCK_THREADS, z.dtype)
    n, c, first, end, step = thread_map(R, z.shape[1])
    best = _largest(shared, u, first, end, step)
    if c < z.shape[1] and cuda.threadIdx.y == 0:
        z[n, c] = best


@replaces(book.global_max_pool_backward)
def global_max_pool_backward(dz, u):
    du = empty_like(u)
    launch(_global_max_pool_backward, *grid_for_maps(u), dz, flat(u), area(u), flat(du))
    return du


@kernel
def _global_max_pool_backward(dz, u, R, du):
    shared, places = cuda.shared.array(BLOCK_THREADS, u.dtype), cuda.shared.array(BLOCK_THREADS, np.int64)
    n, c, first, end, step = thread_map(R, dz.shape[1])
    best = _largest(shared, u, first, end, step)
    winner = np.int64(u.size)
    for k in range(first, end, step):
        if np.int64(k) < winner and (u[k] == best or u[k] != u[k]):
            winner = np.int64(k)
    winner = min_rows(places, winner)
    if c < dz.shape[1]:
        for k in range(first, end, step):
            du[k] = dz[n, c] if np.int64(k) == winner else dz.dtype.type(0)


@device_function
def _largest(shared, u, first, end, step):
    """Return the largest of the elements of all threads of a channel, or NaN if one is NaN."""
    best = u.dtype.type(-math.inf)
    for k in range(first, end, step):
        best = higher_or_nan(u[k], best)
    return max_or_nan_rows(shared, best)
