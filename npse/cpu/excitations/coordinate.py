"""Coordinate attention: each op makes one pass over maps. Letters: as in the book.

`join_rows` and `split_rows` stay the book's: they copy H + W pixels of a map.
"""

from functools import partial

import numpy as np

from npse import reference as book
from npse.cpu.runtime.arrays import replaces
from npse.cpu.runtime.jit import kernel
from npse.cpu.runtime.memory_pool import empty, empty_like
from npse.cpu.runtime.parallel import parallel_for
from npse.cpu.simd import axis_sums
from npse.cpu.simd.channel_sums import in_vectors


@replaces(book.axis_means)
def axis_means(u):
    N, H, W, C = u.shape
    if fast := in_vectors(u, axis_sums.axis_means):
        zh, zw = empty((N, H, C), u.dtype), np.zeros((N, W, C), u.dtype)
        parallel_for(partial(fast, u, zh, zw), N)
        return zh, zw
    rows, columns = np.zeros((N, H, C)), np.zeros((N, W, C))
    parallel_for(partial(_axis_sums, u, rows, columns), N)
    return (rows / W).astype(u.dtype), (columns / H).astype(u.dtype)


@kernel
def _axis_sums(u, rows, columns, first, last):
    _, H, W, C = u.shape
    for n in range(first, last):
        for i in range(H):
            for j in range(W):
                for c in range(C):
                    rows[n, i, c] += u[n, i, j, c]
                for c in range(C):
                    columns[n, j, c] += u[n, i, j, c]


@replaces(book.axis_means_backward)
def axis_means_backward(dzh, dzw):
    (N, H, C), W = dzh.shape, dzw.shape[1]
    du = empty((N, H, W, C), dzh.dtype)
    parallel_for(partial(_axis_means_backward, dzh / W, dzw / H, du), N)
    return du


@kernel
def _axis_means_backward(rows, columns, du, first, last):
    _, H, W, C = du.shape
    for n in range(first, last):
        for i in range(H):
            for j in range(W):
                for c in range(C):
                    du[n, i, j, c] = rows[n, i, c] + columns[n, j, c]


@replaces(book.scale_axes)
def scale_axes(u, sh, sw):
    y = empty_like(u)
    parallel_for(partial(_scale_axes, u, sh, sw, y), len(u))
    return y


@kernel
def _scale_axes(u, sh, sw, y, first, last):
    _, H, W, C = u.shape
    for n in range(first, last):
        for i in range(H):
            for j in range(W):
                for c in range(C):
                    y[n, i, j, c] = u[n, i, j, c] * (sh[n, i, c] * sw[n, j, c])


@replaces(book.scale_axes_backward)
def scale_axes_backward(dy, u, sh, sw):
    if fast := in_vectors(u, axis_sums.scale_axes_backward):
        du, dsh, dsw = empty_like(u), empty_like(sh), np.zeros_like(sw)
        parallel_for(partial(fast, dy, u, sh, sw, du, dsh, dsw), len(u))
        return du, dsh, dsw
    du, dsh, dsw = empty_like(u), np.zeros(sh.shape), np.zeros(sw.shape)
    parallel_for(partial(_scale_axes_backward, dy, u, sh, sw, du, dsh, dsw), len(u))
    return du, dsh.astype(sh.dtype), dsw.astype(sw.dtype)


@kernel
def _scale_axes_backward(dy, u, sh, sw, du, dsh, dsw, first, last):
    _, H, W, C = u.shape
    for n in range(first, last):
        for i in range(H):
            for j in range(W):             # three loops: with more arrays in one, the compiler does not vectorize
                for c in range(C):
                    du[n, i, j, c] = dy[n, i, j, c] * (sh[n, i, c] * sw[n, j, c])
                for c in range(C):
                    dsh[n, i, c] += dy[n, i, j, c] * u[n, i, j, c] * sw[n, j, c]
                for c in range(C):
                    dsw[n, j, c] += dy[n, i, j, c] * u[n, i, j, c] * sh[n, i, c]
