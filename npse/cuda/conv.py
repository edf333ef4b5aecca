"""Convolution, equation (1): a ladder, and the rule that picks a rung. Letters: as in the book.

    naive       conv_naive.py       a thread computes one number, from memory
    tile        conv_tile.py        blocks share squares of patches and filters: an implicit matrix product
    register    conv_register.py    a thread computes a tile of numbers, from the part of a map that its block sees;
                conv_register_w.py  the gradient of the filters

`LADDER` holds the three ops of the book on each rung, `conv2d` and its gradients take the rung that `choose` names;
`LADDER.up_to`, or the environment variable NPSE_CUDA_CONVOLUTION, keeps them from climbing above the rung it names.
"""

from types import SimpleNamespace

from npse import reference as book
from npse.convolution import Geometry, Ladder
from npse.cuda import conv_naive, conv_register, conv_register_w, conv_tile
from npse.cuda.arrays import replaces
from npse.cuda.norm import moments


def choose(geometry):
    """Name the highest rung, up to the ladder's top, that can compute a convolution, whose window must fit a patch.

    A stride is limited by the s * s phases of dx (conv_phases.py), which are an axis of the grid of blocks.
    """
    g = geometry
    fits = g.kh * g.kw <= min(conv_register.CAPACITY, conv_register_w.CAPACITY)
    return LADDER.at_most("naive" if g.stride > 255 else "register" if fits else "tile")


LADDER = Ladder({
    "naive": conv_naive,
    "tile": conv_tile,
    "register": SimpleNamespace(forward=conv_register.forward, backward_x=conv_register.backward_x,
                                backward_w=conv_register_w.backward_w),
}, "NPSE_CUDA_CONVOLUTION", replaces)


def _chosen(geometry, *_):
    return LADDER.rungs[choose(geometry)]


conv2d, conv2d_backward_x, conv2d_backward_w = LADDER.ops_of(_chosen)


@replaces(book.conv2d_moments)
def conv2d_moments(x, w, stride=1, padding=0):
    g = Geometry.of("conv2d_moments", stride, padding, x=x, w=w)
    y = _chosen(g).forward(x, w, g)
    return y, *moments(y)


@replaces(book.conv2d_backward_x_add)
def conv2d_backward_x_add(dy, w, dx, stride=1, padding=0):
    g = Geometry.of("conv2d_backward_x_add", stride, padding, dx=dx, w=w, dy=dy)
    return _chosen(g).backward_x(dy, w, g, dx)
