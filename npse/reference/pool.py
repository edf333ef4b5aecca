"""Pooling: over the whole map (which is the paper's squeeze, equation 2) and over windows.

    x  (N, H, W, C)    input              k  size of the square window
    y  (N, Ho, Wo, C)  output             s  stride, k if left out;  Ho = (H - k) // s + 1, Wo likewise
"""

import numpy as np

from npse.reference.contract import enter, op
from npse.reference.conv import output_size, sizes_of_result, window
from npse.reference.se import squeeze, squeeze_backward
from npse.types import Array, Shape

# One function with two names: the squeeze of the paper is the global average pooling at the end of a ResNet.
global_average_pool = enter("global_average_pool", squeeze)
global_average_pool_backward = enter("global_average_pool_backward", squeeze_backward)


def _sizes(op: str, letters: dict[str, int], size: int, stride: int | None) -> dict[str, int]:
    """Check size and stride; return Ho and Wo."""
    if not isinstance(size, (int, np.integer)) or size < 1:
        raise ValueError(f"{op}: size must be an integer of at least 1, but is {size!r}")
    return sizes_of_result(op, letters | {"kh": size, "kw": size}, size if stride is None else stride, 0)


def _winners(x: Array, size: int, stride: int | None = None) -> Array:
    """The tap i*size + j of the first maximum of each window: (N, Ho, Wo, C)."""
    stride = size if stride is None else stride
    Ho, Wo = output_size(x.shape, (size, size), stride, 0)
    return _windows(x, size, Ho, Wo, stride).argmax(axis=0)


@op("x: N H W C -> y: N Ho Wo C", sizes=_sizes, flops=lambda x, size, *_, y: size**2 * y.size,
    multiply_adds=lambda x, size, *_, y: size**2 * y.size)
def average_pool(x: Array, size: int, stride: int | None = None) -> Array:
    """y[n, a, b, c] = 1/k^2 * sum over i, j < k of  x[n, s*a + i, s*b + j, c]."""
    stride = size if stride is None else stride
    Ho, Wo = output_size(x.shape, (size, size), stride, 0)
    y = np.zeros((x.shape[0], Ho, Wo, x.shape[3]), x.dtype)
    for i, j in np.ndindex(size, size):
        y += window(x, i, j, Ho, Wo, stride)
    return y / size**2


@op("x_shape: (N H W C), dy: N Ho Wo C -> dx: N H W C", sizes=_sizes)
def average_pool_backward(dy: Array, x_shape: Shape, size: int, stride: int | None = None) -> Array:
    """dx[n, s*a + i, s*b + j, c] += dy[n, a, b, c] / k^2  for every a, b, i, j."""
    stride = size if stride is None else stride
    Ho, Wo = output_size(x_shape, (size, size), stride, 0)
    dx = np.zeros(x_shape, dy.dtype)
    for i, j in np.ndindex(size, size):
        window(dx, i, j, Ho, Wo, stride)[...] += dy / size**2
    return dx


@op("x: N H W C -> y: N Ho Wo C", sizes=_sizes, kink=_winners, flops=1)
def max_pool(x: Array, size: int, stride: int | None = None) -> Array:
    """y[n, a, b, c] = max over i, j < k of  x[n, s*a + i, s*b + j, c]."""
    stride = size if stride is None else stride
    Ho, Wo = output_size(x.shape, (size, size), stride, 0)
    return _windows(x, size, Ho, Wo, stride).max(axis=0)


@op("x: N H W C, dy: N Ho Wo C -> dx: N H W C", sizes=_sizes, flops=2)
def max_pool_backward(dy: Array, x: Array, size: int, stride: int | None = None) -> Array:
    """dx[n, s*a + i, s*b + j, c] += dy[n, a, b, c] where (i, j) is the first maximum of window (a, b); else 0."""
    stride = size if stride is None else stride
    Ho, Wo = output_size(x.shape, (size, size), stride, 0)
    winner = _windows(x, size, Ho, Wo, stride).argmax(axis=0)     # tap i*k + j of the first maximum
    dx = np.zeros_like(x)
    for i, j in np.ndindex(size, size):
        window(dx, i, j, Ho, Wo, stride)[...] += dy * (winner == i * size + j)
    return dx


def _windows(x: Array, size: int, Ho: int, Wo: int, stride: int) -> Array:
    return np.stack([window(x, i, j, Ho, Wo, stride) for i, j in np.ndindex(size, size)])   # (k*k, N, Ho, Wo, C)
