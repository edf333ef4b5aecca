"""Efficient channel attention, arXiv 1910.03151: a convolution along the channels, with a few weights for all of them.

    z  (N, C)  squeezed maps     w  (K,)  weights, K odd     a  (N, C)  input of the gate     p = (K - 1) / 2

Beyond the first and the last channel there are zeros; or, if ``circular``, the channels at the other end.
"""

import numpy as np

from npse.reference.contract import op
from npse.reference.numerics import total
from npse.types import Array


def expect_odd(op: str, letters: dict[str, int]) -> None:
    """Raise ValueError unless the number of weights is odd. A hook of `npse.reference.contract.op`."""
    if letters["K"] % 2 == 0:
        raise ValueError(f"{op}: w must have an odd number of weights, with one in the middle, but has {letters['K']}")


@op("z: N C, w: K -> a: N C", sizes=expect_odd, flops=lambda z, w, *_, y: 2 * z.size * w.size,
    multiply_adds=lambda z, w, *_, y: z.size * w.size)
def channel_conv(z: Array, w: Array, circular: bool = False) -> Array:
    """a[n, c] = sum over k of  w[k] * z[n, c + k - p];  (N, C), (K,) -> (N, C)."""
    zp = _padded(z, len(w), circular)                             # (N, C + 2p)
    a = np.zeros_like(z)
    for k in range(len(w)):
        a += w[k] * zp[:, k:k + z.shape[1]]
    return a


@op("z: N C, w: K, da: N C -> dz: N C, dw: K", sizes=expect_odd, flops=lambda da, z, w, *_, y: 4 * z.size * w.size)
def channel_conv_backward(da: Array, z: Array, w: Array, circular: bool = False) -> tuple[Array, Array]:
    """Gradients of `channel_conv` -> dz (N, C), dw (K,).

    dz[n, j] = sum over k of  w[k] * da[n, j - k + p]: the same op with the weights mirrored
    dw[k]    = sum over n, c of  da[n, c] * z[n, c + k - p]
    """
    zp = _padded(z, len(w), circular)
    dw = np.stack([total(da * zp[:, k:k + z.shape[1]], (0, 1)) for k in range(len(w))])
    return channel_conv(da, w[::-1], circular), dw


def _padded(z: Array, K: int, circular: bool) -> Array:
    return np.pad(z, ((0, 0), (K // 2, K // 2)), mode="wrap" if circular else "constant")
