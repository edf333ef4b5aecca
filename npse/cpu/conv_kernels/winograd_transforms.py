"""Winograd's transforms in two dimensions: maps and filters to 36 points and back, a vector of channels at a time.

A map is covered by squares of 4 x 4 outputs, ``down`` rows of ``across`` squares. The rows of squares of all maps of a
batch are numbered together. At the points a map has the shape (groups, chunks, 36, squares, WIDTH): groups of squares,
chunks of channels. If the last chunk would reach into the next pixel, it begins earlier. Point (i, j) of a square has
the number 6 j + i. How many squares a group has follows from the `Tile` of the products.
"""

import functools
from typing import NamedTuple

import numpy as np

from npse.cpu.runtime.jit import kernel
from npse.cpu.simd.tile import fma, lanes, load, load_if, relu, store, zeros
from npse.editions.winograd import transforms

TRANSFORMS = data_to_points, filter_to_points, points_to_map, map_to_points, points_to_filter = transforms(
    kernel, fma, float)

LANES = lanes(np.float32)
WIDTH = 16                                     # channels of a chunk: a vector, or a few of them


class Tile(NamedTuple):
    """The products that are summed in registers: of ``squares`` squares, at ``points`` points (1 or 6), of ``width``
    channels of the result."""

    squares: int
    points: int
    width: int


# All points of a column at once need no memory for their products. With one point, each number that is loaded is used
# for more products; that pays if there are many channels to sum over.
TILE = Tile(4, 6, WIDTH) if LANES == WIDTH else Tile(6, 1, WIDTH)
WIDE_TILE = Tile(12, 1, 2 * WIDTH) if LANES == WIDTH else TILE


@kernel
def _vector(x, at):
    return load(x, at, 0, 1, 1)


@kernel
def _three(x, at, step):
    return _vector(x, at), _vector(x, at + step), _vector(x, at + 2 * step)


@kernel
def load_six(x, at, step):
    return (_vector(x, at), _vector(x, at + step), _vector(x, at + 2 * step), _vector(x, at + 3 * step),
            _vector(x, at + 4 * step), _vector(x, at + 5 * step))


@kernel
def _store_six(vectors, y, at, step):
    for k in range(6):
        store(vectors[k], y, at + k * step, 0)


@kernel
def _four_inside(x, at, step, rows, column):
    """Return four pixels, one below another, a vector of channels each; zeros for those outside of the map."""
    if column:
        return (load_if(rows[0], x, at), load_if(rows[1], x, at + step), load_if(rows[2], x, at + 2 * step),
                load_if(rows[3], x, at + 3 * step))
    outside = zeros(x, 1, 1)
    return outside, outside, outside, outside


@kernel
def _two_inside(x, at, step, rows, column):
    """Return the next two pixels below those of `_four_inside`; zeros for those outside of the map."""
    if column:
        return load_if(rows[4], x, at + 4 * step), load_if(rows[5], x, at + 5 * step)
    outside = zeros(x, 1, 1)
    return outside, outside


@kernel
def _window_column(x, at, step, rows, column):
    return data_to_points(*_four_inside(x, at, step, rows, column), *_two_inside(x, at, step, rows, column))


@kernel
def _square_column(x, at, step, rows, column):
    return map_to_points(*_four_inside(x, at, step, rows, column))


