"""ReLU, sigmoid and other gates on the device, in grid-stride loops over all elements. Letters: as in the book."""

import math

from npse import reference as book
from npse.cuda.runtime.arrays import replaces
from npse.cuda.runtime.device import device_function, empty_like, kernel
from npse.cuda.runtime.elementwise import elementwise
from npse.cuda.runtime.grid_stride import grid_stride
from npse.cuda.runtime.vectors import lanewise, launch_over_elements, where


@replaces(book.relu)
def relu(x):
    y = empty_like(x)
    launch_over_elements(_relu, x, y)
    return y


@kernel
def _relu(x, y):
    zero = x.dtype.type(0)
    k, end, step = grid_stride(x.size)
    while k < end:
        y[k] = at_least(x[k], zero)
        k += step


@lanewise
@device_function
def at_least(value, floor):
    """Return the larger of two numbers. If ``value`` is NaN, return NaN, as NumPy's maximum does."""
    return floor if value < floor else value


@replaces(book.relu_backward)
def relu_backward(dy, y):
    dx = empty_like(dy)
    launch_over_elements(_relu_backward, dy, y, dx)
    return dx


@kernel
def _relu_backward(dy, y, dx):
    zero = dy.dtype.type(0)
    k, end, step = grid_stride(dy.size)
    while k < end:
        dx[k] = where(y[k] > zero, dy[k], zero)
        k += step


@replaces(book.sigmoid)
def sigmoid(x):
    y = empty_like(x)
    launch_over_elements(_sigmoid, x, y)
    return y


@kernel
def _sigmoid(x, y):
    one = x.dtype.type(1)
    k, end, step = grid_stride(x.size)
    while k < end:
        y[k] = logistic(x[k], one)
        k += step


@lanewise
@device_function
def logistic(value, one):
    """Return 1 / (1 + exp(-value)), with an exponential that never overflows. ``one`` is 1 in the type of ``value``."""
    e = math.exp(-abs(value))
    return (one if value >= one - one else e) / (one + e)


@replaces(book.sigmoid_backward)
def sigmoid_backward(dy, y):
    dx = empty_like(dy)
    launch_over_elements(_sigmoid_backward, dy, y, dx)
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
    return elementwise(_twice_sigmoid, x)


def _twice_sigmoid(real):
    @device_function
    def twice_sigmoid(x):
        return real(2) * logistic(x, real(1))
    return twice_sigmoid


@replaces(book.twice_sigmoid_backward)
def twice_sigmoid_backward(dy, y):
    return elementwise(_twice_sigmoid_backward, dy, y)


def _twice_sigmoid_backward(real):
    @device_function
    def twice_sigmoid_backward(dy, y):
        return dy * y * (real(1) - y * real(0.5))
    return twice_sigmoid_backward


@replaces(book.one_plus_tanh)
def one_plus_tanh(x):
    return elementwise(_one_plus_tanh, x)


def _one_plus_tanh(real):
    @device_function
    def one_plus_tanh(x):
        return real(1) + math.tanh(x)
    return one_plus_tanh


@replaces(book.one_plus_tanh_backward)
def one_plus_tanh_backward(dy, y):
    return elementwise(_one_plus_tanh_backward, dy, y)


def _one_plus_tanh_backward(real):
    @device_function
    def one_plus_tanh_backward(dy, y):
        return dy * y * (real(2) - y)
    return one_plus_tanh_backward


@replaces(book.tanh)
def tanh(x):
    return elementwise(_tanh, x)


def _tanh(real):
    @device_function
    def tanh(x):
        return math.tanh(x)
    return tanh


@replaces(book.tanh_backward)
def tanh_backward(dy, y):
    return elementwise(_tanh_backward, dy, y)


def _tanh_backward(real):
    @device_function
    def tanh_backward(dy, y):
        return dy * (real(1) - y * y)
    return tanh_backward


@replaces(book.hard_sigmoid)
def hard_sigmoid(x):
    return elementwise(_hard_sigmoid, x)


def _hard_sigmoid(real):
    @device_function
    def hard_sigmoid(x):
        line = at_least(x * real(1 / 6) + real(0.5), real(0))
        return real(1) if line > real(1) else line
    return hard_sigmoid


@replaces(book.hard_sigmoid_backward)
def hard_sigmoid_backward(dy, y):
    return elementwise(_hard_sigmoid_backward, dy, y)


def _hard_sigmoid_backward(real):
    @device_function
    def hard_sigmoid_backward(dy, y):
        return dy * real(1 / 6) if real(0) < y < real(1) else real(0)
    return hard_sigmoid_backward


@replaces(book.relu6)
def relu6(x):
    return elementwise(_relu6, x)


def _relu6(real):
    @device_function
    def relu6(x):
        return real(0) if x <= real(0) else (real(6) if x >= real(6) else x)
    return relu6


@replaces(book.relu6_backward)
def relu6_backward(dy, y):
    return elementwise(_relu6_backward, dy, y)


def _relu6_backward(real):
    @device_function
    def relu6_backward(dy, y):
        return dy if real(0) < y < real(6) else real(0)
    return relu6_backward
