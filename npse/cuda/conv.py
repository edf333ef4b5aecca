"""Convolution, equation (1): its variants, the slowest first, and the rule that chooses one. Letters: as in the book.

    naive       naive.py         a thread computes one element and reads from global memory
    tile        tiled.py         an implicit matrix product: a block loads tiles of patches and filters to shared memory
    register    register.py      a thread computes a tile of elements in registers, from a part of the map in shared
                                 memory: y and dx
                register_dw.py   the same for dw
    winograd    winograd.py      fewer products, for 3x3 filters of float32 with stride 1 and many channels: all three
    tensor      tensor.py        tensor cores multiply; factors are rounded to tf32, which has 10 bits of mantissa: y
                                 and dx of float32, for at least 8 channels
                tensor_dw.py     the same for dw

`VARIANTS` contains the three ops of the book in each variant. `conv2d` and its gradients use the variant that `choose`
returns. `VARIANTS.limited_to`, or the environment variable NPSE_CUDA_CONVOLUTION, sets the fastest variant allowed. It
is "register" unless you set it: Winograd's algorithm has not been measured on a GPU, and tf32 changes results by up to
about a thousandth.
"""

from types import SimpleNamespace

from npse import reference as book
from npse.cuda.conv_kernels import naive, register, register_dw, tensor, tensor_dw, tiled, winograd
from npse.cuda.runtime.arrays import area, replaces
from npse.cuda.runtime.device import empty_like, kernel
from npse.cuda.runtime.grid_stride import grid_for_pixels, thread_map
from npse.cuda.runtime.partial_sums import add_rows
from npse.cuda.runtime.tensor_core import computes
from npse.cuda.runtime.vectors import launch_over_maps
from npse.editions.convolution import Variants


def choose(geometry, dtype):
    """Return the name of the fastest variant, up to the limit, that can compute a convolution.

    The variants "register" and "tensor" need a window that is not larger than a patch. The variant "tensor" also needs
    float32, compute capability 8.0 and 8 channels: with fewer, most of a matrix would be zeros. For "winograd" see
    `npse.cuda.conv_kernels.winograd.fits`. The strides of all but "naive" are limited: they compute dx in s * s phases
    (phases.py), which are one axis of the grid of blocks.
    """
    g = geometry
    name = VARIANTS.lower_of("naive" if g.stride > 255 else "tensor")
    if name == "tensor" and not (min(g.Cin, g.Cout) >= 8 and _fits(g, tensor, tensor_dw) and computes(dtype)):
        name = "winograd"
    if name == "winograd" and not winograd.fits(g, dtype):
        name = "register"
    return "tile" if name == "register" and not _fits(g, register, register_dw) else name


def _fits(g, *modules):
    """Return whether a window fits the patch of each module."""
    return g.kh * g.kw <= min(module.CAPACITY for module in modules)


VARIANTS = Variants({
    "naive": naive,
    "tile": tiled,
    "register": SimpleNamespace(forward=register.forward, backward_x=register.backward_x,
                                backward_w=register_dw.backward_w),
    "winograd": winograd,
    "tensor": SimpleNamespace(forward=tensor.forward, backward_x=tensor.backward_x, backward_w=tensor_dw.backward_w),
}, "NPSE_CUDA_CONVOLUTION", replaces, usual="register")


def chosen(geometry, _, dtype):
    """Return the variant that `choose` names: an object with ``forward``, ``backward_x`` and ``backward_w``."""
    return VARIANTS.variants[choose(geometry, dtype)]


conv2d, conv2d_backward_x, conv2d_backward_w = VARIANTS.ops_of(chosen)


@replaces(book.add_bias)
def add_bias(y, b):
    z = empty_like(y)
    launch_over_maps(_add_bias, grid_for_pixels, y, area(y), b, z)
    return z


@kernel
def _add_bias(y, R, b, z):
    _, c, k, end, step = thread_map(R, b.size)
    if c < b.size:
        bias = b[c]
        while k < end:
            z[k] = y[k] + bias
            k += step


@replaces(book.add_bias_backward)
def add_bias_backward(dz):
    return dz, add_rows(dz.reshape((dz.size // dz.shape[3], dz.shape[3])))
