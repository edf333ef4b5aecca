"""The ReLU and its gradient, one pass each. The sigmoid stays the book's: it is only used for (N, C) gates."""

from functools import partial

from npse import reference as book
from npse.cpu.runtime.arrays import RANGE, replaces
from npse.cpu.runtime.jit import kernel
from npse.cpu.runtime.memory_pool import empty_like
from npse.cpu.runtime.parallel import parallel_for


@replaces(book.relu)
def relu(x):
    y = empty_like(x)
    parallel_for(partial(_relu, x.reshape(-1), y.reshape(-1)), x.size, RANGE)
    return y


@kernel
def _relu(x, y, first, last):
    x, y, zero = x[first:last], y[first:last], x.dtype.type(0)
    for k in range(len(x)):
        y[k] = zero if x[k] < zero else x[k]                         # a NaN stays a NaN


@replaces(book.relu_backward)
def relu_backward(dy, y):
    dx = empty_like(dy)
    parallel_for(partial(_relu_backward, dy.reshape(-1), y.reshape(-1), dx.reshape(-1)), dy.size, RANGE)
    return dx


@kernel
def _relu_backward(dy, y, dx, first, last):
    dy, y, dx, zero = dy[first:last], y[first:last], dx[first:last], dy.dtype.type(0)
    for k in range(len(dx)):
        dx[k] = dy[k] if y[k] > zero else zero
