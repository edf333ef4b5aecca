"""Convolution by Winograd's algorithm F(4x4, 3x3): 36 products for 16 outputs, where the plain sum takes 144.

For 3x3 filters, stride 1, padding 0 to 2 and float32. A map is covered by squares of 4 x 4 outputs. Block by block of
squares, small enough for a core's second-level cache, all that is multiplied is taken to 36 points, and back:

    forward       y = A^T [U V] A      V = B^T x B for each window of 6 x 6 pixels, U = G w G^T
    backward_x    the same, with w flipped and transposed
    backward_w    dw = G^T [sum of V^T Z] G      Z = A dy A^T for each square

The brackets hold one matrix product for each point, over channels or over squares. The algebra is in `winograd_points`,
the transforms are in `winograd_maps`, the products in `winograd_products`. The largest error, relative to the largest
result, is 1e-6 to 2e-6 with 16 to 64 channels and 3e-6 with 256, where the plain sum in float32 has 2e-7 to 5e-7.

Squares of 2 x 2, F(2x2, 3x3), would be more accurate, but their 16 products for 4 outputs are fewer in all only where
a map is 1 or 2 pixels high or wide.

Source: A. Lavin and S. Gray, Fast Algorithms for Convolutional Neural Networks, arXiv 1509.09308.
"""

import threading
from math import gcd, prod

import numpy as np

from npse.cpu.buffers import empty
from npse.cpu.threads import share
from npse.cpu.tile import lanes, vector_registers
from npse.cpu.winograd_maps import filters_to_points, points_to_filters
from npse.cpu.winograd_products import multiply, multiply_transposed

BLOCK = 2**19         # bytes of a block at the points: half of a usual second-level cache
PARTS = 8             # of the work on dU, whatever the number of threads: partial sums, times slices of its columns
SLICE = 128           # channels, about: V is computed for each slice anew

_own = threading.local()


def fits(geometry):
    """Whether Winograd's algorithm is possible and, in all three passes, faster than the plain sum.

    The bounds are measured: with 8 channels the transforms cost what the products save, with fewer than 64 squares the
    filters' transform does, and too little is saved where less than 10 of the 16 outputs of a square lie on the map, as
    with 3, 5 or 6 pixels.
    """
    g = geometry
    squares = -(-g.Ho // 4) * -(-g.Wo // 4)
    return (_obstacle(g) is None and min(g.Cin, g.Cout) >= 16 and g.N * squares >= 64 and g.Ho * g.Wo >= 10 * squares)


def _obstacle(g):
    lane = lanes(np.float32)
    if g.dtype != np.float32 or not lane:
        return f"float32 and a CPU with vector registers, but dtype is {np.dtype(g.dtype)}"
    if (g.kh, g.kw, g.stride) != (3, 3, 1) or g.padding > 2:
        return f"3x3 filters, stride 1 and a padding of at most 2, but has {g.kh}x{g.kw}, {g.stride} and {g.padding}"
    if min(g.Cin, g.Cout) < lane:
        return f"at least {lane} channels, a vector of them, but has {g.Cin} and {g.Cout}"


def _expect_possible(geometry):
    obstacle = _obstacle(geometry)
    if obstacle:
        raise ValueError(f"Winograd's convolution needs {obstacle}; use conv2d, which takes all")


def forward(x, w, g):
    """Return y (N, Ho, Wo, Cout)."""
    _expect_possible(g)
    return _convolve(x, w, g.y_shape, g.padding)


def backward_x(dy, w, g):
    """Return dx (N, H, W, Cin)."""
    _expect_possible(g)
    flipped = np.ascontiguousarray(w[::-1, ::-1].transpose(0, 1, 3, 2))
    return _convolve(dy, flipped, g.x_shape, 2 - g.padding)


def _convolve(x, w, y_shape, padding):
    N, H, W, Cout = y_shape
    Cin = x.shape[3]
    lane, vectors = _vectors(Cout)
    rows = (vector_registers()[1] - 4) // 2
    width = vectors * lane
    down, across = -(-H // 4), -(-W // 4)
    height = _height(across, rows, Cin + width)
    squares = -(-height * across // rows) * rows
    y, u = empty(y_shape, x.dtype), empty((-(-Cout // width), 36, Cin, width), x.dtype)
    products = multiply(rows, vectors)

    def transform(first, last):
        filters_to_points(w, u, *_scratch((18, lane)), lane, first, last)

    def task(first, last):
        scratch = _scratch((24, lane), (36, squares * Cin + lane), (36, squares * width + lane),
                           (6, 4 * across + 2, Cin))
        products(x, u, y, padding, height, *scratch, lane, first, last)

    share(transform, len(u), max(1, 2**14 // (Cin * width)))
    share(task, N * down, height * max(1, N * down // height // 32))
    return y


def backward_w(dy, x, g):
    """Return dw (kh, kw, Cin, Cout)."""
    _expect_possible(g)
    Cin, Cout = g.Cin, g.Cout
    lane, vectors = _vectors(Cout)
    rows, width = vector_registers()[1] // 2 // vectors, vectors * lane
    deep, wide = -(-Cin // rows) * rows, -(-Cout // width) * width
    slices = max(1, min(PARTS, Cout // SLICE))
    widest = -(-wide // width // slices) * width
    down, across = -(-g.Ho // 4), -(-g.Wo // 4)
    parts = max(1, min(PARTS // slices, len(x) * down, len(x) * down * across // 32))
    height = _height(across, 1, Cin + widest)
    dw, du = empty(g.w_shape, x.dtype), empty((parts, 36, deep, wide), x.dtype)
    products = multiply_transposed(rows, vectors)

    def task(first, last):
        scratch = _scratch((36, height * across * widest + lane), (36, height * across * Cin + lane + rows),
                           (6, 4 * across + 2, max(Cin, Cout)))
        products(dy, x, du, g.padding, height, slices, *scratch, lane, first, last)

    def transform(first, last):
        points_to_filters(du, *_scratch((36, lane)), dw, lane, first, last)

    share(task, parts * slices, 1)
    share(transform, Cin, max(1, 2**10 // Cout))
    return dw


def _vectors(channels):
    """Lanes of a vector, and how many vectors of output channels a register tile is wide."""
    lane = lanes(np.float32)
    return lane, 1 if channels % (2 * lane) else 2


def _height(across, rows, channels):
    """Rows of squares in a block of at most BLOCK bytes; their squares fill tiles of so many rows if that can be."""
    most = max(1, BLOCK // (36 * 4 * channels * across))
    unit = rows // gcd(rows, across)
    return most // unit * unit or most


def _scratch(*shapes):
    """Arrays of these shapes that this thread keeps for its next call: aligned to cache lines, holding anything."""
    if getattr(_own, "shapes", None) != shapes:
        ends = np.cumsum([-(-prod(shape) // 16) * 16 for shape in shapes])
        if getattr(_own, "numbers", np.empty(0)).size < ends[-1]:
            whole = np.empty(ends[-1] + 16, np.float32)
            _own.numbers = whole[-whole.ctypes.data % 64 // 4:]
        _own.shapes = shapes
        _own.arrays = [_own.numbers[end - (-(-prod(shape) // 16) * 16):][:prod(shape)].reshape(shape)
                       for shape, end in zip(shapes, ends, strict=True)]
    return _own.arrays
