"""Sums and means that stay accurate in float32."""

import numpy as np


def total(x, axis):
    """Sum over ``axis`` in float64 or wider, returned in x's dtype. A float32 sum over N*H*W numbers loses digits."""
    return x.sum(axis=axis, dtype=np.result_type(x.dtype, np.float64)).astype(x.dtype)


def average(x, axis):
    """Mean over ``axis`` with the accuracy of `total`."""
    return x.mean(axis=axis, dtype=np.result_type(x.dtype, np.float64)).astype(x.dtype)
