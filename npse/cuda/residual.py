"""The residual join on the device. Letters: as in the book."""

from numba import cuda

from npse import reference as book
from npse.cuda.arrays import flat, replaces
from npse.cuda.device import empty_like, kernel, launch
from npse.cuda.walk import over_numbers
from npse.reference.arrays import expect


@replaces(book.add)
def add(f, x):
    expect("add", f=(f, "N H W C"), x=(x, "N H W C"))
    y = empty_like(x)
    launch(_add, *over_numbers(x), flat(f), flat(x), flat(y))
    return y


@kernel
def _add(f, x, y):
    for i in range(cuda.grid(1), y.size, cuda.gridsize(1)):
        y[i] = f[i] + x[i]


@replaces(book.add_backward)
def add_backward(dy):
    expect("add_backward", dy=(dy, "N H W C"))
    return dy, dy
