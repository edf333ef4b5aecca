"""Functions of two arrays: products and distances."""

import numpy as np

from npse.zoo.mutation.foreign.table import enter, sizes


def bilinear(a, w, b):
    """y[n, k] = sum over i, j of  a[n, i] * w[k, i, j] * b[n, j]."""
    return np.einsum("ni,kij,nj->nk", a, w, b)


def bilinear_backward(dy, a, w, b):
    """Gradients of both inputs and the weights."""
    da = np.einsum("nk,kij,nj->ni", dy, w, b)
    dw = np.einsum("nk,ni,nj->kij", dy, a, b)
    db = np.einsum("nk,kij,ni->nj", dy, w, a)
    return da, dw, db


def _two_inputs(rng):
    N, K, A, B = sizes(rng, 4, 2, 5)
    return {"a": rng.standard_normal((N, A)), "w": rng.standard_normal((K, A, B)), "b": rng.standard_normal((N, B))}


enter(bilinear, bilinear_backward, _two_inputs)


def squared_distances(a, b):
    """y[n, m] = |a[n] - b[m]|^2."""
    return ((a[:, None, :] - b[None, :, :]) ** 2).sum(axis=2)


def squared_distances_backward(dy, a, b):
    """Gradients of both sets of points."""
    difference = a[:, None, :] - b[None, :, :]
    weighted = 2 * dy[:, :, None] * difference
    return weighted.sum(axis=1), -weighted.sum(axis=0)


def _points(rng):
    N, M, D = sizes(rng, 3, 2, 5)
    return {"a": rng.standard_normal((N, D)), "b": rng.standard_normal((M, D))}


enter(squared_distances, squared_distances_backward, _points)


def cosine_similarity(a, b):
    """y[n] = a[n] . b[n] / (|a[n]| |b[n]|)."""
    return (a * b).sum(axis=1) / (np.sqrt((a * a).sum(axis=1)) * np.sqrt((b * b).sum(axis=1)))


def cosine_similarity_backward(dy, a, b):
    """Gradients of both vectors."""
    na = np.sqrt((a * a).sum(axis=1, keepdims=True))
    nb = np.sqrt((b * b).sum(axis=1, keepdims=True))
    cosine = (a * b).sum(axis=1, keepdims=True) / (na * nb)
    dy = dy[:, None]
    da = dy * (b / (na * nb) - cosine * a / na**2)
    db = dy * (a / (na * nb) - cosine * b / nb**2)
    return da, db


def _pairs(rng):
    shape = sizes(rng, 2, 3)
    return {"a": rng.standard_normal(shape), "b": rng.standard_normal(shape)}


enter(cosine_similarity, cosine_similarity_backward, _pairs)
