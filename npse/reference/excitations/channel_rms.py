"""Normalization over the channels by their root mean square: channels compete. arXiv 1909.11519.

    z  (N, C)  squeezed maps     r  (N,)  root mean square over the channels     y  (N, C)  normalized

Gated channel transformation: s = 1 + tanh(gamma * channel_rms(alpha * z) + beta), where z is `norm_squeeze` of the maps
and alpha, gamma, beta (C,) are learned.
"""

import numpy as np

from npse.reference.contract import op
from npse.reference.numerics import average
from npse.types import Array


@op("z: N C -> y: N C", flops=3)
def channel_rms(z: Array, eps: float = 1e-5) -> Array:
    """y = z / r, r[n] = sqrt(1/C * sum over c of  z[n, c]^2  + eps);  (N, C) -> (N, C)."""
    return z / np.sqrt(average(z * z, 1)[:, None] + eps)


@op("z: N C, dy: N C -> dz: N C", flops=8)
def channel_rms_backward(dy: Array, z: Array, eps: float = 1e-5) -> Array:
    """dz = (dy - y * 1/C * sum over c of dy * y) / r: the second term is the gradient through r."""
    r = np.sqrt(average(z * z, 1)[:, None] + eps)
    y = z / r
    return (dy - y * average(dy * y, 1)[:, None]) / r
