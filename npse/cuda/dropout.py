"""Dropout with a given mask, a NumPy array or a device array. Letters: as in the book."""

from npse import reference as book
from npse.cuda.runtime.arrays import flat, replaces
from npse.cuda.runtime.device import empty_like, kernel, launch, scalar, to_device
from npse.cuda.runtime.grid_stride import grid_for_elements, grid_stride


@replaces(book.dropout)
def dropout(x, mask, rate):
    y = empty_like(x)
    launch(_dropout, *grid_for_elements(x), flat(x), flat(to_device(mask)), scalar(1 - rate, x), flat(y))
    return y


@kernel
def _dropout(x, mask, part, y):
    k, end, step = grid_stride(y.size)
    while k < end:
        y[k] = x[k] / part if mask[k] else x.dtype.type(0)
        k += step


@replaces(book.dropout_backward)
def dropout_backward(dy, mask, rate):
    return dropout(dy, mask, rate)
