"""Convolution by Winograd's algorithm F(4x4, 3x3): 36 products for 16 outputs, where the plain sum takes 144.

It works for 3x3 filters, stride 1, padding 0 to 2, float32 and channels that are multiples of four. A map is covered by
squares of 4 x 4 outputs. The factors are transformed to 36 points and multiplied, and the products are transformed
back:

    forward       y = A^T [V U] A      V = B^T x B for each window of 6 x 6 pixels, U = G w G^T
    backward_x    the same, with w flipped and transposed
    backward_w    dw = G^T [sum of V^T Z] G      Z = A dy A^T for each square

The brackets hold one matrix product for each point (stacked_products.py), over channels or over squares. The algebra is
in `npse.editions.winograd`, the transforms are in winograd_transforms.py.

The arrays at the points are 2.25 times as large as the maps. So the images are taken in groups whose arrays are about
as large as the second-level cache of a large GPU. The transforms then read and write it, and only maps go through main
memory.
"""

import numpy as np

from npse.cuda.conv_kernels.stacked_products import LANES, multiply, multiply_transposed
from npse.cuda.conv_kernels.winograd_transforms import (
    filters_to_points,
    maps_to_points,
    points_to_filters,
    points_to_maps,
    turned_filters_to_points,
    windows_to_points,
)
from npse.cuda.runtime.device import SIMULATED, empty
from npse.editions.winograd import POINTS, covered, expect_possible, obstacle, outputs_of_a_square
from npse.support.arithmetic import ceil_div

BYTES_OF_A_GROUP = 2**14 if SIMULATED else 2**25
FEWEST_CHANNELS = 4 if SIMULATED else 64
FEWEST_SQUARES = 4 if SIMULATED else 256               # two tiles of rows, see stacked_products.py


def fits(geometry, dtype):
    """Return whether Winograd's algorithm is possible and should be faster than the plain sum.

    The bounds are not measured. They come from counts of bytes and products. With C channels on both sides, a pixel
    takes 2.25 * C^2 multiply-adds in place of 9 * C^2, and 36 * C bytes written to the points, and read from there. A
    GPU that does seven multiply-adds in the time of a byte begins to gain at about 40 channels. At least half of the
    outputs of a square must lie on the map.
    """
    g = geometry
    squares = g.N * covered(g.Ho, g.Wo)[0] * covered(g.Ho, g.Wo)[1]
    pays = min(g.Cin, g.Cout) >= FEWEST_CHANNELS and squares >= FEWEST_SQUARES and outputs_of_a_square(g) >= 8
    return pays and _obstacle(g, dtype) is None


def _obstacle(g, dtype):
    if dtype != np.float32:
        return f"float32, but dtype is {np.dtype(dtype)}"
    if g.Cin % LANES or g.Cout % LANES:
        return f"numbers of channels that are multiples of {LANES}, but has {g.Cin} and {g.Cout}"
    return obstacle(g)


def forward(x, w, g):
    expect_possible(_obstacle(g, x.dtype))
    return _convolve(x, filters_to_points(w), g.y_shape, g.padding, None)


def backward_x(dy, w, g, added=None):
    """Return dx + ``added``, of the shape of dx."""
    expect_possible(_obstacle(g, dy.dtype))
    return _convolve(dy, turned_filters_to_points(w), g.x_shape, 2 - g.padding, added)


def _convolve(x, u, y_shape, padding, added):
    """Return y (N, H, W, K) of x (N, H', W', C) and filters at the points u (36, C, K)."""
    y, (_, H, W, K) = empty(y_shape, x.dtype), y_shape
    for group, squares in _groups(y_shape, x.shape[3] + K):
        v, m = (empty((POINTS, squares, channels), x.dtype) for channels in (x.shape[3], K))
        windows_to_points(x[group], padding, covered(H, W), v)
        multiply(v, u, m)
        points_to_maps(m, covered(H, W), None if added is None else added[group], y[group])
    return y


def backward_w(dy, x, g):
    expect_possible(_obstacle(g, x.dtype))
    du = None
    for group, squares in _groups(g.y_shape, g.Cin + g.Cout):
        v, z = (empty((POINTS, squares, channels), x.dtype) for channels in (g.Cin, g.Cout))
        windows_to_points(x[group], g.padding, covered(g.Ho, g.Wo), v)
        maps_to_points(dy[group], covered(g.Ho, g.Wo), z)
        du = multiply_transposed(v, z, du)
    return points_to_filters(du)


def _groups(y_shape, channels):
    """Yield the images of each group, a slice, and their number of squares; ``channels`` of both arrays at points."""
    N, H, W, _ = y_shape
    down, across = covered(H, W)
    most = max(1, BYTES_OF_A_GROUP // (4 * POINTS * down * across * channels))
    count = ceil_div(N, most)
    for k in range(count):
        group = slice(N * k // count, N * (k + 1) // count)
        yield group, (group.stop - group.start) * down * across
