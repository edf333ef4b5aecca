"""The matrix products of Winograd's convolution, at each of its 36 points, in one pass with the transforms.

A block of squares is transformed to the points and multiplied while it is in the core's cache. In the forward pass its
products are transformed back there too. The transforms are limited by memory, the products are not. So the products
prefetch the memory of the next transforms: the pixels of the next block and the results of this one.
"""

import functools

from npse.cpu.conv_kernels.winograd_transforms import (
    LANES,
    TILE,
    WIDTH,
    columns_to_squares,
    load_six,
    points_to_map,
    squares_to_points,
    windows_to_points,
)
from npse.cpu.runtime.jit import kernel
from npse.cpu.simd.tile import load, outer, outers, prefetch, store, take, vector_registers, zeros
from npse.support.arithmetic import ceil_div

GROUP = TILE.squares                                              # squares of a group in `multiply_transposed`
STEP = GROUP * WIDTH                                              # elements from one of its points to the next
of_windows, of_squares = windows_to_points(GROUP), squares_to_points(GROUP)


@functools.cache
def multiply(tile):
    """Make the kernel that writes y = A^T [U V] A for the rows first .. last of squares, ``height`` rows at a time.

    u holds the filters at the points, see `filters_to_points`; the last block of channels may overlap the one before.
    For affine, plus and sums see `columns_to_squares`. Each thread has scratch memory: v (groups, chunks of Cin, 36,
    squares, WIDTH), a block of squares at the points, and m (groups, 6, 6, squares, width), their products, column by
    column. If the registers hold the products of a whole column, only A^T times the column is stored.
    """
    squares, points, width = tile
    rows, vectors = squares * points, width // max(1, LANES)
    v_step, m_step = squares * WIDTH, squares * width             # elements from one point to the next
    to_points, to_squares = windows_to_points(squares), columns_to_squares(tile)
    ahead = ceil_div(16 * squares * points, 36)                   # pixels to prefetch before the products of a chunk

    @kernel
    def store_column(m0, m1, m2, m3, m4, m5, m, at):
        y0, y1, y2, y3 = points_to_map(m0, m1, m2, m3, m4, m5)
        store(y0, m, at, width)
        store(y1, m, at + m_step, width)
        store(y2, m, at + 2 * m_step, width)
        store(y3, m, at + 3 * m_step, width)

    @kernel
    def multiply(x, u, y, affine, plus, sums, padding, height, vs, ms, thread, first, last):
        _, H, W, Cout = y.shape
        Cin, v, m = x.shape[3], vs[thread], ms[thread]
        chunks, down, across = (Cin + WIDTH - 1) // WIDTH, (H + 3) // 4, (W + 3) // 4
        for top in range(first, last, height):
            end = min(top + height, last)
            groups = ((end - top) * across + squares - 1) // squares
            to_points(x, 0, chunks, padding, down, across, top, end, v)
            x_next, x_end = _pixel(x, end, down), _pixel(x, end + height, down)
            for block in range(len(u)):
                channel = min(block * width, Cout - width)
                y_next, y_end = _pixel(y, top, down) + channel, _pixel(y, end, down)
                for j in range(6):
                    for i in range(0, 6, points):
                        for group in range(groups):
                            tile = zeros(x, rows, vectors)
                            for chunk in range(chunks):
                                begin = min(chunk * WIDTH, Cin - WIDTH)
                                v_at = ((group * chunks + chunk) * 36 + 6 * j + i) * v_step
                                u_at = (((block * 6 + j) * 6 + i) * Cin + begin * points) * width
                                for _ in range(ahead):
                                    if x_next < x_end:
                                        prefetch(x, x_next, False)
                                        x_next += WIDTH
                                    if y_next < y_end:
                                        prefetch(y, y_next, True)
                                        if plus is not None:
                                            prefetch(plus, y_next, False)
                                        y_next += Cout
                                for c in range(chunk * WIDTH - begin, WIDTH):
                                    tile = outers(tile, v, v_at + c, WIDTH, u, u_at + c * points * width, points)
                            at = ((group * 6 + j) * 6 + i) * m_step
                            if points == 6:
                                store_column(take(tile, 0, 6), take(tile, 1, 6), take(tile, 2, 6), take(tile, 3, 6),
                                             take(tile, 4, 6), take(tile, 5, 6), m, at)
                            else:
                                store(tile, m, at, width)
                    if points == 1:
                        for group in range(groups):
                            begin = (group * 6 + j) * 6 * m_step
                            for at in range(begin, begin + m_step, LANES):
                                store_column(*load_six(m, at, m_step), m, at)
                to_squares(m, y, affine, plus, sums, channel, down, across, top, end)
    return multiply


