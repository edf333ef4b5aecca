"""Squeezes other than the mean: deviation, fixed and learned weights, attention, length of a map."""

import numpy as np

from npse import reference as book
from npse.reference.numerics import average
from npse.zoo.bug import bug, bugs_of


@bug("deviation_backward", "variance", "averaged")
def deviation_divides_by_all_pixels(dd, u, d):
    """The gradient is divided by H*W, as for the biased variance, and not by H*W - 1."""
    R = u.shape[1] * u.shape[2]
    return book.deviation_backward(dd, u, d) * (max(R - 1, 1) / R)


@bug("deviation_backward", "path missing")
def deviation_forgets_the_mean(dd, u, d):
    """The factor is u where u - m belongs."""
    R = u.shape[1] * u.shape[2]
    return (dd / (max(R - 1, 1) * d))[:, None, None, :] * u


@bug("deviation_backward", "path missing")
def deviation_is_taken_for_the_variance(dd, u, d):
    """The derivative of the root is missing: the gradient is that of half the variance."""
    return book.deviation_backward(dd, u, np.ones_like(d))


@bug("deviation_backward", "averaged")
def deviation_is_not_divided(dd, u, d):
    """The gradient is not divided by the number of pixels less one."""
    return book.deviation_backward(dd, u, d) * max(u.shape[1] * u.shape[2] - 1, 1)


@bugs_of("dtype", source="changzy00/pytorch-attention, attention_mechanisms/lct.py")
def deviation_in_one_pass():
    """The variance is the mean of u^2 less the square of the mean; in float32 it is lost if the mean is large."""
    def deviation(u, eps=1e-5):
        R = u.shape[1] * u.shape[2]
        var = average(u * u, (1, 2)) - average(u, (1, 2)) ** 2
        return np.sqrt(np.maximum(var, 0) * (R / max(R - 1, 1)) + eps)
    return (deviation,)


@bugs_of("variance", "forward")
def deviation_is_biased():
    """The variance is divided by H*W in the forward pass, as in batch norm, and by H*W - 1 in the backward pass."""
    def deviation(u, eps=1e-5):
        return np.sqrt(u.var(axis=(1, 2)) + eps)
    return (deviation,)


@bug("weighted_squeeze_backward", "averaged")
def weighted_squeeze_averages_over_the_batch(dz, u, b):
    """db is a mean over the images instead of a sum."""
    du, db = book.weighted_squeeze_backward(dz, u, b)
    return du, db / len(u)


@bug("weighted_squeeze_backward", "not summed", "shape")
def weighted_squeeze_forgets_the_batch(dz, u, b):
    """db is not summed over the images."""
    du, _ = book.weighted_squeeze_backward(dz, u, b)
    return du, dz[:, None, None, :] * u


@bug("weighted_squeeze_backward", "path missing")
def weighted_squeeze_spreads_the_gradient(dz, u, b):
    """du is the same at each pixel, as for a sum: the weights are missing."""
    _, db = book.weighted_squeeze_backward(dz, u, b)
    return np.broadcast_to(dz[:, None, None, :], u.shape).copy(), db


@bug("weighted_squeeze_backward", "averaged")
def weighted_squeeze_divides_by_the_pixels(dz, u, b):
    """du and db are divided by H*W, as for the mean, but the weights contain the divisor."""
    return tuple(gradient / (u.shape[1] * u.shape[2]) for gradient in book.weighted_squeeze_backward(dz, u, b))


@bug("attention_squeeze_backward", "path missing")
def attention_squeeze_detaches_the_attention(dz, u, k, z, p):
    """du is p * dz: the path through the scores of the pixels is missing."""
    _, dk = book.attention_squeeze_backward(dz, u, k, z, p)
    return p[..., None] * dz[:, None, None, :], dk


@bug("attention_squeeze_backward", "path missing")
def attention_squeeze_forgets_the_values(dz, u, k, z, p):
    """du has the path through the scores only: the pixels are constants."""
    du, dk = book.attention_squeeze_backward(dz, u, k, z, p)
    return du - p[..., None] * dz[:, None, None, :], dk


def _gradients_with(da, dz, u, k, p):
    return p[..., None] * dz[:, None, None, :] + da[..., None] * k, np.einsum("nij,nijc->c", da, u)


@bug("attention_squeeze_backward", "path missing")
def attention_squeeze_takes_the_diagonal(dz, u, k, z, p):
    """The derivative of the softmax is p * (1 - p): the other pixels of the map are forgotten."""
    return _gradients_with(p * (1 - p) * np.einsum("nc,nijc->nij", dz, u), dz, u, k, p)


@bug("attention_squeeze_backward", "path missing")
def attention_squeeze_forgets_the_other_pixels(dz, u, k, z, p):
    """The derivative of the softmax is p: the sum over the map of p * dp is not subtracted."""
    return _gradients_with(p * np.einsum("nc,nijc->nij", dz, u), dz, u, k, p)


@bug("attention_squeeze_backward", "averaged")
def attention_squeeze_averages_over_the_batch(dz, u, k, z, p):
    """dk is a mean over the images instead of a sum."""
    du, dk = book.attention_squeeze_backward(dz, u, k, z, p)
    return du, dk / len(u)


def _weighted(p, u):
    return np.einsum("nij,nijc->nc", p, u), p


@bugs_of("path missing", "forward", source="changzy00/pytorch-attention, attention_mechanisms/gc_module.py")
def attention_squeeze_without_softmax():
    """The softmax is made, but never called: the scores themselves are the weights."""
    def attention_squeeze(u, k):
        return _weighted(u @ k, u)
    return (attention_squeeze,)


@bugs_of("wrong value", "forward")
def attention_squeeze_over_the_columns():
    """The softmax is taken over W alone, not over all pixels: the weights of each row sum to 1."""
    def attention_squeeze(u, k):
        N, H, W, _ = u.shape
        return _weighted(book.softmax((u @ k).reshape(N * H, W)).reshape(N, H, W), u)
    return (attention_squeeze,)


@bug("norm_squeeze_backward", "path missing")
def norm_squeeze_is_not_divided_by_the_norm(dz, u, z):
    """du is dz * u: the gradient of half the squared length."""
    return dz[:, None, None, :] * u


@bug("norm_squeeze_backward", "path twice")
def norm_squeeze_divides_twice(dz, u, z):
    """du is divided by z^2."""
    return (dz / z**2)[:, None, None, :] * u


@bug("norm_squeeze_backward", "averaged")
def norm_squeeze_is_averaged(dz, u, z):
    """du is divided by H*W, as for a mean of squares."""
    return book.norm_squeeze_backward(dz, u, z) / (u.shape[1] * u.shape[2])


@bug("norm_squeeze_backward", "factor")
def norm_squeeze_keeps_the_two(dz, u, z):
    """The factor 2 of the square stays, because the 1/2 of the root is forgotten."""
    return 2 * book.norm_squeeze_backward(dz, u, z)


@bugs_of("variance", "forward")
def norm_squeeze_adds_eps_to_the_norm():
    """The forward pass adds eps outside the root."""
    def norm_squeeze(u, eps=1e-5):
        return np.sqrt((u * u).sum(axis=(1, 2))) + eps
    return (norm_squeeze,)
