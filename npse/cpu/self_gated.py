"""Hard swish, SiLU and GELU, in one pass each. Letters: as in the book."""

import math

import numpy as np

from npse import reference as book
from npse.cpu.activation import logistic
from npse.cpu.runtime.arrays import replaces
from npse.cpu.runtime.elementwise import elementwise
from npse.cpu.runtime.jit import kernel
from npse.cpu.simd.exponential import exponential

# 1 - P(z) = exp(-z^2 / 2) * (c0*t + c1*t^2 + ... + c8*t^9), t = 1 / (1 + 0.21 z), for z >= 0: least squares of the
# relative error, which is below 2e-8. The last coefficient comes first.
_TAIL = (-0.0712948888540268, 0.2818048596382141, -0.3264937102794647, 0.34498700499534607, -0.09077274054288864,
         0.12347212433815002, 0.06956975162029266, 0.08501243591308594, 0.08371514827013016)


@replaces(book.hard_swish, recordable=True)
def hard_swish(x):
    return elementwise(_hard_swish, x)


def _hard_swish(real):
    @kernel
    def hard_swish(x):
        curve = x * (x / real(6) + real(0.5))
        return real(0) if x <= real(-3) else (x if x >= real(3) else curve)
    return hard_swish


@replaces(book.hard_swish_backward, recordable=True)
def hard_swish_backward(dy, x):
    return elementwise(_hard_swish_backward, dy, x)


def _hard_swish_backward(real):
    @kernel
    def hard_swish_backward(dy, x):
        curve = dy * (x / real(3) + real(0.5))
        return real(0) if x <= real(-3) else (dy if x >= real(3) else curve)
    return hard_swish_backward


@replaces(book.silu, recordable=True)
def silu(x):
    return elementwise(_silu, x)


def _silu(real):
    sigmoid = logistic(real)

    @kernel
    def silu(x):
        return x * sigmoid(x)
    return silu


@replaces(book.silu_backward, recordable=True)
def silu_backward(dy, x):
    return elementwise(_silu_backward, dy, x)


def _silu_backward(real):
    sigmoid = logistic(real)

    @kernel
    def silu_backward(dy, x):
        s = sigmoid(x)
        return dy * s * (real(1) + x * (real(1) - s))
    return silu_backward


@replaces(book.gelu, recordable=True)
def gelu(x, approximate=False):
    return elementwise(_gelu_approximate if approximate else _gelu, x)


@replaces(book.gelu_backward, recordable=True)
def gelu_backward(dy, x, approximate=False):
    return elementwise(_gelu_approximate_backward if approximate else _gelu_backward, dy, x)


def _gelu(real):
    normal = _normal(real)

    @kernel
    def gelu(x):
        return x * normal(x)[0]
    return gelu


def _gelu_backward(real):
    normal = _normal(real)

    @kernel
    def gelu_backward(dy, x):
        probability, density = normal(x)
        return dy * (probability + x * density)
    return gelu_backward


def _normal(real):
    """Make the kernel of the normal distribution and its density."""
    (exp, _), tail = exponential(real), _tail32 if real is np.float32 else _tail64

    @kernel
    def normal(x):
        e = exp(real(-0.5) * x * x)
        upper = tail(abs(x), e)
        return (real(1) - upper if x > real(0) else upper), e * real(1 / math.sqrt(2 * math.pi))
    return normal


@kernel
def _tail32(z, e):
    """Return 1 - P(z), where e = exp(-z^2 / 2)."""
    t = np.float32(1) / (np.float32(1) + np.float32(0.21) * z)
    sum_ = np.float32(0)
    for k in range(len(_TAIL)):
        sum_ = (sum_ + np.float32(_TAIL[k])) * t
    return e * sum_


@kernel
def _tail64(z, e):
    return 0.5 * math.erfc(z / math.sqrt(2))


def _gelu_approximate(real):
    sigmoid = logistic(real)

    @kernel
    def gelu_approximate(x):                                      # (1 + tanh(t)) / 2 = sigmoid(2t)
        return x * sigmoid(real(2 * math.sqrt(2 / math.pi)) * (x + real(0.044715) * x * x * x))
    return gelu_approximate


def _gelu_approximate_backward(real):
    sigmoid = logistic(real)

    @kernel
    def gelu_approximate_backward(dy, x):
        root = real(2 * math.sqrt(2 / math.pi))
        s = sigmoid(root * (x + real(0.044715) * x * x * x))
        return dy * (s + x * s * (real(1) - s) * root * (real(1) + real(3 * 0.044715) * x * x))
    return gelu_approximate_backward
