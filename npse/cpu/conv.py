"""Convolution, equation (1): a ladder, and the rule that picks a rung. Letters: as in the book.

    loops       conv_loops.py      the formula as it reads, compiled
    matrix      conv_matrix.py     patches @ filters, multiplied by the BLAS library
    tile        conv_tile.py       a tile of results stays in registers while the filter runs over its taps
    sliding     conv_tile.py       the same, with a whole row of the filter at once
    winograd    winograd.py        3x3 filters in float32: a quarter of the products, ten times the rounding

`LADDER` holds the three ops of the book on each rung, `conv2d` and its gradients take the rung that `choose` names, and
`up_to`, or the environment variable NPSE_CONVOLUTION, keeps them from climbing higher than the rung it names.
"""

import contextlib
import os
from collections.abc import Callable
from functools import partial
from types import SimpleNamespace
from typing import NamedTuple

from npse import reference as book
from npse.cpu import conv_loops, conv_matrix, conv_tile, conv_tile_w, winograd
from npse.cpu.arrays import replaces
from npse.cpu.buffers import empty
from npse.cpu.conv_geometry import Geometry
from npse.cpu.norm import moments, moments_from
from npse.cpu.residual import add
from npse.cpu.tile import lanes
from npse.reference.arrays import expect


def choose(geometry, channels):
    """Name the fastest rung, up to `_top`, for a result (y, dx or dw) of so many channels.

    Measured by benchmarks/convolution.py, at 16 to 512 channels and on maps of 2x2 to 56x56: the tile takes 0.4 to 0.9
    of the time of the matrix product, which has to write and read patches. With less than half a vector of channels
    most of a tile would be padding, and rows of more than seven taps leave no registers to slide with.
    """
    if _top == "winograd" and winograd.fits(geometry):
        return "winograd"
    tiles = 0 < lanes(geometry.dtype) <= 2 * channels
    slides = tiles and geometry.stride == 1 and 1 < geometry.kw <= 7
    return min("sliding" if slides else "tile" if tiles else "matrix", _top, key=list(_RUNGS).index)


def _tile(sliding):
    forward, backward_x, backward_w = (partial(function, sliding=sliding) for function in (
        conv_tile.forward, conv_tile.backward_x, conv_tile_w.backward_w))
    return SimpleNamespace(forward=forward, backward_x=backward_x, backward_w=backward_w, parts=conv_tile.parts)


# Functions of checked, C-contiguous arrays and a Geometry. Those with ``parts`` sum and add while a result is in cache.
_RUNGS = {
    "loops": conv_loops,
    "matrix": conv_matrix,
    "tile": _tile(sliding=False),
    "sliding": _tile(sliding=True),
    "winograd": winograd,
}
_top = os.environ.get("NPSE_CONVOLUTION", "winograd")
if _top not in _RUNGS:
    raise ValueError(f"NPSE_CONVOLUTION names no rung: {_top!r}; known are: {', '.join(_RUNGS)}")


@contextlib.contextmanager
def up_to(rung):
    """Within the ``with`` block convolutions run on no rung above the one of that name."""
    global _top
    if rung not in LADDER:
        raise ValueError(f"unknown rung {rung!r}; known are: {', '.join(LADDER)}")
    before, _top = _top, rung
    try:
        yield
    finally:
        _top = before


class Ops(NamedTuple):
    """The three ops of one rung, each with the signature, the checks and the docstring of the book."""

    conv2d: Callable
    conv2d_backward_x: Callable
    conv2d_backward_w: Callable


def _ops(rung):
    """Make the ops; rung(geometry, channels of the result) is what computes them."""
    @replaces(book.conv2d)
    def conv2d(x, w, stride=1, padding=0):
        expect("conv2d", x=(x, "N H W Cin"), w=(w, "kh kw Cin Cout"))
        g = Geometry.of("conv2d", x.shape, w.shape, stride, padding, x.dtype)
        return rung(g, g.Cout).forward(x, w, g)

    @replaces(book.conv2d_backward_x)
    def conv2d_backward_x(dy, w, x_shape, stride=1, padding=0):
        x_shape = tuple(x_shape)
        expect("conv2d_backward_x", x_shape=(x_shape, "N H W Cin"), w=(w, "kh kw Cin Cout"))
        g = Geometry.of("conv2d_backward_x", x_shape, w.shape, stride, padding, w.dtype)
        expect("conv2d_backward_x", w=(w, "kh kw Cin Cout"), dy=(dy, f"{g.N} {g.Ho} {g.Wo} Cout"))
        return rung(g, g.Cin).backward_x(dy, w, g)

    @replaces(book.conv2d_backward_w)
    def conv2d_backward_w(dy, x, w_shape, stride=1, padding=0):
        w_shape = tuple(w_shape)
        expect("conv2d_backward_w", x=(x, "N H W Cin"), w_shape=(w_shape, "kh kw Cin Cout"))
        g = Geometry.of("conv2d_backward_w", x.shape, w_shape, stride, padding, x.dtype)
        expect("conv2d_backward_w", x=(x, "N H W Cin"), dy=(dy, f"{g.N} {g.Ho} {g.Wo} {g.Cout}"))
        return rung(g, g.Cout).backward_w(dy, x, g)

    return Ops(conv2d, conv2d_backward_x, conv2d_backward_w)


conv2d, conv2d_backward_x, conv2d_backward_w = _ops(lambda geometry, channels: _RUNGS[choose(geometry, channels)])


@replaces(book.conv2d_moments)
def conv2d_moments(x, w, stride=1, padding=0):
    expect("conv2d_moments", x=(x, "N H W Cin"), w=(w, "kh kw Cin Cout"))
    g = Geometry.of("conv2d_moments", x.shape, w.shape, stride, padding, x.dtype)
    rung = _RUNGS[choose(g, g.Cout)]
    if not hasattr(rung, "parts"):
        y = rung.forward(x, w, g)
        return y, *moments(y)
    sums = empty((2, g.N, rung.parts(g), g.Cout), g.dtype)
    y = rung.forward(x, w, g, sums)
    return y, *moments_from(sums, y)


@replaces(book.conv2d_backward_x_add)
def conv2d_backward_x_add(dy, w, dx, stride=1, padding=0):
    expect("conv2d_backward_x_add", dx=(dx, "N H W Cin"), w=(w, "kh kw Cin Cout"))
    g = Geometry.of("conv2d_backward_x_add", dx.shape, w.shape, stride, padding, w.dtype)
    expect("conv2d_backward_x_add", dx=(dx, "N H W Cin"), w=(w, "kh kw Cin Cout"),
           dy=(dy, f"{g.N} {g.Ho} {g.Wo} Cout"))
    rung = _RUNGS[choose(g, g.Cin)]
    return rung.backward_x(dy, w, g, dx) if hasattr(rung, "parts") else add(dx, rung.backward_x(dy, w, g))


LADDER = {name: _ops(lambda geometry, channels, rung=rung: rung) for name, rung in _RUNGS.items()}
