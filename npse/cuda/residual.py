"""The residual join on the device. Letters: as in the book."""

from npse import reference as book
from npse.cuda.runtime.arrays import replaces
from npse.cuda.runtime.device import empty_like, kernel
from npse.cuda.runtime.grid_stride import grid_stride
from npse.cuda.runtime.vectors import launch_over_elements


@replaces(book.add)
def add(f, x):
    y = empty_like(x)
    launch_over_elements(_add, f, x, y)
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
