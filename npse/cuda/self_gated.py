"""Hard swish, SiLU and GELU on the device. Letters: as in the book."""

import math

from npse import reference as book
from npse.cuda.activation import logistic
from npse.cuda.runtime.arrays import replaces
from npse.cuda.runtime.device import device_function
from npse.cuda.runtime.elementwise import elementwise


@replaces(book.hard_swish)
def hard_swish(x):
    return elementwise(_hard_swish, x)


def _hard_swish(real):
    @device_function
    def hard_swish(x):
        curve = x * (x * real(1 / 6) + real(0.5))
        return real(0) if x <= real(-3) else (x if x >= real(3) else curve)
    return hard_swish


@replaces(book.hard_swish_backward)
def hard_swish_backward(dy, x):
    return elementwise(_hard_swish_backward, dy, x)


def _hard_swish_backward(real):
    @device_function
    def hard_swish_backward(dy, x):
        curve = dy * (x * real(1 / 3) + real(0.5))
        return real(0) if x <= real(-3) else (dy if x >= real(3) else curve)
    return hard_swish_backward


@replaces(book.silu)
def silu(x):
    return elementwise(_silu, x)


def _silu(real):
    @device_function
    def silu(x):
        return x * logistic(x, real(1))
    return silu


@replaces(book.silu_backward)
def silu_backward(dy, x):
    return elementwise(_silu_backward, dy, x)


def _silu_backward(real):
    @device_function
    def silu_backward(dy, x):
        s = logistic(x, real(1))
        return dy * s * (real(1) + x * (real(1) - s))
    return silu_backward


@replaces(book.gelu)
def gelu(x, approximate=False):
    return elementwise(_gelu_approximate if approximate else _gelu, x)


@replaces(book.gelu_backward)
def gelu_backward(dy, x, approximate=False):
    return elementwise(_gelu_approximate_backward if approximate else _gelu_backward, dy, x)


def _gelu(real):
    @device_function
    def gelu(x):
        return x * real(0.5) * math.erfc(x * real(-math.sqrt(0.5)))
    return gelu


def _gelu_backward(real):
    @device_function
    def gelu_backward(dy, x):
        density = math.exp(real(-0.5) * x * x) * real(1 / math.sqrt(2 * math.pi))
        return dy * (real(0.5) * math.erfc(x * real(-math.sqrt(0.5))) + x * density)
    return gelu_backward


def _gelu_approximate(real):
    @device_function
    def gelu_approximate(x):                                      # (1 + tanh(t)) / 2 = logistic(2t)
        return x * logistic(real(2 * math.sqrt(2 / math.pi)) * (x + real(0.044715) * x * x * x), real(1))
    return gelu_approximate


def _gelu_approximate_backward(real):
    @device_function
    def gelu_approximate_backward(dy, x):
        root = real(2 * math.sqrt(2 / math.pi))
        s = logistic(root * (x + real(0.044715) * x * x * x), real(1))
        return dy * (s + x * s * (real(1) - s) * root * (real(1) + real(3 * 0.044715) * x * x))
    return gelu_approximate_backward
