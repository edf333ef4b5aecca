"""ReLU, sigmoid and other gates on the device, in grid-stride loops over all elements. Letters: as in the book."""

import math

from npse import reference as book
from npse.cuda.runtime.arrays import flat, replaces
from npse.cuda.runtime.device import device_function, empty_like, kernel, launch, scalar
from npse.cuda.runtime.grid_stride import grid_for_elements, grid_stride


@replaces(book.relu)
def relu(x):
    y = empty_like(x)
    launch(_relu, *grid_for_elements(x), flat(x), flat(y))
    return y


@kernel
def _relu(x, y):
    zero = x.dtype.type(0)
    k, end, step = grid_stride(x.size)
    while k < end:
        y[k] = at_least(x[k], zero)
        k += step


@device_function
def at_least(value, floor):
    """Return the larger of two numbers. If ``value`` is NaN, return NaN, as NumPy's maximum does."""
    return floor if value < floor else value


@replaces(book.relu_backward)
def relu_backward(dy, y):
    dx = empty_like(dy)
    launch(_relu_backward, *grid_for_elements(dy), flat(dy), flat(y), flat(dx))
    return dx


@kernel
def _relu_backward(dy, y, dx):
    zero = dy.dtype.type(0)
    k, end, step = grid_stride(dy.size)
    while k < end:
        dx[k] = dy[k] if y[k] > zero else zero
        k += step


@replaces(book.sigmoid)
def sigmoid(x):
    y = empty_like(x)
    launch(_sigmoid, *grid_for_elements(x), flat(x), flat(y))
    return y


@kernel
def _sigmoid(x, y):
    one = x.dtype.type(1)
    k, end, step = grid_stride(x.size)
    while k < end:
        y[k] = logistic(x[k], one)
        k += step


@device_function
def logistic(value, one):
    """Return 1 / (1 + exp(-value)), with an exponential that never overflows. ``one`` is 1 in the type of ``value``."""
    e = math.exp(-abs(value))
    return (one if value >= one - one else e) / (one + e)


@replaces(book.sigmoid_backward)
def sigmoid_backward(dy, y):
    dx = empty_like(dy)
    launch(_sigmoid_backward, *grid_for_elements(dy), flat(dy), flat(y), flat(dx))
    return dx


@kernel
def _sigmoid_backward(dy, y, dx):
    one = dy.dtype.type(1)
    k, end, step = grid_stride(dy.size)
    while k < end:
        dx[k] = dy[k] * y[k] * (one - y[k])
        k += step


@replaces(book.twice_sigmoid)
def twice_sigmoid(x):
    y = empty_like(x)
    launch(_twice_sigmoid, *grid_for_elements(x), flat(x), flat(y))
    return y


@kernel
def _twice_sigmoid(x, y):
    one = x.dtype.type(1)
    k, end, step = grid_stride(x.size)
    while k < end:
        y[k] = logistic(x[k], one) * (one + one)
        k += step


@replaces(book.twice_sigmoid_backward)
def twice_sigmoid_backward(dy, y):
    dx = empty_like(dy)
    launch(_twice_sigmoid_backward, *grid_for_elements(dy), flat(dy), flat(y), flat(dx))
    return dx


@kernel
def _twice_sigmoid_backward(dy, y, dx):
    one, half = dy.dtype.type(1), dy.dtype.type(0.5)
    k, end, step = grid_stride(dy.size)
    while k < end:
        dx[k] = dy[k] * y[k] * (one - y[k] * half)
        k += step


@replaces(book.one_plus_tanh)
def one_plus_tanh(x):
    y = empty_like(x)
    launch(_one_plus_tanh, *grid_for_elements(x), flat(x), flat(y))
    return y


@kernel
def _one_plus_tanh(x, y):
    one = x.dtype.type(1)
    k, end, step = grid_stride(x.size)
    while k < end:
        y[k] = one + math.tanh(x[k])
        k += step


@replaces(book.one_plus_tanh_backward)
def one_plus_tanh_backward(dy, y):
    dx = empty_like(dy)
    launch(_one_plus_tanh_backward, *grid_for_elements(dy), flat(dy), flat(y), flat(dx))
    return dx


@kernel
def _one_plus_tanh_backward(dy, y, dx):
    two = dy.dtype.type(2)
    k, end, step = grid_stride(dy.size)
    while k < end:
        dx[k] = dy[k] * y[k] * (two - y[k])
        k += step


@replaces(book.tanh)
def tanh(x):
    y = empty_like(x)
    launch(_tanh, *grid_for_elements(x), flat(x), flat(y))
    return y


@kernel
def _tanh(x, y):
    k, end, step = grid_stride(x.size)
    while k < end:
        y[k] = math.tanh(x[k])
        k += step


@replaces(book.tanh_backward)
def tanh_backward(dy, y):
    dx = empty_like(dy)
    launch(_tanh_backward, *grid_for_elements(dy), flat(dy), flat(y), flat(dx))
    return dx


@kernel
def _tanh_backward(dy, y, dx):
    one = dy.dtype.type(1)
    k, end, step = grid_stride(dy.size)
    while k < end:
        dx[k] = dy[k] * (one - y[k] * y[k])
        k += step


@replaces(book.hard_sigmoid)
def hard_sigmoid(x):
    y = empty_like(x)
    launch(_hard_sigmoid, *grid_for_elements(x), flat(x), scalar(1 / 6, x), flat(y))
    return y


@kernel
def _hard_sigmoid(x, sixth, y):
    zero, half, one = x.dtype.type(0), x.dtype.type(0.5), x.dtype.type(1)
    k, end, step = grid_stride(x.size)
    while k < end:
        value = at_least(x[k] * sixth + half, zero)
        y[k] = one if value > one else value
        k += step


@replaces(book.hard_sigmoid_backward)
def hard_sigmoid_backward(dy, y):
    dx = empty_like(dy)
    launch(_hard_sigmoid_backward, *grid_for_elements(dy), flat(dy), flat(y), scalar(1 / 6, dy), flat(dx))
    return dx


@kernel
def _hard_sigmoid_backward(dy, y, sixth, dx):
    zero, one = dy.dtype.type(0), dy.dtype.type(1)
    k, end, step = grid_stride(dy.size)
    while k < end:
        dx[k] = dy[k] * sixth if zero < y[k] < one else zero
        k += step
