"""The residual join on the device. Letters: as in the book."""

from npse import reference as book
from npse.cuda.runtime.arrays import flat, replaces
from npse.cuda.runtime.device import empty_like, kernel, launch
from npse.cuda.runtime.grid_stride import grid_for_elements, grid_stride


@replaces(book.add)
def add(f, x):
    y = empty_like(x)
    launch(_add, *grid_for_elements(x), flat(f), flat(x), flat(y))
    return y


@kernel
def _add(f, x, y):
    k, end, step = grid_stride(y.size)
    while k < end:
        y[k] = f[k] + x[k]
        k += step


@replaces(book.add_backward)
def add_backward(dy):
    return dy, dy
