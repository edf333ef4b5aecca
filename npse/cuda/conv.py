"""Convolution, equation (1): a ladder, and the rule that picks a rung. Letters: as in the book.

    naive       conv_naive.py       a thread computes one number, from memory
    tile        conv_tile.py        blocks share squares of patches and filters: an implicit matrix product
    register    conv_register.py    a thread computes a tile of numbers, from the part of a map that its block sees;
                conv_register_w.py  the gradient of the filters

`LADDER` holds the three ops of the book on each rung, `conv2d` and its gradients take the rung that `choose` names, and
`up_to`, or the environment variable NPSE_CUDA_CONVOLUTION, keeps them from climbing higher than the rung it names.
"""

import contextlib
import os
from collections.abc import Callable
from types import SimpleNamespace
from typing import NamedTuple

from npse import reference as book
from npse.cuda import conv_naive, conv_register, conv_register_w, conv_tile
from npse.cuda.arrays import replaces
from npse.cuda.conv_geometry import Geometry
from npse.cuda.norm import moments
from npse.reference.arrays import expect


def choose(geometry):
    """Name the highest rung, up to `_top`, that can compute a convolution, whose window must fit a patch.

    A stride is limited by the s * s phases of dx (conv_geometry.py), which are an axis of the grid of blocks.
    """
    g = geometry
    fits = g.kh * g.kw <= min(conv_register.CAPACITY, conv_register_w.CAPACITY)
    return min("naive" if g.stride > 255 else "register" if fits else "tile", _top, key=list(_RUNGS).index)


_RUNGS = {                                     # functions of checked device arrays and a Geometry
    "naive": conv_naive,
    "tile": conv_tile,
    "register": SimpleNamespace(forward=conv_register.forward, backward_x=conv_register.backward_x,
                                backward_w=conv_register_w.backward_w),
}
_top = os.environ.get("NPSE_CUDA_CONVOLUTION", "register")
if _top not in _RUNGS:
    raise ValueError(f"NPSE_CUDA_CONVOLUTION names no rung: {_top!r}; known are: {', '.join(_RUNGS)}")


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
    """Make the ops; rung(geometry) is what computes them."""
    @replaces(book.conv2d)
    def conv2d(x, w, stride=1, padding=0):
        expect("conv2d", x=(x, "N H W Cin"), w=(w, "kh kw Cin Cout"))
        g = Geometry.of("conv2d", x.shape, w.shape, stride, padding)
        return rung(g).forward(x, w, g)

    @replaces(book.conv2d_backward_x)
    def conv2d_backward_x(dy, w, x_shape, stride=1, padding=0):
        x_shape = tuple(x_shape)
        expect("conv2d_backward_x", x_shape=(x_shape, "N H W Cin"), w=(w, "kh kw Cin Cout"))
        g = Geometry.of("conv2d_backward_x", x_shape, w.shape, stride, padding)
        expect("conv2d_backward_x", w=(w, "kh kw Cin Cout"), dy=(dy, f"{g.N} {g.Ho} {g.Wo} Cout"))
        return rung(g).backward_x(dy, w, g)

    @replaces(book.conv2d_backward_w)
    def conv2d_backward_w(dy, x, w_shape, stride=1, padding=0):
        w_shape = tuple(w_shape)
        expect("conv2d_backward_w", x=(x, "N H W Cin"), w_shape=(w_shape, "kh kw Cin Cout"))
        g = Geometry.of("conv2d_backward_w", x.shape, w_shape, stride, padding)
        expect("conv2d_backward_w", x=(x, "N H W Cin"), dy=(dy, f"{g.N} {g.Ho} {g.Wo} {g.Cout}"))
        return rung(g).backward_w(dy, x, g)

    return Ops(conv2d, conv2d_backward_x, conv2d_backward_w)


def _chosen(geometry):
    return _RUNGS[choose(geometry)]


conv2d, conv2d_backward_x, conv2d_backward_w = _ops(_chosen)


@replaces(book.conv2d_moments)
def conv2d_moments(x, w, stride=1, padding=0):
    expect("conv2d_moments", x=(x, "N H W Cin"), w=(w, "kh kw Cin Cout"))
    y = conv2d(x, w, stride, padding)
    return y, *moments(y)


@replaces(book.conv2d_backward_x_add)
def conv2d_backward_x_add(dy, w, dx, stride=1, padding=0):
    expect("conv2d_backward_x_add", dx=(dx, "N H W Cin"), w=(w, "kh kw Cin Cout"))
    g = Geometry.of("conv2d_backward_x_add", dx.shape, w.shape, stride, padding)
    expect("conv2d_backward_x_add", dx=(dx, "N H W Cin"), w=(w, "kh kw Cin Cout"),
           dy=(dy, f"{g.N} {g.Ho} {g.Wo} Cout"))
    return _chosen(g).backward_x(dy, w, g, dx)


LADDER = {name: _ops(lambda geometry, rung=rung: rung) for name, rung in _RUNGS.items()}
