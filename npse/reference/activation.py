"""The two non-linearities of the paper: delta, the ReLU, and sigma, the sigmoid.

    x  any shape   input            y  like x   output

Both gradients are written in terms of the output y: it is kept anyway, since the next op reads it.
"""

import numpy as np

from npse.reference.arrays import expect_alike


def relu(x):
    """y = max(x, 0), elementwise; any shape -> the same shape."""
    expect_alike("relu", x=x)
    return np.maximum(x, 0)


def relu_backward(dy, y):
    """dx = dy where y > 0, else 0. At the kink x = 0 the derivative is taken as 0, here and everywhere in npse."""
    expect_alike("relu_backward", dy=dy, y=y)
    return dy * (y > 0)


def sigmoid(x):
    """y = 1 / (1 + exp(-x)), elementwise; written with exp(-|x|), which never overflows."""
    expect_alike("sigmoid", x=x)
    e = np.exp(np.where(x >= 0, -x, x))                           # in (0, 1]; abs would lose a complex step
    return np.where(x >= 0, 1 / (1 + e), e / (1 + e))


def sigmoid_backward(dy, y):
    """dx = dy * y * (1 - y): sigma' at x is s(1 - s), with s = y the output, not the input."""
    expect_alike("sigmoid_backward", dy=dy, y=y)
    return dy * y * (1 - y)
