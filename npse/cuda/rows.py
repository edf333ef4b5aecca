"""Rows of an array that lies on the device: how a batch is taken from a data set that was copied there once."""

from numba import cuda

from npse.cuda.device import BLOCK, blocks_for, empty, kernel, launch, to_device


def rows(array, chosen):
    """Return ``array[chosen]`` for a device array (N, ...) and integers (n,) of 0 .. N - 1, as a device array."""
    count, numbers = len(chosen), array.size // len(array)
    y = empty((count, *array.shape[1:]), array.dtype)
    launch(_rows, (count, blocks_for(numbers)), BLOCK, array.reshape(len(array), numbers), to_device(chosen),
           y.reshape(count, numbers))
    return y


@kernel
def _rows(x, chosen, y):
    n, place = cuda.blockIdx.x, cuda.blockIdx.y * cuda.blockDim.x + cuda.threadIdx.x
    if place < y.shape[1]:
        y[n, place] = x[chosen[n], place]
