"""Winograd's transforms in two dimensions: maps and filters to 36 points and back, a vector of channels at a time.

A map is covered by squares of 4 x 4 outputs, ``down`` rows of ``across`` squares; the rows of a batch are numbered
through. What lies at a point is a matrix, (squares, channels) or (channels, channels). A map whose last vector of
channels would reach into the next pixel has it begin earlier: some channels are computed twice, to the same bits.
"""

from npse.cpu.compile import kernel
from npse.cpu.tile import load, store, zeros
from npse.cpu.winograd_points import (
    data_to_points,
    filter_to_points,
    map_to_points,
    points_to_filter,
    points_to_map,
)


@kernel
def _vector(x, at):
    return load(x, at, 0, 1, 1)


@kernel
def _pixel(x, at, inside):
    return load(x, at, 0, 1, 1) if inside else zeros(x, 1, 1)


@kernel
def _six(x, at, step):
    return (_vector(x, at), _vector(x, at + step), _vector(x, at + 2 * step), _vector(x, at + 3 * step),
            _vector(x, at + 4 * step), _vector(x, at + 5 * step))


@kernel
def _store_six(vectors, y, at, step):
    store(vectors[0], y, at, 0)
    store(vectors[1], y, at + step, 0)
    store(vectors[2], y, at + 2 * step, 0)
    store(vectors[3], y, at + 3 * step, 0)
    store(vectors[4], y, at + 4 * step, 0)
    store(vectors[5], y, at + 5 * step, 0)


def _to_points(size):
    """Make the kernel that takes channels begin .. end of rows first .. last of squares to points v (36, ...).

    Of size 4 it is A y A^T of each square, of size 6 B^T x B of the window that a filter sees from the square; in v a
    square takes ``pitch`` numbers. Columns come first, a whole row of squares at a time, into ``strip``: what two
    windows share is transformed once.
    """
    @kernel
    def to_points(x, begin, end, padding, down, across, first, last, strip, v, pitch, lanes):
        _, H, W, C = x.shape
        columns, step = 4 * across + size - 4, v.shape[1]
        for row in range(first, last):
            top = 4 * (row % down) - padding
            for column in range(columns):
                left = column - padding
                inside = 0 <= left < W
                for c in range(begin, end, lanes):
                    c = min(c, end - lanes)
                    at = ((row // down * H + top) * W + left) * C + c
                    d0 = _pixel(x, at, inside and 0 <= top < H)
                    d1 = _pixel(x, at + W * C, inside and 0 <= top + 1 < H)
                    d2 = _pixel(x, at + 2 * W * C, inside and 0 <= top + 2 < H)
                    d3 = _pixel(x, at + 3 * W * C, inside and 0 <= top + 3 < H)
                    if size == 4:
                        points = map_to_points(d0, d1, d2, d3)
                    else:
                        d4 = _pixel(x, at + 4 * W * C, inside and 0 <= top + 4 < H)
                        d5 = _pixel(x, at + 5 * W * C, inside and 0 <= top + 5 < H)
                        points = data_to_points(d0, d1, d2, d3, d4, d5)
                    _store_six(points, strip, column * C + c, columns * C)
            for b in range(across):
                square = (row - first) * across + b
                for i in range(6):
                    for c in range(begin, end, lanes):
                        c = min(c, end - lanes)
                        at = (i * columns + 4 * b) * C + c
                        d0, d1, d2, d3 = (_vector(strip, at), _vector(strip, at + C), _vector(strip, at + 2 * C),
                                          _vector(strip, at + 3 * C))
                        if size == 4:
                            points = map_to_points(d0, d1, d2, d3)
                        else:
                            points = data_to_points(d0, d1, d2, d3, _vector(strip, at + 4 * C),
                                                    _vector(strip, at + 5 * C))
                        _store_six(points, v, 6 * i * step + square * pitch + c - begin, step)
    return to_points


squares_to_points, windows_to_points = _to_points(4), _to_points(6)


@kernel
def points_to_squares(m, width, half, y, channel, down, across, first, last, lanes):
    """Write A^T m A, of m (36, ...), to rows first .. last of squares of y, ``width`` channels from ``channel`` on."""
    _, H, W, C = y.shape
    step = m.shape[1]
    for row in range(first, last):
        top = 4 * (row % down)
        for b in range(across):
            square = (row - first) * across + b
            for c in range(0, width, lanes):
                for i in range(6):
                    y0, y1, y2, y3 = points_to_map(*_six(m, 6 * i * step + square * width + c, step))
                    at = 4 * i * lanes
                    store(y0, half, at, 0)
                    store(y1, half, at + lanes, 0)
                    store(y2, half, at + 2 * lanes, 0)
                    store(y3, half, at + 3 * lanes, 0)
                for j in range(min(4, W - 4 * b)):
                    y0, y1, y2, y3 = points_to_map(*_six(half, j * lanes, 4 * lanes))
                    at = ((row // down * H + top) * W + 4 * b + j) * C + channel + c
                    store(y0, y, at, 0)
                    if top + 1 < H:
                        store(y1, y, at + W * C, 0)
                    if top + 2 < H:
                        store(y2, y, at + 2 * W * C, 0)
                    if top + 3 < H:
                        store(y3, y, at + 3 * W * C, 0)


@kernel
def filters_to_points(w, u, half, lanes, first, last):
    """Write G w G^T to blocks first .. last of u (blocks, 36, Cin, width): the output channels, ``width`` at a time."""
    _, _, Cin, Cout = w.shape
    width = u.shape[3]
    row = 3 * Cin * Cout
    for block in range(first, last):
        for c in range(Cin):
            for k in range(0, width, lanes):
                for j in range(3):
                    at = (j * Cin + c) * Cout + min(block * width, Cout - width) + k
                    points = filter_to_points(_vector(w, at), _vector(w, at + row), _vector(w, at + 2 * row))
                    _store_six(points, half, j * lanes, 3 * lanes)
                for i in range(6):
                    at = 3 * i * lanes
                    points = filter_to_points(_vector(half, at), _vector(half, at + lanes),
                                              _vector(half, at + 2 * lanes))
                    _store_six(points, u, ((block * 36 + 6 * i) * Cin + c) * width + k, Cin * width)


@kernel
def points_to_filters(du, half, dw, lanes, first, last):
    """Write G^T u G to input channels first .. last of dw, u being the sum of du (parts, 36, >= Cin, >= Cout)."""
    parts, points, deep, wide = du.shape
    _, _, Cin, Cout = dw.shape
    for c in range(first, last):
        for k in range(0, Cout, lanes):
            k = min(k, Cout - lanes)
            for point in range(points):
                u = _vector(du, (point * deep + c) * wide + k)
                for part in range(1, parts):
                    u = u + _vector(du, ((part * points + point) * deep + c) * wide + k)
                store(u, half, point * lanes, 0)
            for j in range(6):
                w0, w1, w2 = points_to_filter(*_six(half, j * lanes, 6 * lanes))
                store(w0, half, j * lanes, 0)
                store(w1, half, (6 + j) * lanes, 0)
                store(w2, half, (12 + j) * lanes, 0)
            for i in range(3):
                w0, w1, w2 = points_to_filter(*_six(half, 6 * i * lanes, lanes))
                at = (3 * i * Cin + c) * Cout + k
                store(w0, dw, at, 0)
                store(w1, dw, at + Cin * Cout, 0)
                store(w2, dw, at + 2 * Cin * Cout, 0)
