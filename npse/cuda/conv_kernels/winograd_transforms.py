"""Winograd's transforms in two dimensions: maps and filters to 36 points, and back.

A thread transforms one channel of a square, in registers. Neighbouring threads take neighbouring channels, so every
access of a warp is coalesced. At the points an array has the shape (36, squares, channels) or (36, Cin, Cout); point
(i, j) has the number 6 i + j. A map has ``down`` rows of ``across`` squares.
"""

import functools

import numpy as np
from numba import cuda

from npse.cuda.conv_kernels.patches import place_in
from npse.cuda.runtime.device import BLOCK_THREADS, SIMULATED, device_function, empty, kernel, launch
from npse.editions.winograd import POINTS, transforms
from npse.support.arithmetic import ceil_div

WIDTH = 4 if SIMULATED else 64                         # threads of a block along the channels
COLUMNS, WINDOW = (4, 6), (6, 6)


@device_function
def _fma(a, b, c):
    return a * b + c


data_to_points, filter_to_points, points_to_map, map_to_points, points_to_filter = transforms(
    device_function, _fma, np.float32)


def _grid(rows, columns):
    """Return blocks and threads for a table of squares by channels: see `_mine`."""
    width = min(columns, WIDTH)
    height = min(BLOCK_THREADS // width, rows)
    return (ceil_div(rows, height), ceil_div(columns, width)), (width, height)


@device_function
def _mine():
    """Return row and column of a table for this thread. They may be beyond the table."""
    return (np.int32(cuda.blockIdx.x * cuda.blockDim.y + cuda.threadIdx.y),
            np.int32(cuda.blockIdx.y * cuda.blockDim.x + cuda.threadIdx.x))


@device_function
def _put(six, points, i, s, c):
    """Write six values to points 6 i .. 6 i + 5 of a square and a channel."""
    for j in range(6):
        points[6 * i + j, s, c] = six[j]


@device_function
def _pixel(x, n, h, w, c):
    """Return an element of x (N, H, W, C), or zero if the pixel is outside of the map; the load is not conditional."""
    inside = 0 <= h < x.shape[1] and 0 <= w < x.shape[2]
    value = x[n, np.uint32(h if inside else 0), np.uint32(w if inside else 0), c]
    return value if inside else x.dtype.type(0)


def windows_to_points(x, padding, covered, v):
    """Write B^T x B of the window of 6 x 6 pixels that each square needs to v (36, squares, C)."""
    down, across = covered
    launch(_windows_to_points, *_grid(*v.shape[1:]), x, padding, down, across, v)


@kernel
def _windows_to_points(x, padding, down, across, v):
    s, c = _mine()
    if s < v.shape[1] and c < v.shape[2]:
        half = cuda.local.array(WINDOW, x.dtype)
        n, a, b = place_in(s, np.int32(down), np.int32(across))
        top, left = np.int32(4 * a - padding), np.int32(4 * b - padding)
        for j in range(6):
            column = data_to_points(_pixel(x, n, top, left + j, c), _pixel(x, n, top + 1, left + j, c),
                                    _pixel(x, n, top + 2, left + j, c), _pixel(x, n, top + 3, left + j, c),
                                    _pixel(x, n, top + 4, left + j, c), _pixel(x, n, top + 5, left + j, c))
            for i in range(6):
                half[i, j] = column[i]
        for i in range(6):
            _put(data_to_points(half[i, 0], half[i, 1], half[i, 2], half[i, 3], half[i, 4], half[i, 5]), v, i, s, c)


def maps_to_points(dy, covered, z):
    """Write Z = A dy A^T of each square of dy to z (36, squares, K)."""
    down, across = covered
    launch(_maps_to_points, *_grid(*z.shape[1:]), dy, down, across, z)


@kernel
def _maps_to_points(dy, down, across, z):
    s, k = _mine()
    if s < z.shape[1] and k < z.shape[2]:
        half = cuda.local.array(WINDOW, dy.dtype)
        n, a, b = place_in(s, np.int32(down), np.int32(across))
        top, left = np.int32(4 * a), np.int32(4 * b)
        for j in range(4):
            column = map_to_points(_pixel(dy, n, top, left + j, k), _pixel(dy, n, top + 1, left + j, k),
                                   _pixel(dy, n, top + 2, left + j, k), _pixel(dy, n, top + 3, left + j, k))
            for i in range(6):
                half[i, j] = column[i]
        for i in range(6):
            _put(map_to_points(half[i, 0], half[i, 1], half[i, 2], half[i, 3]), z, i, s, k)


def points_to_maps(m, covered, added, y):
    """Write y = A^T M A, plus ``added`` if it is not None, for products M at the points m (36, squares, K)."""
    down, across = covered
    launch(_points_to_maps(added is not None), *_grid(*m.shape[1:]), m, down, across, y if added is None else added, y)


@functools.cache
def _points_to_maps(adds):
    @kernel
    def points_to_maps(m, down, across, added, y):
        s, k = _mine()
        if s < m.shape[1] and k < m.shape[2]:
            half = cuda.local.array(COLUMNS, m.dtype)
            n, a, b = place_in(s, np.int32(down), np.int32(across))
            for j in range(6):
                column = points_to_map(m[j, s, k], m[6 + j, s, k], m[12 + j, s, k], m[18 + j, s, k], m[24 + j, s, k],
                                       m[30 + j, s, k])
                for i in range(4):
                    half[i, j] = column[i]
            for i in range(4):
                row = points_to_map(half[i, 0], half[i, 1], half[i, 2], half[i, 3], half[i, 4], half[i, 5])
                h = 4 * a + i
                for j in range(4):
                    w = 4 * b + j
                    if h < y.shape[1] and w < y.shape[2]:
                        y[n, h, w, k] = row[j] + added[n, h, w, k] if adds else row[j]
    return points_to_maps


def filters_to_points(w):
    """Return U = G w G^T (36, Cin, Cout) of filters w (3, 3, Cin, Cout)."""
    _, _, Cin, Cout = w.shape
    return _filters_at_points(w, Cin, Cout, turned=False)


def turned_filters_to_points(w):
    """Return the same (36, Cout, Cin) of the filters of the input gradient: w flipped and transposed."""
    _, _, Cin, Cout = w.shape
    return _filters_at_points(w, Cout, Cin, turned=True)


def _filters_at_points(w, rows, columns, turned):
    u = empty((POINTS, rows, columns), w.dtype)
    launch(_filters_to_points(turned), *_grid(rows, columns), w, u)
    return u


@functools.cache
def _filters_to_points(turned):
    @device_function
    def tap(w, i, j, r, c):
        return w[2 - i, 2 - j, c, r] if turned else w[i, j, r, c]

    @kernel
    def filters_to_points(w, u):
        r, c = _mine()
        if r < u.shape[1] and c < u.shape[2]:
            half = cuda.local.array(WINDOW, w.dtype)
            for j in range(3):
                column = filter_to_points(tap(w, 0, j, r, c), tap(w, 1, j, r, c), tap(w, 2, j, r, c))
                for i in range(6):
                    half[i, j] = column[i]
            for i in range(6):
                _put(filter_to_points(half[i, 0], half[i, 1], half[i, 2]), u, i, r, c)
    return filters_to_points


def points_to_filters(du):
    """Return dw = G^T dU G (3, 3, Cin, Cout), where dU is the sum of the parts du (parts, 36, Cin, Cout)."""
    _, _, Cin, Cout = du.shape
    dw = empty((3, 3, Cin, Cout), du.dtype)
    launch(_points_to_filters, *_grid(Cin, Cout), du, dw)
    return dw


@kernel
def _points_to_filters(du, dw):
    c, k = _mine()
    if c < du.shape[2] and k < du.shape[3]:
        total = cuda.local.array(WINDOW, du.dtype)
        for i in range(6):
            for j in range(6):
                total[i, j] = du[0, 6 * i + j, c, k]
        for part in range(1, du.shape[0]):
            for i in range(6):
                for j in range(6):
                    total[i, j] += du[part, 6 * i + j, c, k]
        for j in range(6):
            column = points_to_filter(total[0, j], total[1, j], total[2, j], total[3, j], total[4, j], total[5, j])
            for i in range(3):
                total[i, j] = column[i]
        for i in range(3):
            row = points_to_filter(total[i, 0], total[i, 1], total[i, 2], total[i, 3], total[i, 4], total[i, 5])
            for j in range(3):
                dw[i, j, c, k] = row[j]
