"""SimAM: a gate for each element, without parameters (Yang et al., ICML 2021).

    u  (N, H, W, C)  maps     m, v  (N, C)  mean and unbiased variance of a map     lam  keeps the divisor from zero

    s = sigma((u - m)^2 / (4 (v + lam)) + 1/2)        y = u * s

An element far from the mean of its map gets a large gate. All gates are above sigma(1/2) = 0.62. The map reaches y on
three paths: as the factor of s, as the distance from the mean, and through the variance.
"""

from npse.reference.activation import sigmoid, sigmoid_backward
from npse.reference.contract import op
from npse.reference.numerics import average, total
from npse.types import Array


def _check(op: str, letters: dict[str, int], lam: float) -> None:
    if not lam > 0:
        raise ValueError(f"{op}: lam must be above 0, but is {lam!r}")


@op("u: N H W C -> y: N H W C", sizes=_check, flops=13, multiply_adds=3)
def simam(u: Array, lam: float = 1e-4) -> Array:
    """y = u * sigma((u - m)^2 / (4 (v + lam)) + 1/2);  (N, H, W, C) -> (N, H, W, C).

    A map of one pixel has no unbiased variance. It counts as 0: then y = u * sigma(1/2).
    """
    d, q = _distance(u, lam)
    return u * sigmoid(d * d / q + 0.5)


@op("u: N H W C, dy: N H W C -> du: N H W C", sizes=_check)
def simam_backward(dy: Array, u: Array, lam: float = 1e-4) -> Array:
    """Gradient of `simam`, with q = 4 (v + lam), d = u - m, e = d^2/q + 1/2, and sums over the P = H*W pixels.

    de = dy * u * s * (1 - s)
    dq = -sum of de * d^2 / q^2
    dd = 2 d (de/q + 4 dq / (P - 1))
    du = dy * s + dd - mean of dd

    Parameters
    ----------
    dy, u : arrays (N, H, W, C)
    lam : float

    Returns
    -------
    du (N, H, W, C)
    """
    d, q = _distance(u, lam)
    s = sigmoid(d * d / q + 0.5)
    de = sigmoid_backward(dy * u, s)
    dq = -total(de * d * d, (1, 2))[:, None, None, :] / (q * q)
    dd = 2 * d * (de / q + 4 * dq / _divisor(u))
    return dy * s + dd - average(dd, (1, 2))[:, None, None, :]


def _distance(u: Array, lam: float) -> tuple[Array, Array]:
    """Return u - m (N, H, W, C), and 4 (v + lam) (N, 1, 1, C)."""
    d = u - average(u, (1, 2))[:, None, None, :]
    v = total(d * d, (1, 2))[:, None, None, :] / _divisor(u)
    return d, 4 * (v + lam)


def _divisor(u: Array) -> int:
    """Return H*W - 1, but 1 for a map of one pixel: its sum of squares is 0."""
    _, H, W, _ = u.shape
    return max(H * W - 1, 1)
