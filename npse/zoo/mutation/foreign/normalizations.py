"""Normalizations: of rows, of groups of channels, of vectors."""

import numpy as np

from npse.zoo.mutation.foreign.table import enter, sizes


def layer_norm(x, gamma, beta):
    """y = gamma * (x - mean) / sqrt(var + 1e-5) + beta over the last axis, arXiv 1607.06450."""
    mean = x.mean(axis=-1, keepdims=True)
    var = x.var(axis=-1, keepdims=True)
    return gamma * (x - mean) / np.sqrt(var + 1e-5) + beta


def layer_norm_backward(dy, x, gamma, beta):
    """Gradients of x, gamma and beta."""
    mean = x.mean(axis=-1, keepdims=True)
    inverse = 1 / np.sqrt(x.var(axis=-1, keepdims=True) + 1e-5)
    xhat = (x - mean) * inverse
    dbeta = dy.sum(axis=0)
    dgamma = (dy * xhat).sum(axis=0)
    dxhat = dy * gamma
    mean_d = dxhat.mean(axis=-1, keepdims=True)
    mean_dx = (dxhat * xhat).mean(axis=-1, keepdims=True)
    dx = (dxhat - mean_d - xhat * mean_dx) * inverse
    return dx, dgamma, dbeta


def _rows_with_scale(rng):
    N, C = sizes(rng, 2, 3)
    return {"x": rng.standard_normal((N, C)), "gamma": rng.uniform(0.5, 1.5, C), "beta": rng.standard_normal(C)}


enter(layer_norm, layer_norm_backward, _rows_with_scale)


def rms_norm(x, gamma):
    """y = gamma * x / sqrt(mean of x^2 + 1e-6) over the last axis, arXiv 1910.07467."""
    return gamma * x / np.sqrt((x * x).mean(axis=-1, keepdims=True) + 1e-6)


def rms_norm_backward(dy, x, gamma):
    """Gradients of x and gamma."""
    C = x.shape[-1]
    r = np.sqrt((x * x).sum(axis=-1, keepdims=True) / C + 1e-6)
    dgamma = (dy * x / r).sum(axis=0)
    g = dy * gamma
    dx = g / r - x * (g * x).sum(axis=-1, keepdims=True) / (C * r**3)
    return dx, dgamma


enter(rms_norm, rms_norm_backward, lambda rng: {k: v for k, v in _rows_with_scale(rng).items() if k != "beta"})


def group_norm(x, gamma, groups):
    """Each group of channels of an image is brought to mean 0 and variance 1, arXiv 1803.08494; x is (N, L, C)."""
    N, L, C = x.shape
    xg = x.reshape(N, L, groups, C // groups)
    xhat = (xg - xg.mean(axis=(1, 3), keepdims=True)) / np.sqrt(xg.var(axis=(1, 3), keepdims=True) + 1e-5)
    return gamma * xhat.reshape(N, L, C)


def group_norm_backward(dy, x, gamma, groups):
    """Gradients of the input and the scale."""
    N, L, C = x.shape
    xg = x.reshape(N, L, groups, C // groups)
    inverse = 1 / np.sqrt(xg.var(axis=(1, 3), keepdims=True) + 1e-5)
    xhat = (xg - xg.mean(axis=(1, 3), keepdims=True)) * inverse
    dgamma = (dy * xhat.reshape(N, L, C)).sum(axis=(0, 1))
    dxhat = (dy * gamma).reshape(N, L, groups, C // groups)
    mean = dxhat.mean(axis=(1, 3), keepdims=True)
    slope = (dxhat * xhat).mean(axis=(1, 3), keepdims=True)
    dx = inverse * (dxhat - mean - xhat * slope)
    return dx.reshape(N, L, C), dgamma


def _grouped(rng):
    N, L = sizes(rng, 2, 2, 4)
    groups, width = int(rng.integers(1, 4)), int(rng.integers(2, 4))
    return {"x": rng.standard_normal((N, L, groups * width)), "gamma": rng.uniform(0.5, 1.5, groups * width),
            "groups": groups}


enter(group_norm, group_norm_backward, _grouped)


def l2_normalize(x):
    """Each row divided by its length."""
    return x / np.sqrt((x * x).sum(axis=1, keepdims=True))


def l2_normalize_backward(dy, x):
    """dx = (dy - y * (dy . y)) / length."""
    length = np.sqrt((x * x).sum(axis=1, keepdims=True))
    y = x / length
    return (dy - y * (dy * y).sum(axis=1, keepdims=True)) / length


enter(l2_normalize, l2_normalize_backward, lambda rng: {"x": rng.standard_normal(sizes(rng, 2, 3))})
