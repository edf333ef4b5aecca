"""Squeezes other than the mean: each takes the maps of an image to one number for each channel.

    u  (N, H, W, C)  maps                       z  (N, C)  squeezed: one number a channel
    m  (N, C)        mean over the map          d  (N, C)  standard deviation over the map
    b  (H, W, C)     weight of each position    k  (C,)    weights that score a pixel
    p  (N, H, W)     share of each pixel, the softmax of the scores

Style-based recalibration, arXiv 1903.10829: mean and `deviation`. FcaNet, arXiv 2012.11879: `weighted_squeeze` with
fixed weights, a cosine transform. GE-theta, arXiv 1810.12348: `weighted_squeeze` with learned weights, a depthwise
convolution as large as the map. Global context block, arXiv 1904.11492: `attention_squeeze`. Gated channel
transformation, arXiv 1909.11519: `norm_squeeze`.
"""

import numpy as np

from npse.reference.contract import op
from npse.reference.loss import softmax
from npse.reference.numerics import average, total
from npse.types import Array


@op("u: N H W C -> d: N C", flops=4, multiply_adds=2)
def deviation(u: Array, eps: float = 1e-5) -> Array:
    """d[n, c] = sqrt(sum over i, j of (u[n, i, j, c] - m[n, c])^2 / (H*W - 1) + eps);  (N, H, W, C) -> (N, C).

    The variance is the unbiased one. A map of one pixel has d = sqrt(eps). The sum is taken about the mean. The mean of
    u^2 minus m^2 is the same number, but loses its digits where the mean is much larger than the deviation.
    """
    _, H, W, _ = u.shape
    centered = u - average(u, (1, 2))[:, None, None, :]
    return np.sqrt(total(centered**2, (1, 2)) / max(H * W - 1, 1) + eps)


@op("u: N H W C, d: N C, dd: N C -> du: N H W C", flops=3)
def deviation_backward(dd: Array, u: Array, d: Array) -> Array:
    """du = dd * (u - m) / ((H*W - 1) * d);  (N, C), (N, H, W, C), (N, C) -> (N, H, W, C).

    No gradient comes through the mean, because the sum of u - m over the map is zero.
    """
    _, H, W, _ = u.shape
    share = dd / (max(H * W - 1, 1) * d)
    return share[:, None, None, :] * (u - average(u, (1, 2))[:, None, None, :])


@op("u: N H W C, b: H W C -> z: N C", flops=2, multiply_adds=1)
def weighted_squeeze(u: Array, b: Array) -> Array:
    """z[n, c] = sum over i, j of  u[n, i, j, c] * b[i, j, c];  (N, H, W, C), (H, W, C) -> (N, C)."""
    return total(u * b, (1, 2))


@op("u: N H W C, b: H W C, dz: N C -> du: N H W C, db: H W C", flops=3)
def weighted_squeeze_backward(dz: Array, u: Array, b: Array) -> tuple[Array, Array]:
    """Gradients of `weighted_squeeze` -> du (N, H, W, C), db (H, W, C).

    du[n, i, j, c] = dz[n, c] * b[i, j, c]
    db[i, j, c]    = sum over n of  dz[n, c] * u[n, i, j, c]
    """
    dz = dz[:, None, None, :]
    return dz * b, total(dz * u, 0)


@op("u: N H W C, k: C -> z: N C, p: N H W", flops=4, multiply_adds=2)
def attention_squeeze(u: Array, k: Array) -> tuple[Array, Array]:
    """A mean with learned weights: p is the softmax over the pixels of the scores k . u[n, i, j].

    z[n, c] = sum over i, j of  p[n, i, j] * u[n, i, j, c]

    Parameters
    ----------
    u : array (N, H, W, C)
    k : array (C,)
        If it is zero, z is the mean.

    Returns
    -------
    z (N, C), p (N, H, W)
        The shares p of the pixels sum to 1 in each image. The gradient needs them.
    """
    N, H, W, _ = u.shape
    p = softmax(total(u * k, 3).reshape(N, H * W)).reshape(N, H, W)
    return total(p[..., None] * u, (1, 2)), p


@op("u: N H W C, k: C, dz: N C, z: N C, p: N H W -> du: N H W C, dk: C", flops=7)
def attention_squeeze_backward(dz: Array, u: Array, k: Array, z: Array, p: Array) -> tuple[Array, Array]:
    """Gradients of `attention_squeeze`, with z and p of the forward pass -> du (N, H, W, C), dk (C,).

    u reaches z on two paths: directly, and through the score a = k . u of its pixel. dp = dz . u at each pixel.

    da[n, i, j]    = p[n, i, j] * (dp[n, i, j] - dz[n] . z[n])       dz . z is the sum over the map of p * dp
    du[n, i, j, c] = p[n, i, j] * dz[n, c] + da[n, i, j] * k[c]
    dk[c]          = sum over n, i, j of  da[n, i, j] * u[n, i, j, c]
    """
    dz = dz[:, None, None, :]
    dp = total(dz * u, 3)                                             # (N, H, W)
    da = p * (dp - total(dz * z[:, None, None, :], 3))                # (N, H, W)
    return p[..., None] * dz + da[..., None] * k, total(da[..., None] * u, (0, 1, 2))


@op("u: N H W C -> z: N C", flops=2, multiply_adds=1)
def norm_squeeze(u: Array, eps: float = 1e-5) -> Array:
    """z[n, c] = sqrt(sum over i, j of  u[n, i, j, c]^2  + eps): the length of the map;  (N, H, W, C) -> (N, C)."""
    return np.sqrt(total(u * u, (1, 2)) + eps)


@op("u: N H W C, z: N C, dz: N C -> du: N H W C", flops=1)
def norm_squeeze_backward(dz: Array, u: Array, z: Array) -> Array:
    """du = dz * u / z;  (N, C), (N, H, W, C), (N, C) -> (N, H, W, C)."""
    return (dz / z)[:, None, None, :] * u
