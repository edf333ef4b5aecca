"""Gates that differ between the pixels of a map, and what computes and applies them.

    u  (N, H, W, C)  maps            s  (N, H, W) or (N, H, W, C)  gates: one for each pixel, or for each element
    y  (N, H, W, C)  result          t  (N, C)                     one number for each channel

Spatial gate of CBAM, arXiv 1807.06521: s = sigma(conv7x7([max over c; mean over c])), by `channel_pool`, `conv2d` and
`scale_pixels`. Spatial gate sSE, arXiv 1803.02579: s = sigma(q . u), by a 1x1 `conv2d` with one output channel.
BAM, arXiv 1807.06514: y = u * (1 + sigma(a + p)), a for channels and p for pixels, by `outer_sum` and `multiply`.
GC block, arXiv 1904.11492: y = u + t, by `shift`.
"""

import numpy as np

from npse.reference.contract import op
from npse.reference.numerics import average, total
from npse.types import Array


@op("u: N H W C, s: N H W -> y: N H W C", flops=1, multiply_adds=1)
def scale_pixels(u: Array, s: Array) -> Array:
    """y[n, i, j, c] = s[n, i, j] * u[n, i, j, c];  (N, H, W, C), (N, H, W) -> (N, H, W, C). arXiv 1803.02579."""
    return u * s[..., None]


@op("u: N H W C, s: N H W, dy: N H W C -> du: N H W C, ds: N H W", flops=3)
def scale_pixels_backward(dy: Array, u: Array, s: Array) -> tuple[Array, Array]:
    """du = dy * s,  ds[n, i, j] = sum over c of  dy * u;  -> (N, H, W, C), (N, H, W)."""
    return dy * s[..., None], total(dy * u, 3)


@op("u: N H W C, s: N H W C -> y: N H W C", flops=1, multiply_adds=1)
def multiply(u: Array, s: Array) -> Array:
    """y = u * s, elementwise: a gate for each element;  two arrays (N, H, W, C) -> (N, H, W, C)."""
    return u * s


@op("u: N H W C, s: N H W C, dy: N H W C -> du: N H W C, ds: N H W C", flops=2)
def multiply_backward(dy: Array, u: Array, s: Array) -> tuple[Array, Array]:
    """du = dy * s,  ds = dy * u;  three arrays (N, H, W, C) -> two."""
    return dy * s, dy * u


@op("u: N H W C, t: N C -> y: N H W C", flops=1)
def shift(u: Array, t: Array) -> Array:
    """y[n, i, j, c] = u[n, i, j, c] + t[n, c];  (N, H, W, C), (N, C) -> (N, H, W, C). arXiv 1904.11492."""
    return u + t[:, None, None, :]


@op("dy: N H W C -> du: N H W C, dt: N C", flops=1)
def shift_backward(dy: Array) -> tuple[Array, Array]:
    """du = dy, which is the same array,  dt[n, c] = sum over i, j of  dy;  -> (N, H, W, C), (N, C)."""
    return dy, total(dy, (1, 2))


@op("a: N C, p: N H W -> y: N H W C", flops=1)
def outer_sum(a: Array, p: Array) -> Array:
    """y[n, i, j, c] = a[n, c] + p[n, i, j];  (N, C), (N, H, W) -> (N, H, W, C). arXiv 1807.06514, section 3."""
    return a[:, None, None, :] + p[..., None]


@op("dy: N H W C -> da: N C, dp: N H W", flops=2)
def outer_sum_backward(dy: Array) -> tuple[Array, Array]:
    """da[n, c] = sum over i, j of  dy,  dp[n, i, j] = sum over c of  dy;  (N, H, W, C) -> (N, C), (N, H, W)."""
    return total(dy, (1, 2)), total(dy, 3)


@op("u: N H W C -> y: N H W 2", kink=lambda u: u.argmax(axis=3), flops=2, multiply_adds=1)
def channel_pool(u: Array) -> Array:
    """y[n, i, j, 0] = max over c of u,  y[n, i, j, 1] = mean over c of u;  (N, H, W, C) -> (N, H, W, 2).

    The first step of the spatial gate of CBAM, arXiv 1807.06521, section 3.
    """
    return np.stack([u.max(axis=3), average(u, 3)], axis=3)


@op("u: N H W C, dy: N H W 2 -> du: N H W C", flops=3)
def channel_pool_backward(dy: Array, u: Array) -> Array:
    """du[n, i, j, c] = dy[n, i, j, 1] / C, and dy[n, i, j, 0] more for the first channel that has the maximum."""
    C = u.shape[3]
    winner = np.arange(C) == u.argmax(axis=3)[..., None]          # (N, H, W, C)
    return dy[..., :1] * winner + dy[..., 1:] / C


@op("a: N H W C, b: N H W C -> y: N H W C", kink=lambda a, b: a >= b, flops=1)
def maximum(a: Array, b: Array) -> Array:
    """y = a where a >= b, else b, elementwise: scSE with maxout, arXiv 1803.02579;  two arrays (N, H, W, C) -> one."""
    return np.maximum(a, b)


@op("a: N H W C, b: N H W C, dy: N H W C -> da: N H W C, db: N H W C", flops=3)
def maximum_backward(dy: Array, a: Array, b: Array) -> tuple[Array, Array]:
    """da = dy where a >= b, else 0; db = dy where a < b, else 0. Of equal values the first is the maximum."""
    first = a >= b
    return dy * first, dy * ~first
