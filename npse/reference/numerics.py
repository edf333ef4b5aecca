"""Sums and means that stay accurate in float32."""

import numpy as np

from npse.types import Array


def total(x: Array, axis: int | tuple[int, ...]) -> Array:
    """Sum over ``axis`` in float64 or wider, returned in x's dtype. A float32 sum over N*H*W numbers loses digits."""
    return x.sum(axis=axis, dtype=np.result_type(x.dtype, np.float64)).astype(x.dtype)


def average(x: Array, axis: int | tuple[int, ...]) -> Array:
    """Mean over ``axis`` with the accuracy of `total`."""
    return x.mean(axis=axis, dtype=np.result_type(x.dtype, np.float64)).astype(x.dtype)
