"""What every chapter of this edition leans on: which arrays a kernel takes, and the sum over a map."""

import functools

import numpy as np

from npse.cpu.runtime.jit import kernel
from npse.cpu.runtime.parallel import share
from npse.cpu.simd import channel_sums
from npse.reference.arrays import PLAIN

COMPILED = frozenset({np.dtype(np.float32), np.dtype(np.float64)})
RANGE = 2**16                    # numbers a range of an elementwise op; its kernel slices, so that indices start at 0


def replaces(op):
    """Decorate the compiled version of an op of the book: it gets C-contiguous arrays of float32 or float64.

    A kernel checks no bounds and is compiled for each kind of array it meets, so there is only one: arrays of another
    memory layout, and those that may not be written to, are copied. Arrays of another floating-point type (half, long
    double, complex, foreign byte order) go to the book. Shapes are checked by the op, with `expect`.
    """
    def decorate(fast):
        @functools.wraps(fast)
        def chosen(*arguments, **options):
            if any(map(_is_foreign, arguments)) or any(map(_is_foreign, options.values())):
                return op(*arguments, **options)
            return fast(*map(_plain, arguments), **{name: _plain(value) for name, value in options.items()})

        chosen.__doc__ = op.__doc__
        return chosen
    return decorate


def _is_foreign(value):
    dtype = getattr(value, "dtype", None)
    return dtype is not None and dtype.kind in "fc" and dtype not in COMPILED


def _plain(value):
    if type(value) not in PLAIN:              # no array, or one that the op refuses
        return value
    return np.array(value, order="C", copy=None if value.flags.writeable else True)


def pixels(maps):
    """View maps (N, H, W, C) as (N, H*W, C): for most kernels a map is a list of pixels."""
    N, H, W, C = maps.shape
    return maps.reshape(N, H * W, C)


def image_sums(x):
    """Sum each channel of each map in float64: (N, H, W, C) -> (N, C).

    What is summed over a batch is summed image by image first, then over the images in order, so that the result does
    not depend on the number of threads.
    """
    sums = np.zeros((x.shape[0], x.shape[3]))
    task = channel_sums.in_vectors(x, channel_sums.image_sums) or _image_sums
    share(functools.partial(task, pixels(x), sums), len(x))
    return sums


@kernel
def _image_sums(x, sums, first, last):
    for n in range(first, last):
        for r in range(x.shape[1]):
            for c in range(x.shape[2]):
                sums[n, c] += x[n, r, c]
