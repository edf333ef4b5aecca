"""Convolution, equation (1): its variants, the slowest first, and the rule that chooses one. Letters: as in the book.

    loops       loops.py       the loops of the formula, compiled
    matrix      im2col.py      patches @ filters, multiplied by the BLAS library
    planes      planes.py      few channels, stride 1: a vector holds neighbouring pixels of one channel
    tile        direct.py      a tile of results stays in registers during the loop over the filter's taps
    sliding     direct.py      the same, with a whole row of the filter at once
    winograd    winograd.py    3x3 filters in float32: a quarter of the products, ten times the rounding error

`VARIANTS` holds the three ops of the book in each variant. `conv2d` and its gradients use the variant that `choose`
returns. `VARIANTS.limited_to`, or the environment variable NPSE_CONVOLUTION, sets the fastest variant that they may
use.
"""

from functools import partial
from types import SimpleNamespace

from npse import reference as book
from npse.cpu.conv_kernels import direct, direct_dw, im2col, loops, planes, winograd
from npse.cpu.runtime.arrays import image_sums, pixels, replaces, sum_of_images
from npse.cpu.runtime.jit import kernel
from npse.cpu.runtime.memory_pool import empty_like
from npse.cpu.runtime.parallel import parallel_for
from npse.cpu.runtime.recorder import call_as_one
from npse.cpu.simd.tile import lanes
from npse.editions.convolution import Variants


def choose(geometry, channels, dtype):
    """Return the name of the fastest variant, up to the limit, for a result (y, dx or dw) of ``channels`` channels.

    benchmarks/convolution.py measured 16 to 512 channels, and maps of 2x2 to 56x56. There the tile takes 0.4 to 0.9 of
    the time of the matrix product, which has to write and read patches. With less than half a vector of channels, most
    of a tile would be padding; there planes are used, if x and y both have few channels. For filters with rows of more
    than seven taps the sliding tile has too few registers.
    """
    if VARIANTS.limit == "winograd" and winograd.fits(geometry, dtype):
        return "winograd"
    tiles = 0 < lanes(dtype) <= 2 * channels
    slides = tiles and geometry.stride == 1 and 1 < geometry.kw <= 7
    if not tiles:
        return VARIANTS.lower_of("planes" if planes.fits(geometry, dtype) else "matrix")
    return VARIANTS.lower_of("sliding" if slides else "tile")


def _tile(sliding):
    forward, backward_x, backward_w = (partial(function, sliding=sliding) for function in (
        direct.forward, direct.backward_x, direct_dw.backward_w))
    return SimpleNamespace(forward=forward, backward_x=backward_x, backward_w=backward_w, parts=direct.parts)


def _whole(module):
    """Return a variant whose passes are not recorded part by part."""
    return SimpleNamespace(**{name: partial(call_as_one, getattr(module, name))
                              for name in ("forward", "backward_x", "backward_w")})


# Variants with ``parts`` can sum a result, add an array to it, or apply an affine map, while it is in cache.
VARIANTS = Variants({
    "loops": _whole(loops),
    "matrix": _whole(im2col),
    "planes": _whole(planes),
    "tile": _tile(sliding=False),
    "sliding": _tile(sliding=True),
    "winograd": winograd,
}, "NPSE_CONVOLUTION", replaces)


def chosen(geometry, channels, dtype):
    return VARIANTS.variants[choose(geometry, channels, dtype)]


conv2d, conv2d_backward_x, conv2d_backward_w = VARIANTS.ops_of(chosen)


@replaces(book.add_bias, recordable=True)
def add_bias(y, b):
    z = empty_like(y)
    parallel_for(partial(_add_bias, pixels(y), b, pixels(z)), len(y))
    return z


@kernel
def _add_bias(y, b, z, first, last):
    for n in range(first, last):
        for r in range(y.shape[1]):
            for c in range(y.shape[2]):
                z[n, r, c] = y[n, r, c] + b[c]


@replaces(book.add_bias_backward, recordable=True)
def add_bias_backward(dz):
    return dz, sum_of_images(image_sums(dz), dz.dtype)
