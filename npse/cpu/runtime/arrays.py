"""Helpers for all chapters of this edition: the arrays that a kernel takes, and the sum over a map."""

import functools

import numpy as np

from npse.cpu.runtime.jit import kernel
from npse.cpu.runtime.memory_pool import empty
from npse.cpu.runtime.parallel import parallel_for
from npse.cpu.runtime.recorder import call_as_one, is_recording
from npse.cpu.simd import channel_sums
from npse.editions.dispatch import Dispatcher
from npse.reference.checks import PLAIN

RANGE = 2**16                    # elements in a range of an elementwise op; its kernel slices, so indices start at 0


def _plain(value):
    """Return an array as a C-contiguous, writable one; return anything else as it is.

    A kernel checks no bounds, and Numba compiles it again for each memory layout. So kernels get only one layout:
    arrays with another one, and read-only arrays, are copied.
    """
    if type(value) not in PLAIN:
        return value
    plain = np.array(value, order="C", copy=None if value.flags.writeable else True)
    if plain is not value and is_recording():
        raise RuntimeError("an array that is not contiguous, or read-only, cannot be recorded")
    return plain


replaces = Dispatcher(place=_plain, is_recording=is_recording, as_one=call_as_one).replaces


def pixels(maps):
    """Return a view (N, H*W, C) of maps (N, H, W, C): for most kernels a map is a list of pixels."""
    N, H, W, C = maps.shape
    return maps.reshape(N, H * W, C)


def image_sums(x):
    """Return the sum of each channel of each map in float64: (N, H, W, C) -> (N, C).

    Sums over a batch are made image by image first, then over the images in order. So the result does not depend on the
    number of threads.
    """
    sums = zeros((x.shape[0], x.shape[3]))
    task = channel_sums.in_vectors(x, channel_sums.image_sums) or _image_sums
    parallel_for(functools.partial(task, pixels(x), sums), len(x))
    return sums


@kernel
def _image_sums(x, sums, first, last):
    for n in range(first, last):
        for r in range(x.shape[1]):
            for c in range(x.shape[2]):
                sums[n, c] += x[n, r, c]


def sum_of_images(sums, dtype):
    """Return the sum over the images, in order, of an array of float64 (N, C), in another dtype: (C,)."""
    total = empty(sums.shape[1:], dtype)
    parallel_for(functools.partial(_sum_of_images, sums, total), len(total), len(total))
    return total


@kernel
def _sum_of_images(sums, total, first, last):
    exact = np.zeros(last - first)
    for n in range(len(sums)):
        for c in range(first, last):
            exact[c - first] += sums[n, c]
    for c in range(first, last):
        total[c] = exact[c - first]


def zeros(shape, dtype=np.float64):
    """Return zeros for kernels that add to them. If work is recorded, they are cleared each time."""
    array = np.zeros(shape, dtype)
    if is_recording():
        parallel_for(functools.partial(_clear, array.reshape(-1)), array.size, RANGE)
    return array


@kernel
def _clear(array, first, last):
    array[first:last] = 0


def rounded(sums, dtype):
    """Return an array of float64 in another dtype."""
    result = empty(sums.shape, dtype)
    parallel_for(functools.partial(_round, sums.reshape(-1), result.reshape(-1)), sums.size, RANGE)
    return result


@kernel
def _round(sums, result, first, last):
    sums, result = sums[first:last], result[first:last]
    for k in range(len(sums)):
        result[k] = sums[k]