@functools.cache
def _to_points(size, squares):
    """Make the kernel that transforms chunks begin .. end of rows first .. last of squares to points, into v.

    A group has ``squares`` squares. With size 4 it computes A y A^T of each square, with size 6 B^T x B of the window
    of 6 x 6 pixels that the square needs. Neighbouring windows share columns. Their transforms are computed twice,
    because storing them would take more time.
    """
    apart = squares * WIDTH                     # elements from one point to the next

    @kernel
    def to_points(x, begin, end, padding, down, across, first, last, v):
        _, H, W, C = x.shape
        for row in range(first, last):
            n, top = row // down, 4 * (row % down) - padding
            rows = 0 <= top < H, 0 <= top + 1 < H, top + 2 < H, top + 3 < H, top + 4 < H, top + 5 < H
            for b in range(across):
                square, left = (row - first) * across + b, 4 * b - padding
                for c in range(begin * WIDTH, end * WIDTH, LANES):
                    chunk, k = c // WIDTH, c % WIDTH
                    at = ((n * H + top) * W + left) * C + min(chunk * WIDTH, C - WIDTH) + k
                    to = (square // squares * (end - begin) + chunk - begin) * 36 * apart + square % squares * WIDTH + k
                    if size == 6:
                        c0 = _window_column(x, at, W * C, rows, 0 <= left < W)
                        c1 = _window_column(x, at + C, W * C, rows, 0 <= left + 1 < W)
                        c2 = _window_column(x, at + 2 * C, W * C, rows, left + 2 < W)
                        c3 = _window_column(x, at + 3 * C, W * C, rows, left + 3 < W)
                        c4 = _window_column(x, at + 4 * C, W * C, rows, left + 4 < W)
                        c5 = _window_column(x, at + 5 * C, W * C, rows, left + 5 < W)
                        for i in range(6):
                            points = data_to_points(c0[i], c1[i], c2[i], c3[i], c4[i], c5[i])
                            _store_six(points, v, to + i * apart, 6 * apart)
                    else:
                        c0 = _square_column(x, at, W * C, rows, left < W)
                        c1 = _square_column(x, at + C, W * C, rows, left + 1 < W)
                        c2 = _square_column(x, at + 2 * C, W * C, rows, left + 2 < W)
                        c3 = _square_column(x, at + 3 * C, W * C, rows, left + 3 < W)
                        for i in range(6):
                            _store_six(map_to_points(c0[i], c1[i], c2[i], c3[i]), v, to + i * apart, 6 * apart)
    return to_points


squares_to_points, windows_to_points = functools.partial(_to_points, 4), functools.partial(_to_points, 6)


@functools.cache
def columns_to_squares(tile):
    """Make the kernel that writes m A to rows first .. last of squares of y, for channels from ``channel`` on.

    m has the shape (groups, 6, 6, tile.squares, tile.width). It was already multiplied by A^T, so each column uses only
    four of its six places. If ``affine`` is not None, y goes through it: see `npse.cpu.conv_kernels.direct.forward`. If
    ``plus``, an array like y, is not None, it is added. If ``sums`` (2, N, down, C) is not None, the sums of y and of
    y^2 over each row of squares are written to it.
    """
    squares, _, width = tile

    @kernel
    def columns_to_squares(m, y, affine, plus, sums, channel, down, across, first, last):
        _, H, W, C = y.shape
        for row in range(first, last):
            n, top = row // down, 4 * (row % down)
            for c in range(0, width, LANES):
                total = squared = zeros(y, 1, 1)
                for b in range(across):
                    square, left = (row - first) * across + b, 4 * b
                    for i in range(min(4, H - top)):
                        at = (square // squares * 36 + i) * squares * width + square % squares * width + c
                        y0, y1, y2, y3 = points_to_map(*load_six(m, at, 6 * squares * width))
                        if affine is not None:
                            slope, shift = _vector(affine[0], channel + c), _vector(affine[1], channel + c)
                            y0, y1 = fma(y0, slope, shift), fma(y1, slope, shift)
                            y2, y3 = fma(y2, slope, shift), fma(y3, slope, shift)
                            if affine[2]:
                                y0, y1, y2, y3 = relu(y0), relu(y1), relu(y2), relu(y3)
                        at = ((n * H + top + i) * W + left) * C + channel + c
                        if plus is not None:
                            y0 = y0 + _vector(plus, at)
                            y1 = y1 + load_if(left + 1 < W, plus, at + C)
                            y2 = y2 + load_if(left + 2 < W, plus, at + 2 * C)
                            y3 = y3 + load_if(left + 3 < W, plus, at + 3 * C)
                        store(y0, y, at, 0)
                        total, squared = total + y0, fma(y0, y0, squared)
                        if left + 1 < W:
                            store(y1, y, at + C, 0)
                            total, squared = total + y1, fma(y1, y1, squared)
                        if left + 2 < W:
                            store(y2, y, at + 2 * C, 0)
                            total, squared = total + y2, fma(y2, y2, squared)
                        if left + 3 < W:
                            store(y3, y, at + 3 * C, 0)
                            total, squared = total + y3, fma(y3, y3, squared)
                if sums is not None:
                    at = row * C + channel + c
                    store(total, sums, at, 0)
                    store(squared, sums, at + sums.size // 2, 0)
    return columns_to_squares


@functools.cache
def _filter_writer(tile):
    """Make the function that writes G w G^T of the filters at w[at], a vector of them, to u.

    ``row`` and ``column`` are the distances between their taps.
    """
    _, points, width = tile

    @kernel
    def write(w, at, row, column, u, to, Cin):
        point = width if points == 6 else Cin * width
        c0 = filter_to_points(*_three(w, at, row))
        c1 = filter_to_points(*_three(w, at + column, row))
        c2 = filter_to_points(*_three(w, at + 2 * column, row))
        for i in range(6):
            _store_six(filter_to_points(c0[i], c1[i], c2[i]), u, to + i * point, 6 * Cin * width)
    return write


@functools.cache
def filters_to_points(tile):
    """Make the kernel that writes G w G^T to blocks first .. last of u (blocks, 6, 6 / points, Cin, points, width).

    A block is tile.width output channels. Its points have the order in which they are multiplied.
    """
    _, points, width = tile
    write = _filter_writer(tile)

    @kernel
    def filters_to_points(w, u, first, last):
        _, _, Cin, Cout = w.shape
        for block in range(first, last):
            for c in range(Cin):
                for k in range(0, width, LANES):
                    write(w, c * Cout + min(block * width, Cout - width) + k, 3 * Cin * Cout, Cin * Cout,
                          u, (block * 36 * Cin + c * points) * width + k, Cin)
    return filters_to_points


@functools.cache
def turned_filters_to_points(tile):
    """Make the kernel that does the same for w turned by 180 degrees and with its two channel axes exchanged.

    Here a block is tile.width input channels.
    """
    _, points, width = tile
    write, shape = _filter_writer(tile), (3, 3, WIDTH, width)     # one chunk of output channels, a block of the others

    @kernel
    def turned_filters_to_points(w, u, first, last):
        _, _, Cin, Cout = w.shape
        turned = np.empty(shape, w.dtype)
        for block in range(first, last):
            i = min(block * width, Cin - width)
            for chunk in range(0, Cout, WIDTH):
                o = min(chunk, Cout - WIDTH)
                for a in range(3):
                    for b in range(3):
                        for c in range(width):
                            for k in range(WIDTH):
                                turned[2 - a, 2 - b, k, c] = w[a, b, i + c, o + k]
                for k in range(WIDTH):
                    for c in range(0, width, LANES):
                        write(turned, k * width + c, 3 * WIDTH * width, WIDTH * width,
                              u, (block * 36 * Cout + (o + k) * points) * width + c, Cout)
    return turned_filters_to_points


@kernel
def _part_sum(du, at):
    """Return the vector at du[at], summed over the parts (the first axis of du)."""
    total = _vector(du, at)
    for part in range(1, len(du)):
        total = total + _vector(du, part * (du.size // len(du)) + at)
    return total


@kernel
def points_to_filters(du, dw, first, last):
    """Write G^T u G to chunks first .. last of the input channels of dw, where u is the sum of the parts of du.

    For du see `multiply_transposed`.
    """
    _, _, Cin, Cout = dw.shape
    half = np.empty(18 * LANES, dw.dtype)
    deepest, blocks, _, width = du.shape[3:]
    step = deepest * blocks * WIDTH * width
    for i in range(first, last):
        begin = min(i * WIDTH, Cin - WIDTH)
        for row in range(i * WIDTH - begin, WIDTH):
            for o in range(0, blocks * width, LANES):
                chunk, k = o // WIDTH, o % WIDTH
                at = i // deepest * 36 * step + ((i % deepest * blocks + o // width) * WIDTH + row) * width + o % width
                for j in range(6):
                    w0, w1, w2 = points_to_filter(_part_sum(du, at), _part_sum(du, at + step),
                                                  _part_sum(du, at + 2 * step),
                                                  _part_sum(du, at + 3 * step), _part_sum(du, at + 4 * step),
                                                  _part_sum(du, at + 5 * step))
                    store(w0, half, j * LANES, 0)
                    store(w1, half, (6 + j) * LANES, 0)
                    store(w2, half, (12 + j) * LANES, 0)
                    at += 6 * step
                for j in range(3):
                    w0, w1, w2 = points_to_filter(*load_six(half, 6 * j * LANES, LANES))
                    at = (3 * j * Cin + begin + row) * Cout + min(chunk * WIDTH, Cout - WIDTH) + k
                    store(w0, dw, at, 0)
                    store(w1, dw, at + Cin * Cout, 0)
                    store(w2, dw, at + 2 * Cin * Cout, 0)
