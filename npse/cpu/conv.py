"""Convolution, equation (1): a ladder, and the rule that picks a rung. Letters: as in the book.

    loops       loops.py       the formula as it reads, compiled
    matrix      im2col.py      patches @ filters, multiplied by the BLAS library
    tile        direct.py      a tile of results stays in registers while the filter runs over its taps
    sliding     direct.py      the same, with a whole row of the filter at once
    winograd    winograd.py    3x3 filters in float32: a quarter of the products, ten times the rounding

`LADDER` holds the three ops of the book on each rung, `conv2d` and its gradients take the rung that `choose` names;
`LADDER.up_to`, or the environment variable NPSE_CONVOLUTION, keeps them from climbing above the rung it names.
"""

from functools import partial
from types import SimpleNamespace

from npse import reference as book
from npse.cpu.batch_norm import moments, moments_from
from npse.cpu.conv_kernels import direct, direct_dw, im2col, loops, winograd
from npse.cpu.residual import add
from npse.cpu.runtime.arrays import replaces
from npse.cpu.runtime.memory_pool import empty
from npse.cpu.simd.tile import lanes
from npse.editions.convolution import Geometry, Ladder


def choose(geometry, channels, dtype):
    """Name the fastest rung, up to the ladder's top, for a result (y, dx or dw) of so many channels.

    Measured by benchmarks/convolution.py, at 16 to 512 channels and on maps of 2x2 to 56x56: the tile takes 0.4 to 0.9
    of the time of the matrix product, which has to write and read patches. With less than half a vector of channels
    most of a tile would be padding, and rows of more than seven taps leave no registers to slide with.
    """
    if LADDER.top == "winograd" and winograd.fits(geometry, dtype):
        return "winograd"
    tiles = 0 < lanes(dtype) <= 2 * channels
    slides = tiles and geometry.stride == 1 and 1 < geometry.kw <= 7
    return LADDER.at_most("sliding" if slides else "tile" if tiles else "matrix")


def _tile(sliding):
    forward, backward_x, backward_w = (partial(function, sliding=sliding) for function in (
        direct.forward, direct.backward_x, direct_dw.backward_w))
    return SimpleNamespace(forward=forward, backward_x=backward_x, backward_w=backward_w, parts=direct.parts)


# Rungs with ``parts`` sum and add while a result is in cache.
LADDER = Ladder({
    "loops": loops,
    "matrix": im2col,
    "tile": _tile(sliding=False),
    "sliding": _tile(sliding=True),
    "winograd": winograd,
}, "NPSE_CONVOLUTION", replaces)


def _chosen(geometry, channels, dtype):
    return LADDER.rungs[choose(geometry, channels, dtype)]


conv2d, conv2d_backward_x, conv2d_backward_w = LADDER.ops_of(_chosen)


@replaces(book.conv2d_moments)
def conv2d_moments(x, w, stride=1, padding=0):
    g = Geometry.of(x.shape, w.shape, stride, padding)
    rung = _chosen(g, g.Cout, x.dtype)
    if not hasattr(rung, "parts"):
        y = rung.forward(x, w, g)
        return y, *moments(y)
    sums = empty((2, g.N, rung.parts(g), g.Cout), x.dtype)
    y = rung.forward(x, w, g, sums)
    return y, *moments_from(sums, y)


@replaces(book.conv2d_backward_x_add)
def conv2d_backward_x_add(dy, w, dx, stride=1, padding=0):
    g = Geometry.of(dx.shape, w.shape, stride, padding)
    rung = _chosen(g, g.Cin, w.dtype)
    return rung.backward_x(dy, w, g, dx) if hasattr(rung, "parts") else add(dx, rung.backward_x(dy, w, g))
