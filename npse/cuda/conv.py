"""Convolution, equation (1): its variants, the slowest first, and the rule that chooses one. Letters: as in the book.

    naive       naive.py         a thread computes one element and reads from global memory
    tile        tiled.py         an implicit matrix product: a block loads tiles of patches and filters to shared memory
    register    register.py      a thread computes a tile of elements in registers, from a part of the map in shared
                                 memory: y and dx
                register_dw.py   the same for dw

`VARIANTS` contains the three ops of the book in each variant. `conv2d` and its gradients use the variant that `choose`
returns. `VARIANTS.limited_to`, or the environment variable NPSE_CUDA_CONVOLUTION, sets the fastest variant allowed.
"""

from types import SimpleNamespace

from npse.cuda.conv_kernels import naive, register, register_dw, tiled
from npse.cuda.runtime.arrays import replaces
from npse.editions.convolution import Variants


def choose(geometry):
    """Return the name of the fastest variant, up to the limit, that can compute a convolution.

    The register variant needs a window that is not larger than a patch. The strides of the variants "tile" and
    "register" are limited: they compute dx in s * s phases (phases.py), which are one axis of the grid of blocks.
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
    """Return the variant that `choose` names: an object with ``forward``, ``backward_x`` and ``backward_w``."""
    return VARIANTS.variants[choose(geometry)]


conv2d, conv2d_backward_x, conv2d_backward_w = VARIANTS.ops_of(chosen)
