"""Convolution by Winograd's algorithm F(4x4, 3x3): 36 products for 16 outputs, where the plain sum takes 144.

It works for 3x3 filters, stride 1, padding 0 to 2 and float32. A map is covered by squares of 4 x 4 outputs. A block of
squares fits into a core's second-level cache. Block by block, the factors are transformed to 36 points and multiplied,
and the products are transformed back:

    forward       y = A^T [U V] A      V = B^T x B for each window of 6 x 6 pixels, U = G w G^T
    backward_x    the same, with w flipped and transposed
    backward_w    dw = G^T [sum of V^T Z] G      Z = A dy A^T for each square

The brackets hold one matrix product for each point, over channels or over squares. See `npse.editions.winograd` for the
algebra, `winograd_transforms` for the transforms, `winograd_products` for the products. The largest error, relative to
the largest result, is 1e-6 to 2e-6 with 16 to 64 channels and 3e-6 with 256. The plain sum in float32 has 2e-7 to 5e-7.

Squares of 2 x 2, F(2x2, 3x3), would be more accurate. They need 16 products for 4 outputs, so in all they need fewer
products only if a map is 1 or 2 pixels high or wide.
"""

from functools import partial
from math import gcd

import numpy as np

from npse.cpu.conv_kernels.winograd_products import multiply, multiply_transposed
from npse.cpu.conv_kernels.winograd_residual import residual_end
from npse.cpu.conv_kernels.winograd_transforms import (
    LANES,
    TILE,
    WIDE_TILE,
    WIDTH,
    filters_to_points,
    points_to_filters,
    turned_filters_to_points,
)
from npse.cpu.runtime.memory_pool import empty, empty_together
from npse.cpu.runtime.parallel import get_threads, parallel_for
from npse.cpu.simd import channel_sums
from npse.editions.winograd import covered, expect_possible, obstacle, outputs_of_a_square

SCRATCH_BYTES = 2**18 # bytes of scratch for a block of squares: a quarter of a typical second-level cache
MIN_SQUARES = 36      # fewest squares in a block of `multiply`, even if it is larger then: they share reads of u, which
                      # with 256 channels are 9 MB, more than a second-level cache
MIN_SQUARES_W = 24    # likewise of `multiply_transposed`: they share writes of du
GROUP_BYTES = 2**18   # of the maps that `add_residual` writes and reads again in a core's second-level cache
SLICE_PAIRS = 64      # about so many pairs of chunks in a task on dU: each slice of channels computes Z again
PARTS = 8             # most partial sums of dU, for any number of threads
PARTS_BYTES = 5 * 2**20                       # most bytes of them: more would evict x and dy from a third-level cache
PART_SQUARES = 128    # about so many squares in a partial sum


def fits(geometry, dtype):
    """Whether Winograd's algorithm is possible and, in all three passes, faster than the plain sum.

    The bounds are measured, with AVX-512 and AVX2. With 8 channels the transforms take the time that the products save.
    With fewer than 32 squares the transform of the filters does. With at least 4 of the 16 outputs of a square on the
    map, as for maps of 2 x 2 pixels, the three passes together are faster.
    """
    g = geometry
    down, across = covered(g.Ho, g.Wo)
    pays = min(g.Cin, g.Cout) >= 16 and g.N * down * across >= 32 and outputs_of_a_square(g) >= 4
    return pays and _obstacle(g, dtype) is None


def _obstacle(g, dtype):
    if dtype != np.float32 or not LANES:
        return f"float32 and a CPU with vector registers, but dtype is {np.dtype(dtype)}"
    if min(g.Cin, g.Cout) < WIDTH:
        return f"at least {WIDTH} channels, but has {g.Cin} and {g.Cout}"
    return obstacle(g)


def parts(g):
    """Return the number of parts in which `forward` sums a map of y. A part is a row of squares: four rows of y."""
    return covered(g.Ho, g.Wo)[0]


def forward(x, w, g, sums=None, affine=None):
    """Return y; if ``sums`` (2, N, parts, Cout) is given, write the sums of y and of y^2 over each part to it.

    For ``affine`` see `npse.cpu.conv_kernels.direct.forward`.
    """
    expect_possible(_obstacle(g, x.dtype))
    return _convolve(x, filters_to_points, w, g.y_shape, g.padding, affine, None, sums)


def backward_x(dy, w, g, plus=None):
    """Return dx (N, H, W, Cin); if an array ``plus`` of that shape is given, return the sum of both."""
    expect_possible(_obstacle(g, dy.dtype))
    return _convolve(dy, turned_filters_to_points, w, g.x_shape, 2 - g.padding, None, plus, None)


