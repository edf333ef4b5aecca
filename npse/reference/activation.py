"""The two non-linearities of the paper, delta, the ReLU, and sigma, the sigmoid; then others that can be a gate.

    x  any shape   input            y  like x   output

The gradients are written in terms of the output y: it is kept in any case, because the next op reads it.
"""

import numpy as np

from npse.reference.contract import op
from npse.types import Array


@op("x: * -> y: *", kink="relu", flops=1)
def relu(x: Array) -> Array:
    """y = max(x, 0), elementwise; any shape -> the same shape."""
    return np.maximum(x, 0)


@op("dy: *, y: * -> dx: *", flops=1)
def relu_backward(dy: Array, y: Array) -> Array:
    """dx = dy where y > 0, else 0. At the kink x = 0 the derivative is taken as 0, here and everywhere in npse."""
    return dy * (y > 0)


@op("x: * -> y: *", flops=4)
def sigmoid(x: Array) -> Array:
    """y = 1 / (1 + exp(-x)), elementwise; written with exp(-|x|), which never overflows."""
    e = np.exp(np.where(x >= 0, -x, x))                           # in (0, 1]; abs would drop an imaginary part
    return np.where(x >= 0, 1 / (1 + e), e / (1 + e))


@op("dy: *, y: * -> dx: *", flops=3)
def sigmoid_backward(dy: Array, y: Array) -> Array:
    """dx = dy * y * (1 - y): sigma' at x is s(1 - s), where s = y is the output, not the input."""
    return dy * y * (1 - y)


@op("x: * -> y: *", flops=5)
def twice_sigmoid(x: Array) -> Array:
    """y = 2 / (1 + exp(-x)), elementwise: a gate in (0, 2) that is 1 at x = 0."""
    return 2 * sigmoid(x)


@op("dy: *, y: * -> dx: *", flops=4)
def twice_sigmoid_backward(dy: Array, y: Array) -> Array:
    """dx = dy * y * (1 - y/2)."""
    return dy * y * (1 - y / 2)


@op("x: * -> y: *", flops=2)
def one_plus_tanh(x: Array) -> Array:
    """y = 1 + tanh(x), elementwise: a gate in (0, 2) that is 1 at x = 0, arXiv 1909.11519."""
    return 1 + np.tanh(x)


@op("dy: *, y: * -> dx: *", flops=3)
def one_plus_tanh_backward(dy: Array, y: Array) -> Array:
    """dx = dy * y * (2 - y): 1 - tanh^2 is (1 - tanh) * (1 + tanh)."""
    return dy * y * (2 - y)


@op("x: * -> y: *", flops=1)
def tanh(x: Array) -> Array:
    """y = tanh(x), elementwise: a gate in (-1, 1). Table 12 of the paper: less accurate than the sigmoid."""
    return np.tanh(x)


@op("dy: *, y: * -> dx: *", flops=3)
def tanh_backward(dy: Array, y: Array) -> Array:
    """dx = dy * (1 - y^2)."""
    return dy * (1 - y * y)


def pieces(x: Array, low: float = -3, high: float = 3) -> Array:
    """The piece of the line, with kinks at ``low`` and ``high``, that each element of x is on: 0, 1 or 2."""
    return (x > low).astype(np.int8) + (x >= high)


@op("x: * -> y: *", kink=pieces, flops=4)
def hard_sigmoid(x: Array) -> Array:
    """y = 0 where x <= -3, 1 where x >= 3, x/6 + 1/2 between: a sigmoid of straight lines, arXiv 1905.02244."""
    return np.where(x <= -3, 0, np.where(x >= 3, 1, x / 6 + 0.5)).astype(x.dtype, copy=False)


@op("dy: *, y: * -> dx: *", flops=4)
def hard_sigmoid_backward(dy: Array, y: Array) -> Array:
    """dx = dy / 6 where 0 < y < 1, else 0."""
    return dy / 6 * ((y > 0) & (y < 1))


@op("x: * -> y: *", kink=lambda x: pieces(x, 0, 6), flops=2)
def relu6(x: Array) -> Array:
    """y = min(max(x, 0), 6), elementwise: the ReLU of MobileNet, arXiv 1704.04861, as its code has it."""
    return np.where(x <= 0, 0, np.where(x >= 6, 6, x)).astype(x.dtype, copy=False)


@op("dy: *, y: * -> dx: *", flops=2)
def relu6_backward(dy: Array, y: Array) -> Array:
    """dx = dy where 0 < y < 6, else 0. At both kinks the derivative is taken as 0."""
    return dy * ((y > 0) & (y < 6))
