"""Gates that differ between the pixels of a map, on the device. Letters: as in the book.

Kernels without sums over channels divide maps as in grid_stride.py; p is the pixel of an element in the whole batch. In
kernels with sums over channels, `LANES` threads work on one pixel.
"""

from numba import cuda

from npse import reference as book
from npse.cuda.runtime.arrays import area, flat, replaces
from npse.cuda.runtime.block_reduce import max_or_nan_lanes, min_lanes, sum_lanes, sum_rows
from npse.cuda.runtime.device import BLOCK_THREADS, device_function, empty, empty_like, kernel, launch
from npse.cuda.runtime.elementwise import elementwise
from npse.cuda.runtime.grid_stride import (
    LANES,
    grid_for_elements,
    grid_for_lists,
    grid_for_maps,
    grid_for_pixels,
    grid_stride,
    row_of_warp,
    thread_map,
)
from npse.cuda.runtime.vectors import launch_over_elements, launch_over_maps


@replaces(book.scale_pixels)
def scale_pixels(u, s):
    y = empty_like(u)
    launch(_scale_pixels, *grid_for_pixels(u), flat(u), area(u), u.shape[3], flat(s), flat(y))
    return y


@kernel
def _scale_pixels(u, R, C, s, y):
    _, c, k, end, step = thread_map(R, C)
    if c < C:
        p, pixels = k // C, step // C
        while k < end:
            y[k] = u[k] * s[p]
            k += step
            p += pixels


@replaces(book.scale_pixels_backward)
def scale_pixels_backward(dy, u, s):
    du, ds, pixels = empty_like(u), empty_like(s), _pixels(u)
    launch(_scale_pixels_backward, *grid_for_lists(pixels), _pixels(dy), pixels, flat(s), _pixels(du), flat(ds))
    return du, ds


@kernel
def _scale_pixels_backward(dy, u, s, du, ds):
    shared = cuda.shared.array(BLOCK_THREADS, u.dtype)
    p, total = row_of_warp(), u.dtype.type(0)
    if p < u.shape[0]:
        for c in range(cuda.threadIdx.x, u.shape[1], LANES):
            total += dy[p, c] * u[p, c]
            du[p, c] = dy[p, c] * s[p]
    total = sum_lanes(shared, total)
    if p < u.shape[0] and cuda.threadIdx.x == 0:
        ds[p] = total


@replaces(book.multiply)
def multiply(u, s):
    return elementwise(_multiply, u, s)


def _multiply(real):
    @device_function
    def multiply(u, s):
        return u * s
    return multiply


@replaces(book.multiply_backward)
def multiply_backward(dy, u, s):
    du, ds = empty_like(u), empty_like(s)
    launch_over_elements(_multiply_backward, dy, u, s, du, ds)
    return du, ds


@kernel
def _multiply_backward(dy, u, s, du, ds):
    k, end, step = grid_stride(u.size)
    while k < end:
        g = dy[k]
        du[k] = g * s[k]
        ds[k] = g * u[k]
        k += step


@replaces(book.shift)
def shift(u, t):
    y = empty_like(u)
    launch_over_maps(_shift, grid_for_pixels, u, area(u), t, y)
    return y


@kernel
def _shift(u, R, t, y):
    n, c, k, end, step = thread_map(R, t.shape[1])
    if c < t.shape[1]:
        context = t[n, c]
        while k < end:
            y[k] = u[k] + context
            k += step


@replaces(book.shift_backward)
def shift_backward(dy):
    return dy, _sums_of_maps(dy)


@replaces(book.outer_sum)
def outer_sum(a, p):
    y = empty((*p.shape, a.shape[1]), a.dtype)
    launch(_outer_sum, *grid_for_pixels(y), a, area(y), flat(p), flat(y))
    return y


@kernel
def _outer_sum(a, R, b, y):
    C = a.shape[1]
    n, c, k, end, step = thread_map(R, C)
    if c < C:
        of_channel, p, pixels = a[n, c], k // C, step // C
        while k < end:
            y[k] = of_channel + b[p]
            k += step
            p += pixels


@replaces(book.outer_sum_backward)
def outer_sum_backward(dy):
    db, pixels = empty(dy.shape[:3], dy.dtype), _pixels(dy)
    launch(_sums_of_pixels, *grid_for_lists(pixels), pixels, flat(db))
    return _sums_of_maps(dy), db


