"""The matrix products of Winograd's convolution, at each of its 36 points, from transform to transform in one pass.

A block of squares is taken to the points, multiplied and, going forward, taken back while it lies in the core's cache.
The kernels are made for a register tile of ``rows`` x ``vectors``.
"""

import functools

from npse.cpu.compile import kernel
from npse.cpu.tile import load, outer, store, zeros
from npse.cpu.winograd_maps import points_to_squares, squares_to_points, windows_to_points


@functools.cache
def multiply(rows, vectors):
    """Make the kernel of y = A^T [U V] A, for the rows first .. last of squares, ``height`` of them at a time.

    u (blocks, 36, Cin, width) are the filters at the points; the last block of channels may overlap the one before it.
    Scratch: half (24, lanes), v and m (36, ...), strip (6, columns, Cin).
    """
    @kernel
    def multiply(x, u, y, padding, height, half, v, m, strip, lanes, first, last):
        _, H, W, Cout = y.shape
        Cin = x.shape[3]
        width = vectors * lanes
        down, across = (H + 3) // 4, (W + 3) // 4
        for top in range(first, last, height):
            end = min(top + height, last)
            windows_to_points(x, 0, Cin, padding, down, across, top, end, strip, v, Cin, lanes)
            for block in range(len(u)):
                for point in range(36):
                    for square in range(0, (end - top) * across, rows):
                        tile = zeros(x, rows, vectors)
                        for c in range(Cin):
                            tile = outer(tile, v, point * v.shape[1] + square * Cin + c, Cin,
                                         u, ((block * 36 + point) * Cin + c) * width, lanes)
                        store(tile, m, point * m.shape[1] + square * width, width)
                points_to_squares(m, width, half, y, min(block * width, Cout - width), down, across, top, end, lanes)
    return multiply


@functools.cache
def multiply_transposed(rows, vectors):
    """Make the kernel of du (parts, 36, >= Cin, >= Cout): part p is the sum of V^T Z over its share of the squares.

    A task is one part of the squares and one slice of the output channels. Scratch: z and v (36, ...), strip
    (6, columns, the larger number of channels).
    """
    @kernel
    def multiply(dy, x, du, padding, height, slices, z, v, strip, lanes, first, last):
        N, H, W, Cout = dy.shape
        Cin, width = x.shape[3], vectors * lanes
        parts, _, deep, wide = du.shape
        down, across = (H + 3) // 4, (W + 3) // 4
        for task in range(first, last):
            part, piece = task // slices, task % slices
            begin, finish = N * down * part // parts, N * down * (part + 1) // parts
            left, right = wide // width * piece // slices * width, wide // width * (piece + 1) // slices * width
            for top in range(begin, finish, height):
                end = min(top + height, finish)
                windows_to_points(x, 0, Cin, padding, down, across, top, end, strip, v, Cin, lanes)
                squares_to_points(dy, left, min(right, Cout), 0, down, across, top, end, strip, z, right - left, lanes)
                for point in range(36):
                    for c in range(0, deep, rows):
                        for k in range(left, right, width):
                            at = ((part * 36 + point) * deep + c) * wide + k
                            tile = zeros(x, rows, vectors) if top == begin else load(du, at, wide, rows, vectors)
                            for square in range((end - top) * across):
                                tile = outer(tile, v, point * v.shape[1] + square * Cin + c, 1,
                                             z, point * z.shape[1] + square * (right - left) + k - left, lanes)
                            store(tile, du, at, wide)
    return multiply
