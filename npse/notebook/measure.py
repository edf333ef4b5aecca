"""The central difference, as short as possible. Page 1 explains both functions; `npse.gradcheck` does it with care."""

from collections.abc import Callable

import numpy as np

from npse.types import Array


def numeric_gradient(f: Callable[[Array], Array], x: Array, dy: Array, h: float = 1e-5) -> Array:
    """Measure the gradient of L = sum(f(x) * dy) with respect to each entry of x."""
    dx = np.empty_like(x)
    for entry in np.ndindex(x.shape):
        step = np.zeros_like(x)
        step[entry] = h
        dx[entry] = np.sum((f(x + step) - f(x - step)) * dy) / (2 * h)
    return dx


def relative_error(ours: Array, truth: Array) -> float:
    """Compare the largest difference with the largest entry of the truth."""
    return float(np.abs(ours - truth).max() / np.abs(truth).max())
