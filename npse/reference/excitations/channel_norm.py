"""Normalization over the channels of a group, for structures that ask how far a channel is from the others.

    z  (N, G, D)  squeezed maps, G groups of D channels     m, v  mean and biased variance over D

Linear context transform, arXiv 1909.03834: s = sigma(w * zhat + b), by `per_channel`.
Gaussian context transformer (CVPR 2021): s = exp(-zhat^2 / (2 c^2)), by `gaussian`, with all channels in one group.
"""

import numpy as np

from npse.reference.contract import op
from npse.reference.numerics import average
from npse.types import Array


@op("z: N G D -> zhat: N G D", flops=7)
def channel_norm(z: Array, eps: float = 1e-5) -> Array:
    """zhat = (z - m) / sqrt(v + eps), where m and v are the mean and the variance of z over its last axis."""
    centered = z - average(z, 2)[:, :, None]
    return centered / np.sqrt(average(centered**2, 2)[:, :, None] + eps)


@op("z: N G D, dzhat: N G D -> dz: N G D", flops=10)
def channel_norm_backward(dzhat: Array, z: Array, eps: float = 1e-5) -> Array:
    """dz = (dzhat - mean(dzhat) - zhat * mean(dzhat * zhat)) / sqrt(v + eps), with means over the last axis."""
    centered = z - average(z, 2)[:, :, None]
    std = np.sqrt(average(centered**2, 2)[:, :, None] + eps)
    zhat = centered / std
    return (dzhat - average(dzhat, 2)[:, :, None] - zhat * average(dzhat * zhat, 2)[:, :, None]) / std


@op("x: * -> y: *", flops=4)
def gaussian(x: Array, width: float = 2.0) -> Array:
    """y = exp(-x^2 / (2 width^2)), elementwise: 1 for a channel at the mean, less for those far from it."""
    return np.exp(x * x / (-2 * width**2))


@op("x: *, dy: *, y: * -> dx: *", flops=3)
def gaussian_backward(dy: Array, x: Array, y: Array, width: float = 2.0) -> Array:
    """dx = -dy * y * x / width^2."""
    return dy * y * x / -width**2
