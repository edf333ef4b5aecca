"""Softmax and cross-entropy: from scores to a probability for each class, and to one number to minimise.

    logits  (N, K)  scores            p  (N, K)  softmax(logits)
    labels  (N,)    integers 0..K-1   q  (N, K)  targets: (1 - a) * one-hot + a / K, a the label smoothing

The logarithm of p is taken as logits - logsumexp(logits), shifted by the row's maximum, so nothing overflows.
"""

import numpy as np

from npse.reference.arrays import average, expect, expect_labels, total


def softmax(logits):
    """p[n, k] = exp(logits[n, k]) / sum over m of exp(logits[n, m]);  (N, K) -> (N, K)."""
    return np.exp(_log_softmax("softmax", logits))


def softmax_backward(dp, p):
    """dlogits[n, k] = p[n, k] * (dp[n, k] - sum over m of dp[n, m] * p[n, m])."""
    expect("softmax_backward", p=(p, "N K"), dp=(dp, "N K"))
    return p * (dp - total(dp * p, 1)[:, None])


def softmax_cross_entropy(logits, labels, smoothing=0.0):
    """loss = -1/N * sum over n, k of  q[n, k] * log p[n, k];  (N, K), (N,) -> scalar of the logits' dtype.

    Raises
    ------
    ValueError
        A label outside 0..K-1, or a smoothing outside 0 <= a < 1.
    """
    logp = _log_softmax("softmax_cross_entropy", logits)
    q = _targets("softmax_cross_entropy", logits, labels, smoothing)
    return average(-total(q * logp, 1), 0)


def softmax_cross_entropy_backward(dloss, logits, labels, smoothing=0.0):
    """dlogits = dloss * (p - q) / N;  scalar, (N, K), (N,) -> (N, K). To train, dloss is 1."""
    p = softmax(logits)
    q = _targets("softmax_cross_entropy_backward", logits, labels, smoothing)
    return (dloss * (p - q) / len(logits)).astype(logits.dtype, copy=False)


def _log_softmax(op, logits):
    expect(op, logits=(logits, "N K"))
    shifted = logits - logits.max(axis=1, keepdims=True)
    return shifted - np.log(total(np.exp(shifted), 1))[:, None]


def _targets(op, logits, labels, smoothing):
    N, K = logits.shape
    expect_labels(op, labels, K)
    if labels.shape != (N,):
        raise ValueError(f"{op}: labels need shape ({N},), one for each row of logits, but have {labels.shape}")
    if not 0 <= smoothing < 1:
        raise ValueError(f"{op}: smoothing must lie in 0 <= a < 1, but is {smoothing}")
    q = np.full((N, K), smoothing / K, logits.dtype)
    q[np.arange(N), labels] += 1 - smoothing
    return q
