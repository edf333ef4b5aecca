"""Copies from one place of the device to another: rows of a data set that lies there, numbers that must stay put."""

from numba import cuda

from npse.cuda.runtime.arrays import flat
from npse.cuda.runtime.device import BLOCK_THREADS, blocks_for, empty, kernel, launch, to_device


def copy(source, target):
    """Write the numbers of a device array into another of its size and dtype."""
    launch(_copy, blocks_for(source.size), BLOCK_THREADS, flat(source), flat(target))


@kernel
def _copy(x, y):
    i = cuda.blockIdx.x * cuda.blockDim.x + cuda.threadIdx.x
    if i < x.size:
        y[i] = x[i]


def rows(array, chosen):
    """Return ``array[chosen]`` for a device array (N, ...) and integers (n,) of 0 .. N - 1, as a device array."""
    count, numbers = len(chosen), array.size // len(array)
    y = empty((count, *array.shape[1:]), array.dtype)
    launch(_rows, (count, blocks_for(numbers)), BLOCK_THREADS, array.reshape(len(array), numbers), to_device(chosen),
           y.reshape(count, numbers))
    return y


@kernel
def _rows(x, chosen, y):
    n, place = cuda.blockIdx.x, cuda.blockIdx.y * cuda.blockDim.x + cuda.threadIdx.x
    if place < y.shape[1]:
        y[n, place] = x[chosen[n], place]
