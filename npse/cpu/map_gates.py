"""Gates that differ between the pixels of a map: each op makes one pass over maps. Letters: as in the book.

Sums over the channels of a pixel use vector registers (simd/pixel_sums.py) where the channels are a whole number of
vectors, else the plain loops here.
"""

from functools import partial

from npse import reference as book
from npse.cpu.runtime.arrays import RANGE, image_sums, pixels, replaces, rounded, zeros
from npse.cpu.runtime.elementwise import elementwise
from npse.cpu.runtime.jit import kernel
from npse.cpu.runtime.memory_pool import empty, empty_like
from npse.cpu.runtime.parallel import parallel_for
from npse.cpu.simd import pixel_sums
from npse.cpu.simd.channel_sums import in_vectors


@replaces(book.scale_pixels, recordable=True)
def scale_pixels(u, s):
    y = empty_like(u)
    parallel_for(partial(_scale_pixels, pixels(u), _rows(s), pixels(y)), len(u))
    return y


@kernel
def _scale_pixels(u, s, y, first, last):
    for n in range(first, last):
        for r in range(u.shape[1]):
            for c in range(u.shape[2]):
                y[n, r, c] = u[n, r, c] * s[n, r]


@replaces(book.scale_pixels_backward, recordable=True)
def scale_pixels_backward(dy, u, s):
    du, ds = empty_like(u), empty(s.shape, s.dtype)
    task = in_vectors(u, pixel_sums.scale_pixels_backward) or _scale_pixels_backward
    parallel_for(partial(task, pixels(dy), pixels(u), _rows(s), pixels(du), _rows(ds)), len(u))
    return du, ds


@kernel
def _scale_pixels_backward(dy, u, s, du, ds, first, last):
    for n in range(first, last):
        for r in range(u.shape[1]):
            total = 0.0
            for c in range(u.shape[2]):
                du[n, r, c] = dy[n, r, c] * s[n, r]
                total += dy[n, r, c] * u[n, r, c]
            ds[n, r] = total


@replaces(book.multiply, recordable=True)
def multiply(u, s):
    return elementwise(_multiply, u, s)


def _multiply(real):
    @kernel
    def multiply(u, s):
        return u * s
    return multiply


@replaces(book.multiply_backward, recordable=True)
def multiply_backward(dy, u, s):
    du, ds = empty_like(u), empty_like(s)
    parallel_for(partial(_multiply_backward, *(x.reshape(-1) for x in (dy, u, s, du, ds))), u.size, RANGE)
    return du, ds


@kernel
def _multiply_backward(dy, u, s, du, ds, first, last):
    dy, u, s, du, ds = dy[first:last], u[first:last], s[first:last], du[first:last], ds[first:last]
    for k in range(len(dy)):
        du[k] = dy[k] * s[k]
        ds[k] = dy[k] * u[k]


@replaces(book.shift, recordable=True)
def shift(u, t):
    y = empty_like(u)
    parallel_for(partial(_shift, pixels(u), t, pixels(y)), len(u))
    return y


@kernel
def _shift(u, t, y, first, last):
    for n in range(first, last):
        for r in range(u.shape[1]):
            for c in range(u.shape[2]):
                y[n, r, c] = u[n, r, c] + t[n, c]


@replaces(book.shift_backward, recordable=True)
def shift_backward(dy):
    return dy, rounded(image_sums(dy), dy.dtype)


@replaces(book.outer_sum, recordable=True)
def outer_sum(a, p):
    y = empty((*p.shape, a.shape[1]), a.dtype)
    parallel_for(partial(_outer_sum, a, _rows(p), pixels(y)), len(y))
    return y


@kernel
def _outer_sum(a, b, y, first, last):
    for n in range(first, last):
        for r in range(y.shape[1]):
            for c in range(y.shape[2]):
                y[n, r, c] = a[n, c] + b[n, r]


@replaces(book.outer_sum_backward, recordable=True)
def outer_sum_backward(dy):
    N, H, W, C = dy.shape
    da, db = zeros((N, C)), empty((N, H, W), dy.dtype)
    task = in_vectors(dy, pixel_sums.outer_sum_backward) or _outer_sum_backward
    parallel_for(partial(task, pixels(dy), da, _rows(db)), N)
    return rounded(da, dy.dtype), db


@kernel
def _outer_sum_backward(dy, da, db, first, last):
    for n in range(first, last):
        for r in range(dy.shape[1]):
            total = 0.0
            for c in range(dy.shape[2]):
                da[n, c] += dy[n, r, c]
                total += dy[n, r, c]
            db[n, r] = total


@replaces(book.channel_pool, recordable=True)
def channel_pool(u):
    y = empty((*u.shape[:3], 2), u.dtype)
    parallel_for(partial(in_vectors(u, pixel_sums.channel_pool) or _channel_pool, pixels(u), pixels(y)), len(u))
    return y


@kernel
def _channel_pool(u, y, first, last):
    for n in range(first, last):
        for r in range(u.shape[1]):
            total = 0.0
            for c in range(u.shape[2]):
                total += u[n, r, c]
            y[n, r, 0] = u[n, r, _winner(u[n, r])]
            y[n, r, 1] = total / u.shape[2]


@replaces(book.channel_pool_backward, recordable=True)
def channel_pool_backward(dy, u):
    du = empty_like(u)
    task = in_vectors(u, pixel_sums.channel_pool_backward) or _channel_pool_backward
    parallel_for(partial(task, pixels(dy), pixels(u), pixels(du)), len(u))
    return du


@kernel
def _channel_pool_backward(dy, u, du, first, last):
    C = u.dtype.type(u.shape[2])
    for n in range(first, last):
        for r in range(u.shape[1]):
            share = dy[n, r, 1] / C
            for c in range(u.shape[2]):
                du[n, r, c] = share
            du[n, r, _winner(u[n, r])] += dy[n, r, 0]


@kernel
def _winner(u):
    """Return the index of the first maximum of u (C,); a NaN is the maximum, as in NumPy."""
    winner = 0
    for c in range(1, len(u)):
        if u[c] > u[winner] or (u[c] != u[c] and u[winner] == u[winner]):
            winner = c
    return winner


@replaces(book.maximum, recordable=True)
def maximum(a, b):
    return elementwise(_maximum, a, b)


def _maximum(real):
    @kernel
    def maximum(a, b):
        return a if (a >= b) | (a != a) else b                       # a NaN in either is the maximum
    return maximum


@replaces(book.maximum_backward, recordable=True)
def maximum_backward(dy, a, b):
    da, db = empty_like(a), empty_like(b)
    parallel_for(partial(_maximum_backward, *(x.reshape(-1) for x in (dy, a, b, da, db))), a.size, RANGE)
    return da, db


@kernel
def _maximum_backward(dy, a, b, da, db, first, last):
    dy, a, b, da, db = dy[first:last], a[first:last], b[first:last], da[first:last], db[first:last]
    zero = dy.dtype.type(0)
    for k in range(len(dy)):
        da[k] = dy[k] if a[k] >= b[k] else zero
        db[k] = zero if a[k] >= b[k] else dy[k]


def _rows(s):
    """Return a view (N, H*W) of an array with a number for each pixel (N, H, W)."""
    return s.reshape(len(s), -1)
