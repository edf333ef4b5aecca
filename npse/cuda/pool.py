"""Pooling over windows on the device. Pooling over the whole map is `squeeze`. Letters: as in the book.

In the forward pass a thread reads all pixels of its window. In the backward pass it reads all windows of its pixel. So
each element is written by one thread only. Windows that overlap are read again, from the cache. The backward pass adds
the windows of a pixel from the last to the first: this is the order of the taps (i, j) in the book.
"""

from numba import cuda

from npse import reference as book
from npse.cuda.runtime.arrays import replaces
from npse.cuda.runtime.device import device_function, empty, empty_like, kernel, launch, scalar
from npse.cuda.runtime.grid_stride import grid_for_rows, thread_map_in_row
from npse.cuda.se import squeeze, squeeze_backward
from npse.reference.conv import output_size

global_average_pool, global_average_pool_backward = squeeze, squeeze_backward


@replaces(book.average_pool)
def average_pool(x, size, stride=None):
    stride = size if stride is None else stride
    Ho, Wo = output_size(x.shape, (size, size), stride, 0)
    y = empty((x.shape[0], Ho, Wo, x.shape[3]), x.dtype)
    launch(_average_pool, *grid_for_rows(y), x, int(size), int(stride), scalar(size**2, x), y)
    return y


@kernel
def _average_pool(x, size, stride, count, y):
    n, a, first, c = thread_map_in_row(y.shape[3])
    if c < y.shape[3]:
        for b in range(first, y.shape[2], cuda.blockDim.y):
            total = y.dtype.type(0)
            for i in range(size):
                for j in range(size):
                    total += x[n, stride * a + i, stride * b + j, c]
            y[n, a, b, c] = total / count


@replaces(book.average_pool_backward)
def average_pool_backward(dy, x_shape, size, stride=None):
    stride = size if stride is None else stride
    dx = empty(x_shape, dy.dtype)
    launch(_average_pool_backward, *grid_for_rows(dx), dy, int(size), int(stride), scalar(size**2, dy), dx)
    return dx


@kernel
def _average_pool_backward(dy, size, stride, count, dx):
    n, h, first, c = thread_map_in_row(dx.shape[3])
    if c < dx.shape[3]:
        top, bottom = _windows(h, size, stride, dy.shape[1])
        for v in range(first, dx.shape[2], cuda.blockDim.y):
            total = dx.dtype.type(0)
            left, right = _windows(v, size, stride, dy.shape[2])
            for a in range(bottom, top - 1, -1):
                for b in range(right, left - 1, -1):
                    total += dy[n, a, b, c] / count
            dx[n, h, v, c] = total


@replaces(book.max_pool)
def max_pool(x, size, stride=None):
    stride = size if stride is None else stride
    Ho, Wo = output_size(x.shape, (size, size), stride, 0)
    y = empty((x.shape[0], Ho, Wo, x.shape[3]), x.dtype)
    launch(_max_pool, *grid_for_rows(y), x, int(size), int(stride), y)
    return y


@kernel
def _max_pool(x, size, stride, y):
    n, a, first, c = thread_map_in_row(y.shape[3])
    if c < y.shape[3]:
        for b in range(first, y.shape[2], cuda.blockDim.y):
            _, y[n, a, b, c] = _first_maximum(x, n, stride * a, stride * b, c, size)


@replaces(book.max_pool_backward)
def max_pool_backward(dy, x, size, stride=None):
    stride = size if stride is None else stride
    dx = empty_like(x)
    launch(_max_pool_backward, *grid_for_rows(dx), dy, x, int(size), int(stride), dx)
    return dx


@kernel
def _max_pool_backward(dy, x, size, stride, dx):
    n, h, first, c = thread_map_in_row(dx.shape[3])
    if c < dx.shape[3]:
        top, bottom = _windows(h, size, stride, dy.shape[1])
        for v in range(first, dx.shape[2], cuda.blockDim.y):
            total = dx.dtype.type(0)
            left, right = _windows(v, size, stride, dy.shape[2])
            for a in range(bottom, top - 1, -1):
                for b in range(right, left - 1, -1):
                    tap, _ = _first_maximum(x, n, stride * a, stride * b, c, size)
                    if tap == (h - stride * a) * size + v - stride * b:
                        total += dy[n, a, b, c]
            dx[n, h, v, c] = total


@device_function
def _windows(i, size, stride, count):
    """Return the first and the last window a, of ``count``, that contain i: stride * a <= i < stride * a + size."""
    first = (i - size) // stride + 1 if i >= size else 0
    return first, min(i // stride, count - 1)


@device_function
def _first_maximum(x, n, top, left, c, size):
    """Return the tap i*size + j of the first maximum of a window, and its value. A NaN is the maximum, as in NumPy."""
    tap, best = 0, x[n, top, left, c]
    for i in range(size):
        for j in range(size):
            value = x[n, top + i, left + j, c]
            if value > best or (value != value and best == best):
                tap, best = i * size + j, value
    return tap, best
