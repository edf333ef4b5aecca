"""Non-linearities of networks for phones and of later ones: hard swish, ReLU6, SiLU and GELU.

    x  any shape   input            y  like x   output

The gradients are written in terms of the input x, that of ReLU6 in terms of the output y. SiLU, GELU and hard swish are
not monotonic, so y does not determine x.
"""

import math

import numpy as np

from npse.reference.activation import pieces, sigmoid
from npse.reference.contract import op
from npse.types import Array


@op("x: * -> y: *", kink=lambda x: pieces(x, 0, 6), flops=2)
def relu6(x: Array) -> Array:
    """y = min(max(x, 0), 6), elementwise: the ReLU of MobileNet, arXiv 1704.04861, as its code has it."""
    return np.where(x <= 0, 0, np.where(x >= 6, 6, x)).astype(x.dtype, copy=False)


@op("dy: *, y: * -> dx: *", flops=2)
def relu6_backward(dy: Array, y: Array) -> Array:
    """dx = dy where 0 < y < 6, else 0. At both kinks the derivative is taken as 0."""
    return dy * ((y > 0) & (y < 6))


@op("x: * -> y: *", kink=pieces, flops=4)
def hard_swish(x: Array) -> Array:
    """y = x * hard_sigmoid(x): 0 where x <= -3, x where x >= 3, x * (x/6 + 1/2) between; arXiv 1905.02244."""
    return np.where(x <= -3, 0, np.where(x >= 3, x, x * (x / 6 + 0.5))).astype(x.dtype, copy=False)


@op("dy: *, x: * -> dx: *", flops=4)
def hard_swish_backward(dy: Array, x: Array) -> Array:
    """dx = 0 where x <= -3, dy where x >= 3, dy * (x/3 + 1/2) between."""
    return np.where(x <= -3, 0, np.where(x >= 3, dy, dy * (x / 3 + 0.5)))


@op("x: * -> y: *", flops=5)
def silu(x: Array) -> Array:
    """y = x * sigmoid(x), elementwise: SiLU or swish, arXiv 1702.03118; the non-linearity of EfficientNet."""
    return x * sigmoid(x)


@op("dy: *, x: * -> dx: *", flops=8)
def silu_backward(dy: Array, x: Array) -> Array:
    """dx = dy * s * (1 + x * (1 - s)), where s = sigmoid(x)."""
    s = sigmoid(x)
    return dy * s * (1 + x * (1 - s))


@op("x: * -> y: *", flops=8)
def gelu(x: Array, approximate: bool = False) -> Array:
    """y = x * P(x), elementwise, where P is the normal distribution, P(x) = (1 + erf(x / sqrt(2))) / 2.

    With ``approximate`` P(x) = (1 + tanh(sqrt(2/pi) * (x + 0.044715 x^3))) / 2. Source: arXiv 1606.08415.
    """
    return x * _probability(x, approximate)


@op("dy: *, x: * -> dx: *", flops=14)
def gelu_backward(dy: Array, x: Array, approximate: bool = False) -> Array:
    """dx = dy * (P(x) + x * P'(x)), where P' is the normal density, P'(x) = exp(-x^2 / 2) / sqrt(2 pi).

    With ``approximate`` P' is the derivative of the formula with tanh.
    """
    if approximate:
        t = np.tanh(_inner(x))
        density = (1 - t * t) * math.sqrt(0.5 / math.pi) * (1 + 3 * 0.044715 * x * x)
    else:
        density = np.exp(x * x / -2) / math.sqrt(2 * math.pi)
    return dy * (_probability(x, approximate) + x * density)


def _probability(x: Array, approximate: bool) -> Array:
    return (1 + np.tanh(_inner(x))) / 2 if approximate else normal_distribution(x)


def _inner(x: Array) -> Array:
    return math.sqrt(2 / math.pi) * (x + 0.044715 * x * x * x)


def normal_distribution(x: Array) -> Array:
    """Return P(x) = 1/2 + P'(x) * (x + x^3/3 + x^5/(3*5) + x^7/(3*5*7) + ...), elementwise.

    NumPy has no error function. All terms of this series have one sign, so nothing cancels. It is computed in float64
    or wider. Beyond -9 and 9 the distribution is 0 and 1 to all digits of float64.
    """
    wide = x.astype(np.result_type(x.dtype, np.float64))
    wide = np.where(wide > 9, 9, np.where(wide < -9, -9, wide))
    term = total = wide
    k = 1
    while (np.abs(term) > np.finfo(wide.dtype).eps / 4 * np.abs(total)).any():
        k += 2
        term = term * wide * wide / k
        total = total + term
    inside = 0.5 + np.exp(wide * wide / -2) / math.sqrt(2 * math.pi) * total
    return np.where(x > 9, 1, np.where(x < -9, 0, inside)).astype(x.dtype)      # exactly, since gelu multiplies by x
