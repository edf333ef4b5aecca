"""Softmax and cross-entropy: from scores to a probability for each class, and to one number to minimize.

    logits  (N, K)  scores            p  (N, K)  softmax(logits)
    labels  (N,)    integers 0..K-1   q  (N, K)  targets: (1 - a) * one-hot + a / K, a the label smoothing

The logarithm of p is computed as logits - logsumexp(logits), shifted by the row's maximum, so nothing overflows.
"""

import numpy as np

from npse.reference.contract import op
from npse.reference.numerics import average, total
from npse.types import Array


def expect_targets(op: str, letters: dict[str, int], labels: Array, smoothing: float) -> None:
    """Raise ValueError for a label outside 0..K-1, or a smoothing outside 0 <= a < 1."""
    classes = letters["K"]
    wrong = np.flatnonzero((labels < 0) | (labels >= classes))
    if wrong.size:
        raise ValueError(f"{op}: labels must lie in 0..{classes - 1}, but label {labels[wrong[0]]} is "
                         f"at position {wrong[0]} ({wrong.size} of {labels.size} are out of range)")
    if not 0 <= smoothing < 1:
        raise ValueError(f"{op}: smoothing must lie in 0 <= a < 1, but is {smoothing}")


@op("logits: N K -> p: N K", flops=6)
def softmax(logits: Array) -> Array:
    """p[n, k] = exp(logits[n, k]) / sum over m of exp(logits[n, m]);  (N, K) -> (N, K)."""
    return np.exp(_log_softmax(logits))


@op("p: N K, dp: N K -> dlogits: N K", flops=4)
def softmax_backward(dp: Array, p: Array) -> Array:
    """dlogits[n, k] = p[n, k] * (dp[n, k] - sum over m of dp[n, m] * p[n, m])."""
    return p * (dp - total(dp * p, 1)[:, None])


@op("logits: N K, labels: N int -> loss:", values=expect_targets, flops=8)
def softmax_cross_entropy(logits: Array, labels: Array, smoothing: float = 0.0) -> Array:
    """loss = -1/N * sum over n, k of  q[n, k] * log p[n, k];  (N, K), (N,) -> scalar of the logits' dtype.

    Raises
    ------
    ValueError
        A label outside 0..K-1, or a smoothing outside 0 <= a < 1.
    """
    logp = _log_softmax(logits)
    q = _targets(logits, labels, smoothing)
    return average(-total(q * logp, 1), 0)


@op("logits: N K, labels: N int -> dlogits: N K", values=expect_targets, flops=9)
def softmax_cross_entropy_backward(dloss: float, logits: Array, labels: Array,
                                   smoothing: float = 0.0) -> Array:
    """dlogits = dloss * (p - q) / N;  scalar, (N, K), (N,) -> (N, K). In training dloss is 1."""
    p = softmax(logits)
    q = _targets(logits, labels, smoothing)
    return (dloss * (p - q) / len(logits)).astype(logits.dtype, copy=False)


def _log_softmax(logits: Array) -> Array:
    shifted = logits - logits.max(axis=1, keepdims=True)
    return shifted - np.log(total(np.exp(shifted), 1))[:, None]


def _targets(logits: Array, labels: Array, smoothing: float) -> Array:
    N, K = logits.shape
    q = np.full((N, K), smoothing / K, logits.dtype)
    q[np.arange(N), labels] += 1 - smoothing
    return q
