"""Convolution, equation (1): a ladder, and the rule that picks a rung. Letters: as in the book.

    naive       naive.py         a thread computes one number, from memory
    tile        tiled.py         blocks share squares of patches and filters: an implicit matrix product
    register    register.py      a thread computes a tile of numbers, from the part of a map that its block sees;
                register_dw.py   the gradient of the filters

`LADDER` holds the three ops of the book on each rung, `conv2d` and its gradients take the rung that `choose` names;
`LADDER.up_to`, or the environment variable NPSE_CUDA_CONVOLUTION, keeps them from climbing above the rung it names.
"""

from types import SimpleNamespace

from npse import reference as book
from npse.cuda.batch_norm import moments
from npse.cuda.conv_kernels import naive, register, register_dw, tiled
from npse.cuda.runtime.arrays import replaces
from npse.editions.convolution import Geometry, Ladder


def choose(geometry):
    """Name the highest rung, up to the ladder's top, that can compute a convolution, whose window must fit a patch.

    A stride is limited by the s * s phases of dx (phases.py), which are an axis of the grid of blocks.
    """
    g = geometry
    fits = g.kh * g.kw <= min(register.CAPACITY, register_dw.CAPACITY)
    return LADDER.at_most("naive" if g.stride > 255 else "register" if fits else "tile")


LADDER = Ladder({
    "naive": naive,
    "tile": tiled,
    "register": SimpleNamespace(forward=register.forward, backward_x=register.backward_x,
                                backward_w=register_dw.backward_w),
}, "NPSE_CUDA_CONVOLUTION", replaces)


def _chosen(geometry, *_):
    return LADDER.rungs[choose(geometry)]


conv2d, conv2d_backward_x, conv2d_backward_w = LADDER.ops_of(_chosen)


@replaces(book.conv2d_moments)
def conv2d_moments(x, w, stride=1, padding=0):
    g = Geometry.of(x.shape, w.shape, stride, padding)
    y = _chosen(g).forward(x, w, g)
    return y, *moments(y)


@replaces(book.conv2d_backward_x_add)
def conv2d_backward_x_add(dy, w, dx, stride=1, padding=0):
    g = Geometry.of(dx.shape, w.shape, stride, padding)
    return _chosen(g).backward_x(dy, w, g, dx)
