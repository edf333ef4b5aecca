"""The parameter update of filters by Muon: a step changes all directions of a matrix by about the same amount.

The filters of a layer are a matrix with a column for each output channel. Its gradient, and so a step of SGD, is large
in a few directions and small in many. Muon (K. Jordan, 2024: "Muon: an optimizer for hidden layers") replaces the
singular values of the step by numbers near 1. If a batch norm follows, the length of the filters has no effect, and
only the length of a step relative to w matters. So w is kept at a fixed length.

    w  filters (kh, kw, Cin, Cout), or any array of R * K numbers with K along its last axis: R x K as a matrix
    dw its gradient     v  velocity, like w; zero at the start     u  any matrix
"""

import math

import numpy as np

from npse.reference.contract import op
from npse.types import Array

ITERATIONS, COEFFICIENTS = 3, (3.4445, -4.7750, 2.0315)    # of K. Jordan, fitted to few iterations


def expect_matrix(op: str, letters: dict[str, int]) -> None:
    """Raise ValueError unless the arrays have two axes or more. A hook of `npse.reference.contract.op`."""
    if len(letters) < 2:
        raise ValueError(f"{op}: needs a matrix, an array of at least 2 axes, but got one of {len(letters)}")


def _operations(u: Array) -> int:
    """Operations of the Gram matrix, of nine products of its size, and of the result."""
    K = min(u.size // u.shape[-1], u.shape[-1])
    return 4 * u.size * K + 18 * K**3


@op("u: * -> o: *", backward=None, sizes=expect_matrix, flops=lambda u, *_, y: _operations(u))
def orthogonalize(u: Array) -> Array:
    """Return U p(S) V^T for u = U S V^T, where p maps all singular values except small ones to 0.7 .. 1.2.

    p is the polynomial 3.4445 s - 4.7750 s^3 + 2.0315 s^5, applied three times, to s = S / |u|. No singular value is
    computed:

    A = u^T u / |u|^2,        M = 3.4445 - 4.7750 A + 2.0315 A^2,  P = M
    twice:        A = M A M,  M = 3.4445 - 4.7750 A + 2.0315 A^2,  P = P M
    u P / |u|

    With fewer rows than columns, A is u u^T / |u|^2, which is smaller, and the result is P u / |u|.

    Parameters
    ----------
    u : array (..., K), a matrix of K columns

    Returns
    -------
    array like u; all zeros if u is
    """
    matrix = as_matrix(u)
    wide = matrix.shape[0] < matrix.shape[1]
    gram = matrix @ matrix.T if wide else matrix.T @ matrix
    square = gram.trace()                                               # |u|^2, the sum over all squared entries
    if not square:
        return np.zeros_like(u)
    A = gram / square
    P = M = _polynomial(A)
    for _ in range(ITERATIONS - 1):
        A = M @ A @ M
        M = _polynomial(A)
        P = P @ M
    P = P / np.sqrt(square)
    return (P @ matrix if wide else matrix @ P).reshape(u.shape)


@op("w: *, dw: *, v: * -> new_w: *, new_v: *", backward=None, sizes=expect_matrix,
    flops=lambda w, *_, y: _operations(w) + 9 * w.size)
def muon(w: Array, dw: Array, v: Array, lr: float, momentum: float = 0.9) -> tuple[Array, Array]:
    """Return w and v after one step, as new arrays.

    v = momentum * v + dw
    u = dw + momentum * v                                               Nesterov's look ahead
    w = sqrt(min(R, K)) * w / |w| - lr * orthogonalize(u)

    Parameters
    ----------
    w, dw, v : arrays of one shape and dtype
    lr : float
        The length of the step divided by the length of w.
    momentum : float
    """
    R, K = as_matrix(w).shape
    lr, momentum = float(lr), float(momentum)                 # NumPy scalars would widen float32
    v = momentum * v + dw
    length = float(np.linalg.norm(w)) or 1.0
    return (math.sqrt(min(R, K)) / length) * w - lr * orthogonalize(dw + momentum * v), v


def _polynomial(A: Array) -> Array:
    a, b, c = COEFFICIENTS
    return a * np.eye(len(A), dtype=A.dtype) + b * A + c * (A @ A)


def as_matrix(array: Array) -> Array:
    """View an array of R * K elements, K along its last axis, as a matrix (R, K)."""
    K = array.shape[array.ndim - 1]
    return array.reshape(array.size // K, K)