@functools.cache
def multiply_transposed(width):
    """Make the kernel that writes du (parts, slices, 36, chunks, blocks, WIDTH, width): the sum of V^T Z over a part.

    A task is one part of the squares and one slice of the input channels; a block is ``width`` output channels. Each
    thread has scratch memory: z and v, a block of squares at the points.
    """
    vectors = width // max(1, LANES)
    sums = min(16, vector_registers()[1] * 3 // 4)                # vectors in a tile of dU
    rows = sums // max(1, vectors)
    rest = WIDTH % max(1, rows)                                   # rows of the last tile of a chunk
    chunks = width // WIDTH                                       # of a block
    add, add_rest = _sum_over_squares(rows, width), _sum_over_squares(rest, width)

    @kernel
    def multiply_transposed(dy, x, du, padding, height, zs, vs, thread, first, last):
        N, H, W, Cout = dy.shape
        Cin, z, v = x.shape[3], zs[thread], vs[thread]
        parts, slices, _, deepest, blocks = du.shape[:5]
        down, across = (H + 3) // 4, (W + 3) // 4
        for task in range(first, last):
            part, begin = task // slices, task % slices * deepest
            deep = min(deepest, (Cin + WIDTH - 1) // WIDTH - begin)
            steps = deep * 36 * STEP, blocks * chunks * 36 * STEP
            start, finish = N * down * part // parts, N * down * (part + 1) // parts
            for top in range(start, finish, height):
                end = min(top + height, finish)
                squares = (end - top) * across
                of_windows(x, begin, begin + deep, padding, down, across, top, end, v)
                of_squares(dy, 0, blocks * chunks, 0, down, across, top, end, z)
                x_next, x_end = _pixel(x, end, down), _pixel(x, end + height, down)
                dy_next, dy_end = _pixel(dy, end, down), _pixel(dy, end + height, down)
                pixels = (16 * squares + 35) // 36                # to prefetch at each point
                for point in range(36):
                    for i in range(deep):
                        for o in range(blocks):
                            if o == 0:
                                x_at = x_next + point * pixels * Cin + (begin + i) * WIDTH
                                for at in range(x_at, min(x_at + pixels * Cin, x_end), Cin):
                                    prefetch(x, at, False)
                            if i == 0:
                                dy_at = dy_next + point * pixels * Cout + o * width
                                for at in range(dy_at, min(dy_at + pixels * Cout, dy_end), Cout):
                                    prefetch(dy, at, False)
                            v_at, z_at = (i * 36 + point) * STEP, (o * chunks * 36 + point) * STEP
                            to = (((task * 36 + point) * deepest + i) * blocks + o) * WIDTH * width
                            for row in range(0, WIDTH - rest, rows):
                                add(v, v_at + row, z, z_at, steps, squares, du, to + row * width, top > start)
                            if rest:
                                row = WIDTH - rest
                                add_rest(v, v_at + row, z, z_at, steps, squares, du, to + row * width, top > start)
    return multiply_transposed


@functools.cache
def _sum_over_squares(rows, width):
    """Make the kernel that writes a tile of dU: the sum over squares of v times z; ``more`` adds it to the tile in du.

    ``steps`` are the distances from a group of squares to the next in v and in z.
    """
    vectors = width // max(1, LANES)
    apart = LANES if width == WIDTH else 36 * STEP                # elements from a vector of z to the next

    @kernel
    def sum_over_squares(v, v_at, z, z_at, steps, squares, du, to, more):
        tile = zeros(v, rows, vectors)
        for square in range(0, squares, GROUP):
            for k in range(min(GROUP, squares - square)):
                tile = outer(tile, v, v_at + k * WIDTH, 1, z, z_at + k * WIDTH, apart)
            v_at += steps[0]
            z_at += steps[1]
        if more:                                                  # sums of block sums: less rounding than one long sum
            tile = tile + load(du, to, width, rows, vectors)
        store(tile, du, to, width)
    return sum_over_squares


@kernel
def _pixel(x, row, down):
    """Return the place of the first pixel of a row of squares; after the last row, that of the last row."""
    N, H, W, C = x.shape
    row = min(row, N * down - 1)
    return (row // down * H + 4 * (row % down)) * W * C