def add_residual(x, w, g, norm, gates, r):
    """Return relu(s * u + r), u being the batch norm of y and s its gates; see `winograd_residual`.

    Parameters
    ----------
    norm : tuple of arrays (Cout,)
        mean, slope, beta: the batch norm is (y - mean) * slope + beta.
    gates : tuple of arrays or None
        w1, w2, b1, b2 of the excitation; None for gates of one.
    r : array like y
    """
    expect_possible(_obstacle(g, x.dtype))
    threads = get_threads()
    down, across = covered(g.Ho, g.Wo)
    tile, u, height, v, m = _at_points(x, filters_to_points, w, g.Cout, across, threads)
    group = max(1, min(GROUP_BYTES // (4 * g.Ho * g.Wo * g.Cout), -(-g.N // (2 * threads))))     # images
    y = empty(g.y_shape, x.dtype)
    c, sums, rows = empty_together(x.dtype, (threads, group, *g.y_shape[1:]), (threads, 2, group, down, g.Cout),
                                   (threads, 4, group, g.Cout))
    end = residual_end(tile, channel_sums.vectors(y))
    parallel_for(partial(end, x, u, *norm, gates, r, y, g.padding, height, c, sums, rows, v, m), g.N, group,
                 threads=threads, pass_thread=True)
    return y


def _convolve(x, to_points, w, y_shape, padding, affine, plus, sums):
    """Return y; to_points(tile) is the kernel that transforms the filters w to the points."""
    N, H, W, Cout = y_shape
    down, across = covered(H, W)
    y, threads = empty(y_shape, x.dtype), get_threads()
    tile, u, height, v, m = _at_points(x, to_points, w, Cout, across, threads)
    parallel_for(partial(multiply(tile), x, u, y, affine, plus, sums, padding, height, v, m), N * down,
                 height * max(1, N * down // height // 32), threads=threads, pass_thread=True)
    return y


def _at_points(x, to_points, w, Cout, across, threads):
    """Return what `multiply` needs: tile, the filters at the points, the rows of squares in a block, and v and m.

    v and m are scratch memory for so many threads.
    """
    Cin = x.shape[3]
    tile = WIDE_TILE if min(Cin, Cout) >= WIDE_TILE.width else TILE
    squares, points, width = tile
    chunks, blocks = -(-Cin // WIDTH), -(-Cout // width)
    height = _height(across, 36 * (chunks + width // WIDTH), MIN_SQUARES, squares)
    groups = -(-height * across // squares)
    u, v, m = empty_together(x.dtype, (blocks, 6, 6 // points, Cin, points, width),
                             (threads, groups, chunks, 36, squares, WIDTH), (threads, groups, 6, 6, squares, width))
    parallel_for(partial(to_points(tile), w, u), blocks, max(1, 2**11 // (Cin * width)))
    return tile, u, height, v, m


def backward_w(dy, x, g):
    """Return dw (kh, kw, Cin, Cout)."""
    expect_possible(_obstacle(g, x.dtype))
    threads = get_threads()
    width = WIDE_TILE.width if g.Cout >= WIDE_TILE.width else WIDTH
    deep, blocks = -(-g.Cin // WIDTH), -(-g.Cout // width)
    wide = blocks * (width // WIDTH)
    down, across = covered(g.Ho, g.Wo)
    enough = max(2, g.N * down * across // PART_SQUARES)
    fitting = PARTS_BYTES // (4 * 36 * deep * wide * WIDTH**2)
    parts = max(1, min(PARTS, g.N * down, enough, fitting))
    most = min(deep, max(4, SLICE_PAIRS // wide))
    deepest = min(most, max(1, deep * parts // threads))    # a task for each thread; no bit depends on the slices
    slices = -(-deep // deepest)
    height = _height(across, 36 * (most + wide), MIN_SQUARES_W, TILE.squares)
    groups = -(-height * across // TILE.squares)
    dw = empty(g.w_shape, x.dtype)
    du, z, v = empty_together(x.dtype, (parts, slices, 36, deepest, blocks, WIDTH, width),
                              *((threads, groups, chunks, 36, TILE.squares, WIDTH) for chunks in (wide, deepest)))
    parallel_for(partial(multiply_transposed(width), dy, x, du, g.padding, height, z, v), parts * slices, 1,
                 threads=threads, pass_thread=True)
    parallel_for(partial(points_to_filters, du, dw), deep, max(1, 4 // wide))
    return dw


def _height(across, chunks, least, group):
    """Return the rows of squares in a block if a square takes ``chunks`` chunks; they fill whole groups if possible."""
    squares = max(SCRATCH_BYTES // (4 * WIDTH * chunks), least)
    unit = group // gcd(group, across)
    return round(squares / (unit * across)) * unit or max(1, squares // across)
