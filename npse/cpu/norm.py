"""Batch normalisation: two passes for the statistics, one to normalise; two for the gradients. Letters: as in the book.

The ReLU that follows in every network is a lower bound on the way out (``floor``: 0, or minus infinity for none) and a
mask on the way back, so that `batch_norm_relu` in fused.py is made of the same kernels.
"""

from functools import partial

import numpy as np

from npse import reference as book
from npse.cpu.arrays import image_sums, pixels, replaces
from npse.cpu.buffers import empty_like
from npse.cpu.compile import kernel
from npse.cpu.threads import share
from npse.reference.arrays import expect


@replaces(book.batch_norm)
def batch_norm(x, gamma, beta, eps=1e-5):
    expect("batch_norm", x=(x, "N H W C"), gamma=(gamma, "C"), beta=(beta, "C"))
    mean, var = statistics(x)
    return normalise(x, gamma, beta, mean, var, eps, -np.inf), mean, var


@replaces(book.batch_norm_inference)
def batch_norm_inference(x, gamma, beta, running_mean, running_var, eps=1e-5):
    expect("batch_norm_inference", x=(x, "N H W C"), gamma=(gamma, "C"), beta=(beta, "C"),
           running_mean=(running_mean, "C"), running_var=(running_var, "C"))
    return normalise(x, gamma, beta, running_mean, running_var, eps, -np.inf)


@replaces(book.batch_norm_backward)
def batch_norm_backward(dy, x, gamma, mean, var, eps=1e-5):
    expect("batch_norm_backward", x=(x, "N H W C"), dy=(dy, "N H W C"),
           gamma=(gamma, "C"), mean=(mean, "C"), var=(var, "C"))
    return gradients(dy, x, None, gamma, mean, var, eps)


def statistics(x):
    """Mean and biased variance of each channel over the batch: (N, H, W, C) -> (C,), (C,)."""
    B = x.size // x.shape[3]
    mean = (image_sums(x).sum(axis=0) / B).astype(x.dtype)
    squares = np.zeros((x.shape[0], x.shape[3]))
    share(partial(_squares, pixels(x), mean, squares), len(x))
    return mean, (squares.sum(axis=0) / B).astype(x.dtype)


@kernel
def _squares(x, mean, squares, first, last):
    for n in range(first, last):
        for r in range(x.shape[1]):
            for c in range(x.shape[2]):
                squares[n, c] += (x[n, r, c] - mean[c]) ** 2


def normalise(x, gamma, beta, mean, var, eps, floor):
    """y = max(gamma * (x - mean) / sqrt(var + eps) + beta, floor)."""
    y = empty_like(x)
    slope = (gamma / np.sqrt(var + eps)).astype(x.dtype)
    share(partial(_normalise, pixels(x), mean, slope, beta, x.dtype.type(floor), pixels(y)), len(x))
    return y


@kernel
def _normalise(x, mean, slope, beta, floor, y, first, last):
    for n in range(first, last):
        for r in range(x.shape[1]):
            for c in range(x.shape[2]):
                v = (x[n, r, c] - mean[c]) * slope[c] + beta[c]
                y[n, r, c] = floor if v < floor else v            # a NaN passes


def gradients(dy, x, y, gamma, mean, var, eps):
    """dx, dgamma, dbeta; where y is given, it is the output of a ReLU, and dy counts where y > 0 only."""
    N, _, _, C = x.shape
    B = x.size // C
    masked = y is not None
    maps = pixels(dy), pixels(y if masked else dy), masked, pixels(x)
    inverse = (1 / np.sqrt(var + eps)).astype(x.dtype)
    dgammas, dbetas = np.zeros((N, C)), np.zeros((N, C))
    share(partial(_sum_gradients, *maps, mean, inverse, dgammas, dbetas), N)
    dgamma, dbeta = (sums.sum(axis=0).astype(x.dtype) for sums in (dgammas, dbetas))
    dx = empty_like(x)
    share(partial(_input_gradient, *maps, mean, inverse, gamma * inverse, dgamma / B, dbeta / B, pixels(dx)), N)
    return dx, dgamma, dbeta


@kernel
def _sum_gradients(dy, y, masked, x, mean, inverse, dgammas, dbetas, first, last):
    zero = dy.dtype.type(0)
    for n in range(first, last):
        for r in range(x.shape[1]):
            for c in range(x.shape[2]):
                g = dy[n, r, c] if y[n, r, c] > zero or not masked else zero
                dbetas[n, c] += g
                dgammas[n, c] += g * ((x[n, r, c] - mean[c]) * inverse[c])


@kernel
def _input_gradient(dy, y, masked, x, mean, inverse, slope, mean_dgamma, mean_dbeta, dx, first, last):
    zero = dy.dtype.type(0)
    for n in range(first, last):
        for r in range(x.shape[1]):
            for c in range(x.shape[2]):
                g = dy[n, r, c] if y[n, r, c] > zero or not masked else zero
                xhat = (x[n, r, c] - mean[c]) * inverse[c]
                dx[n, r, c] = slope[c] * (g - mean_dbeta[c] - xhat * mean_dgamma[c])
