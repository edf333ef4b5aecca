"""Activations, and the maximum of a row."""

import numpy as np

from npse.zoo.mutation.foreign.table import enter, sizes


def quick_gelu(x):
    """y = x * sigmoid(1.702 x), the GELU of CLIP."""
    return x / (1 + np.exp(-1.702 * x))


def quick_gelu_backward(dy, x):
    """dx = dy * (s + 1.702 * x * s * (1 - s))."""
    s = 1 / (1 + np.exp(-1.702 * x))
    return dy * (s + 1.702 * x * s * (1 - s))


enter(quick_gelu, quick_gelu_backward, lambda rng: {"x": rng.standard_normal(sizes(rng, 2, 3))})


def prelu(x, slope):
    """y = x where x > 0, else slope * x, with a slope for each channel, arXiv 1502.01852."""
    return np.where(x > 0, x, slope * x)


def prelu_backward(dy, x, slope):
    """Gradients of the input and the slopes."""
    dx = np.where(x > 0, dy, slope * dy)
    dslope = np.where(x > 0, 0, x * dy).sum(axis=0)
    return dx, dslope


def _with_slope(rng):
    N, C = sizes(rng, 2, 3)
    return {"x": rng.standard_normal((N, C)), "slope": rng.uniform(0.1, 0.4, C)}


enter(prelu, prelu_backward, _with_slope, lambda x, slope: x)


def row_maximum(x):
    """The maximum of each row."""
    return x.max(axis=1)


def row_maximum_backward(dy, x):
    """The gradient goes to the first maximum of each row."""
    dx = np.zeros_like(x)
    winner = x.argmax(axis=1)
    dx[np.arange(len(x)), winner] = dy
    return dx


enter(row_maximum, row_maximum_backward, lambda rng: {"x": rng.standard_normal(sizes(rng, 2, 3))},
       lambda x: x.argmax(axis=1))
