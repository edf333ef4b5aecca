"""The two non-linearities of the paper: delta, the ReLU, and sigma, the sigmoid.

    x  any shape   input            y  like x   output

Both gradients are written in terms of the output y: it is kept in any case, because the next op reads it.
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


@op("x: * -> y: *")
def sigmoid(x: Array) -> Array:
    """y = 1 / (1 + exp(-x)), elementwise; written with exp(-|x|), which never overflows."""
    e = np.exp(np.where(x >= 0, -x, x))                           # in (0, 1]; abs would drop an imaginary part
    return np.where(x >= 0, 1 / (1 + e), e / (1 + e))


@op("dy: *, y: * -> dx: *")
def sigmoid_backward(dy: Array, y: Array) -> Array:
    """dx = dy * y * (1 - y): sigma' at x is s(1 - s), where s = y is the output, not the input."""
    return dy * y * (1 - y)
