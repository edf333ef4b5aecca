"""Pooling: over the whole map (which is the paper's squeeze, equation 2) and over windows.

    x  (N, H, W, C)    input              k  size of the square window
    y  (N, Ho, Wo, C)  output             s  stride, k if left out;  Ho = (H - k) // s + 1, Wo likewise
"""

import numpy as np

from npse.reference.arrays import expect
from npse.reference.conv import output_size, window
from npse.reference.se import squeeze, squeeze_backward

# One function, two names: what the paper calls squeeze, the end of every ResNet calls global average pooling.
global_average_pool = squeeze
global_average_pool_backward = squeeze_backward


def average_pool(x, size, stride=None):
    """y[n, a, b, c] = 1/k^2 * sum over i, j < k of  x[n, s*a + i, s*b + j, c]."""
    expect("average_pool", x=(x, "N H W C"))
    Ho, Wo, stride = _geometry("average_pool", x.shape, size, stride)
    y = np.zeros((x.shape[0], Ho, Wo, x.shape[3]), x.dtype)
    for i, j in np.ndindex(size, size):
        y += window(x, i, j, Ho, Wo, stride)
    return y / size**2


def average_pool_backward(dy, x_shape, size, stride=None):
    """dx[n, s*a + i, s*b + j, c] += dy[n, a, b, c] / k^2  for every a, b, i, j."""
    x_shape = tuple(x_shape)
    Ho, Wo, stride = _geometry("average_pool_backward", x_shape, size, stride)
    expect("average_pool_backward", dy=(dy, f"{x_shape[0]} {Ho} {Wo} {x_shape[3]}"))
    dx = np.zeros(x_shape, dy.dtype)
    for i, j in np.ndindex(size, size):
        window(dx, i, j, Ho, Wo, stride)[...] += dy / size**2
    return dx


def max_pool(x, size, stride=None):
    """y[n, a, b, c] = max over i, j < k of  x[n, s*a + i, s*b + j, c]."""
    expect("max_pool", x=(x, "N H W C"))
    Ho, Wo, stride = _geometry("max_pool", x.shape, size, stride)
    return _windows(x, size, Ho, Wo, stride).max(axis=0)


def max_pool_backward(dy, x, size, stride=None):
    """dx[n, s*a + i, s*b + j, c] += dy[n, a, b, c] where (i, j) is the first winner of window (a, b); else 0."""
    expect("max_pool_backward", x=(x, "N H W C"))
    Ho, Wo, stride = _geometry("max_pool_backward", x.shape, size, stride)
    expect("max_pool_backward", x=(x, "N H W C"), dy=(dy, f"N {Ho} {Wo} C"))
    winner = _windows(x, size, Ho, Wo, stride).argmax(axis=0)     # tap i*k + j of the first maximum
    dx = np.zeros_like(x)
    for i, j in np.ndindex(size, size):
        window(dx, i, j, Ho, Wo, stride)[...] += dy * (winner == i * size + j)
    return dx


def _windows(x, size, Ho, Wo, stride):
    return np.stack([window(x, i, j, Ho, Wo, stride) for i, j in np.ndindex(size, size)])   # (k*k, N, Ho, Wo, C)


def _geometry(op, x_shape, size, stride):
    if not isinstance(size, (int, np.integer)) or size < 1:
        raise ValueError(f"{op}: size must be an integer of at least 1, but is {size!r}")
    stride = size if stride is None else stride
    return *output_size(op, x_shape, (size, size), stride, 0), stride
