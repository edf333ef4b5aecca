"""ReLU, sigmoid and other gates, in one pass each. With exponentials that a compiler can vectorize."""

from functools import partial

from npse import reference as book
from npse.cpu.runtime.arrays import RANGE, replaces
from npse.cpu.runtime.elementwise import elementwise
from npse.cpu.runtime.jit import kernel
from npse.cpu.runtime.memory_pool import empty_like
from npse.cpu.runtime.parallel import parallel_for
from npse.cpu.simd.exponential import exponential


@replaces(book.relu, recordable=True)
def relu(x):
    y = empty_like(x)
    parallel_for(partial(_relu, x.reshape(-1), y.reshape(-1)), x.size, RANGE)
    return y


@kernel
def _relu(x, y, first, last):
    x, y, zero = x[first:last], y[first:last], x.dtype.type(0)
    for k in range(len(x)):
        y[k] = zero if x[k] < zero else x[k]                         # a NaN stays a NaN


@replaces(book.relu_backward, recordable=True)
def relu_backward(dy, y):
    dx = empty_like(dy)
    parallel_for(partial(_relu_backward, dy.reshape(-1), y.reshape(-1), dx.reshape(-1)), dy.size, RANGE)
    return dx


@kernel
def _relu_backward(dy, y, dx, first, last):
    dy, y, dx, zero = dy[first:last], y[first:last], dx[first:last], dy.dtype.type(0)
    for k in range(len(dx)):
        dx[k] = dy[k] if y[k] > zero else zero


@replaces(book.sigmoid, recordable=True)
def sigmoid(x):
    return elementwise(logistic, x)


def logistic(real):
    """Make the kernel of 1 / (1 + exp(-x)) of one number."""
    exp, _ = exponential(real)

    @kernel
    def logistic(x):
        e = exp(-abs(x))
        return (real(1) if x >= real(0) else e) / (real(1) + e)
    return logistic


@replaces(book.sigmoid_backward, recordable=True)
def sigmoid_backward(dy, y):
    return elementwise(_sigmoid_backward, dy, y)


def _sigmoid_backward(real):
    @kernel
    def sigmoid_backward(dy, y):
        return dy * y * (real(1) - y)
    return sigmoid_backward


@replaces(book.twice_sigmoid, recordable=True)
def twice_sigmoid(x):
    return elementwise(_twice_sigmoid, x)


def _twice_sigmoid(real):
    sigmoid = logistic(real)

    @kernel
    def twice_sigmoid(x):
        return real(2) * sigmoid(x)
    return twice_sigmoid


@replaces(book.twice_sigmoid_backward, recordable=True)
def twice_sigmoid_backward(dy, y):
    return elementwise(_twice_sigmoid_backward, dy, y)


def _twice_sigmoid_backward(real):
    @kernel
    def twice_sigmoid_backward(dy, y):
        return dy * y * (real(1) - y / real(2))
    return twice_sigmoid_backward


@replaces(book.tanh, recordable=True)
def tanh(x):
    return elementwise(_tanh, x)


def _tanh(real):
    _, exp_minus_1 = exponential(real)

    @kernel
    def tanh(x):
        e = exp_minus_1(real(-2) * abs(x))
        return (-e if x > real(0) else e) / (e + real(2))
    return tanh


@replaces(book.tanh_backward, recordable=True)
def tanh_backward(dy, y):
    return elementwise(_tanh_backward, dy, y)


def _tanh_backward(real):
    @kernel
    def tanh_backward(dy, y):
        return dy * (real(1) - y * y)
    return tanh_backward


@replaces(book.one_plus_tanh, recordable=True)
def one_plus_tanh(x):
    return elementwise(_one_plus_tanh, x)


def _one_plus_tanh(real):
    hyperbolic = _tanh(real)

    @kernel
    def one_plus_tanh(x):
        return real(1) + hyperbolic(x)
    return one_plus_tanh


@replaces(book.one_plus_tanh_backward, recordable=True)
def one_plus_tanh_backward(dy, y):
    return elementwise(_one_plus_tanh_backward, dy, y)


def _one_plus_tanh_backward(real):
    @kernel
    def one_plus_tanh_backward(dy, y):
        return dy * y * (real(2) - y)
    return one_plus_tanh_backward


@replaces(book.hard_sigmoid, recordable=True)
def hard_sigmoid(x):
    return elementwise(_hard_sigmoid, x)


def _hard_sigmoid(real):
    @kernel
    def hard_sigmoid(x):
        line = x / real(6) + real(0.5)
        return real(0) if x <= real(-3) else (real(1) if x >= real(3) else line)
    return hard_sigmoid


@replaces(book.hard_sigmoid_backward, recordable=True)
def hard_sigmoid_backward(dy, y):
    return elementwise(_hard_sigmoid_backward, dy, y)


def _hard_sigmoid_backward(real):
    @kernel
    def hard_sigmoid_backward(dy, y):
        return dy / real(6) if (y > real(0)) & (y < real(1)) else real(0)
    return hard_sigmoid_backward


@replaces(book.relu6, recordable=True)
def relu6(x):
    return elementwise(_relu6, x)


def _relu6(real):
    @kernel
    def relu6(x):
        return real(0) if x <= real(0) else (real(6) if x >= real(6) else x)
    return relu6


@replaces(book.relu6_backward, recordable=True)
def relu6_backward(dy, y):
    return elementwise(_relu6_backward, dy, y)


def _relu6_backward(real):
    @kernel
    def relu6_backward(dy, y):
        return dy if (y > real(0)) & (y < real(6)) else real(0)
    return relu6_backward