@kernel
def _sums_of_pixels(dy, db):
    shared = cuda.shared.array(BLOCK_THREADS, dy.dtype)
    p, total = row_of_warp(), dy.dtype.type(0)
    if p < dy.shape[0]:
        for c in range(cuda.threadIdx.x, dy.shape[1], LANES):
            total += dy[p, c]
    total = sum_lanes(shared, total)
    if p < dy.shape[0] and cuda.threadIdx.x == 0:
        db[p] = total


def _sums_of_maps(dy):
    """Return the sums over the maps: (N, H, W, C) -> (N, C)."""
    sums = empty((dy.shape[0], dy.shape[3]), dy.dtype)
    launch_over_maps(_add_up_maps, grid_for_maps, dy, area(dy), sums)
    return sums


@kernel
def _add_up_maps(dy, R, sums):
    shared = cuda.shared.array(BLOCK_THREADS, dy.dtype)
    n, c, first, end, step = thread_map(R, sums.shape[1])
    total = dy.dtype.type(0)
    for k in range(first, end, step):
        total += dy[k]
    total = sum_rows(shared, total)
    if c < sums.shape[1] and cuda.threadIdx.y == 0:
        sums[n, c] = total


@replaces(book.channel_pool)
def channel_pool(u):
    y, pixels = empty((*u.shape[:3], 2), u.dtype), _pixels(u)
    launch(_channel_pool, *grid_for_lists(pixels), pixels, u.dtype.type(u.shape[3]), _pixels(y))
    return y


@kernel
def _channel_pool(u, count, y):
    shared = cuda.shared.array(BLOCK_THREADS, u.dtype)
    P, C = u.shape
    p = row_of_warp()
    row, total = min(p, P - 1), u.dtype.type(0)
    for c in range(cuda.threadIdx.x, C, LANES):
        total += u[row, c]
    total = sum_lanes(shared, total)
    best, _ = _first_maximum(u, row)
    best = max_or_nan_lanes(shared, best)
    if p < P and cuda.threadIdx.x == 0:
        y[p, 0] = best
        y[p, 1] = total / count


@replaces(book.channel_pool_backward)
def channel_pool_backward(dy, u):
    du, pixels = empty_like(u), _pixels(u)
    launch(_channel_pool_backward, *grid_for_lists(pixels), _pixels(dy), pixels, u.dtype.type(u.shape[3]), _pixels(du))
    return du


@kernel
def _channel_pool_backward(dy, u, count, du):
    shared = cuda.shared.array(BLOCK_THREADS, u.dtype)
    P, C = u.shape
    p = row_of_warp()
    row = min(p, P - 1)
    best, place = _first_maximum(u, row)
    highest = max_or_nan_lanes(shared, best)
    winner = min_lanes(shared, place if best == highest or best != best else count)
    share = dy[row, 1] / count
    if p < P:
        for c in range(cuda.threadIdx.x, C, LANES):
            du[p, c] = share + dy[p, 0] if winner == u.dtype.type(c) else share


@device_function
def _first_maximum(u, row):
    """Return the first maximum of the channels of this thread, and its channel as a floating-point number.

    A NaN is the maximum, as in NumPy. A thread without a channel returns the first channel of all.
    """
    best, place = u[row, 0], u.dtype.type(0)
    if cuda.threadIdx.x < u.shape[1]:
        best, place = u[row, cuda.threadIdx.x], u.dtype.type(cuda.threadIdx.x)
    for c in range(cuda.threadIdx.x + LANES, u.shape[1], LANES):
        value = u[row, c]
        if value > best or (value != value and best == best):
            best, place = value, u.dtype.type(c)
    return best, place


def _pixels(maps):
    """Return a view (N*H*W, C) of maps (N, H, W, C)."""
    return maps.reshape(maps.size // maps.shape[3], maps.shape[3])


@replaces(book.maximum)
def maximum(a, b):
    return elementwise(_maximum, a, b)


def _maximum(real):
    @device_function
    def maximum(a, b):
        return a if (a >= b) | (a != a) else b                       # a NaN in either is the maximum
    return maximum


@replaces(book.maximum_backward)
def maximum_backward(dy, a, b):
    da, db = empty_like(a), empty_like(b)
    launch(_maximum_backward, *grid_for_elements(a), flat(dy), flat(a), flat(b), flat(da), flat(db))
    return da, db


@kernel
def _maximum_backward(dy, a, b, da, db):
    zero = dy.dtype.type(0)
    k, end, step = grid_stride(a.size)
    while k < end:
        g, first = dy[k], a[k] >= b[k]
        da[k] = g if first else zero
        db[k] = zero if first else g
        k += step
