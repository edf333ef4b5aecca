"""Losses, each a single number, and the logarithm of the softmax."""

import numpy as np

from npse.zoo.mutation.foreign.table import enter, sizes


def huber(x, target):
    """Mean of e^2/2 where |e| <= 1, else |e| - 1/2; e = x - target."""
    e = x - target
    return np.where(np.abs(e) <= 1, e * e / 2, np.abs(e) - 0.5).mean().astype(x.dtype)


def huber_backward(dloss, x, target):
    """Gradients of the prediction and the target."""
    e = x - target
    dx = dloss * np.where(np.abs(e) <= 1, e, np.sign(e)) / e.size
    return dx.astype(x.dtype), -dx.astype(x.dtype)


def _predictions(rng):
    shape = sizes(rng, 2, 3)
    return {"x": 2 * rng.standard_normal(shape), "target": rng.standard_normal(shape)}


enter(huber, huber_backward, _predictions, lambda x, target: np.abs(x - target) - 1)


def log_softmax(x):
    """y = x - log of the sum of exp(x) over each row."""
    shifted = x - x.max(axis=1, keepdims=True)
    return shifted - np.log(np.exp(shifted).sum(axis=1, keepdims=True))


def log_softmax_backward(dy, x):
    """dx = dy - softmax(x) * sum of dy."""
    shifted = x - x.max(axis=1, keepdims=True)
    p = np.exp(shifted) / np.exp(shifted).sum(axis=1, keepdims=True)
    return dy - p * dy.sum(axis=1, keepdims=True)


enter(log_softmax, log_softmax_backward, lambda rng: {"x": rng.standard_normal(sizes(rng, 2, 3))})


def bce_with_logits(x, labels):
    """Mean of log(1 + exp(x)) - labels * x."""
    return (np.maximum(x, 0) + np.log1p(np.exp(-np.abs(x))) - labels * x).mean().astype(x.dtype)


def bce_with_logits_backward(dloss, x, labels):
    """dx = dloss * (sigmoid(x) - labels) / size."""
    p = 1 / (1 + np.exp(-x))
    return (dloss * (p - labels) / x.size).astype(x.dtype)


def _scores_and_bits(rng):
    shape = sizes(rng, 2, 3)
    return {"x": rng.standard_normal(shape), "labels": rng.integers(0, 2, shape)}


enter(bce_with_logits, bce_with_logits_backward, _scores_and_bits)


def hinge(x, labels):
    """Multi-class hinge loss: mean over rows of the sum over k of max(0, x[k] - x[label] + 1) without the label."""
    rows = np.arange(len(x))
    margins = np.maximum(0, x - x[rows, labels][:, None] + 1)
    margins[rows, labels] = 0
    return (margins.sum() / len(x)).astype(x.dtype)


def hinge_backward(dloss, x, labels):
    """Gradient of the scores."""
    rows = np.arange(len(x))
    over = (x - x[rows, labels][:, None] + 1 > 0).astype(x.dtype)
    over[rows, labels] = 0
    over[rows, labels] -= over.sum(axis=1)
    return (dloss * over / len(x)).astype(x.dtype)


def _scores(rng):
    N, K = sizes(rng, 2, 3)
    return {"x": rng.standard_normal((N, K)), "labels": rng.integers(0, K, N)}


enter(hinge, hinge_backward, _scores, lambda x, labels: x - x[np.arange(len(x)), labels][:, None] + 1)
