"""Copies within device memory: rows of a data set, and copies into arrays whose address must not change."""

from numba import cuda

from npse.cuda.runtime.device import BLOCK_THREADS, blocks_for, empty, kernel, launch, to_device
from npse.cuda.runtime.grid_stride import grid_stride
from npse.cuda.runtime.vectors import launch_over_elements


def copy(source, target):
    """Copy the elements of the device array ``source`` into ``target``, of the same size and dtype."""
    launch_over_elements(_copy, source, target)


@kernel
def _copy(x, y):
    k, end, step = grid_stride(y.size)
    while k < end:
        y[k] = x[k]
        k += step


def rows(array, chosen):
    """Return the device array ``array[chosen]`` (n, ...) for a device array (N, ...) and integers (n,) in 0 .. N - 1.

    The integers are not checked.
    """
    count, elements = len(chosen), array.size // len(array)
    y = empty((count, *array.shape[1:]), array.dtype)
    launch(_rows, (count, blocks_for(elements)), BLOCK_THREADS, array.reshape(len(array), elements), to_device(chosen),
           y.reshape(count, elements))
    return y


@kernel
def _rows(x, chosen, y):
    n, k = cuda.blockIdx.x, cuda.blockIdx.y * cuda.blockDim.x + cuda.threadIdx.x
    if k < y.shape[1]:
        y[n, k] = x[chosen[n], k]
