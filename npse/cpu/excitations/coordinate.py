"""Coordinate attention: each op makes one pass over maps. Letters: as in the book.

`join_rows` and `split_rows` stay the book's: they copy H + W pixels of a map.
"""

from functools import partial

from npse import reference as book
from npse.cpu.runtime.arrays import replaces, rounded, zeros
from npse.cpu.runtime.jit import kernel
from npse.cpu.runtime.memory_pool import empty, empty_like
from npse.cpu.runtime.parallel import parallel_for
from npse.cpu.runtime.recorder import call_as_one
from npse.cpu.simd import axis_sums
from npse.cpu.simd.channel_sums import in_vectors


@replaces(book.axis_means, recordable=True)
def axis_means(u):
    N, H, W, C = u.shape
    if fast := in_vectors(u, axis_sums.axis_means):
        zh, zw = empty((N, H, C), u.dtype), zeros((N, W, C), u.dtype)
        parallel_for(partial(fast, u, zh, zw), N)
        return zh, zw
    rows, columns = zeros((N, H, C)), zeros((N, W, C))
    parallel_for(partial(_axis_sums, u, rows, columns), N)
    return call_as_one(_means, rows, columns, u.dtype)


def _means(rows, columns, dtype):
    return (rows / columns.shape[1]).astype(dtype), (columns / rows.shape[1]).astype(dtype)


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


@replaces(book.axis_means_backward, recordable=True)
def axis_means_backward(dzh, dzw):
    (N, H, C), W = dzh.shape, dzw.shape[1]
    du = empty((N, H, W, C), dzh.dtype)
    parallel_for(partial(_axis_means_backward, dzh, dzw, du), N)
    return du


@kernel
def _axis_means_backward(dzh, dzw, du, first, last):
    _, H, W, C = du.shape
    across, down = du.dtype.type(W), du.dtype.type(H)
    for n in range(first, last):
        for i in range(H):
            for j in range(W):
                for c in range(C):
                    du[n, i, j, c] = dzh[n, i, c] / across + dzw[n, j, c] / down


@replaces(book.scale_axes, recordable=True)
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


@replaces(book.scale_axes_backward, recordable=True)
def scale_axes_backward(dy, u, sh, sw):
    if fast := in_vectors(u, axis_sums.scale_axes_backward):
        du, dsh, dsw = empty_like(u), empty_like(sh), zeros(sw.shape, sw.dtype)
        parallel_for(partial(fast, dy, u, sh, sw, du, dsh, dsw), len(u))
        return du, dsh, dsw
    du, dsh, dsw = empty_like(u), zeros(sh.shape), zeros(sw.shape)
    parallel_for(partial(_scale_axes_backward, dy, u, sh, sw, du, dsh, dsw), len(u))
    return du, rounded(dsh, sh.dtype), rounded(dsw, sw.dtype)


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
