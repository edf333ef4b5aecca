"""Convolution, equation (1): its variants, the slowest first, and the rule that chooses one. Letters: as in the book.

    naive       naive.py         a thread computes one number, from memory
    tile        tiled.py         blocks share squares of patches and filters: an implicit matrix product
    register    register.py      a thread computes a tile of numbers, from the part of a map that its block sees;
                register_dw.py   the gradient of the filters

`VARIANTS` holds the three ops of the book in each variant; `conv2d` and its gradients use the one that `choose` names.
`VARIANTS.limited_to`, or the environment variable NPSE_CUDA_CONVOLUTION, names the fastest variant that they may use.
"""

from types import SimpleNamespace

from npse.cuda.conv_kernels import naive, register, register_dw, tiled
from npse.cuda.runtime.arrays import replaces
from npse.editions.convolution import Variants


def choose(geometry):
    """Name the highest variant, up to the limit, that can compute a convolution, whose window must fit a patch.

    A stride is limited by the s * s phases of dx (phases.py), which are an axis of the grid of blocks.
    """
    g = geometry
    fits = g.kh * g.kw <= min(register.CAPACITY, register_dw.CAPACITY)
    return VARIANTS.lower_of("naive" if g.stride > 255 else "register" if fits else "tile")


VARIANTS = Variants({
    "naive": naive,
    "tile": tiled,
    "register": SimpleNamespace(forward=register.forward, backward_x=register.backward_x,
                                backward_w=register_dw.backward_w),
}, "NPSE_CUDA_CONVOLUTION", replaces)


def chosen(geometry, *_):
    return VARIANTS.variants[choose(geometry)]


conv2d, conv2d_backward_x, conv2d_backward_w = VARIANTS.ops_of(chosen)
