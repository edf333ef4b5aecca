"""Batch normalisation: one pass for the statistics, one to normalise; two for the gradients. Letters: as in the book.

The ReLU that follows in every network is a lower bound on the way out (``floor``: 0, or minus infinity for none) and a
mask on the way back, so that `batch_norm_relu` in fused.py is made of the same kernels.
"""

from functools import partial

import numpy as np

from npse import reference as book
from npse.cpu import channels
from npse.cpu.arrays import pixels, replaces
from npse.cpu.buffers import empty_like
from npse.cpu.compile import kernel
from npse.cpu.threads import share
from npse.cpu.tile import lanes
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
    """Mean and biased variance of each channel over the batch: (N, H, W, C) -> (C,), (C,).

    Memory is read once: each map is read again while it is in cache, for its squares about a centre of its own, and
    the sum of squares about the common mean follows from those, with R = H*W pixels a map and d = centre - mean:

        sum of (x - mean)^2 = sum of (x - centre)^2 + 2 d * sum of (x - centre) + R d^2
    """
    N, H, W, C = x.shape
    R = H * W
    sums, centres, squares = np.zeros((N, C)), np.empty((N, C), x.dtype), np.zeros((N, C))
    if v := channels.vectors(x):
        share(partial(channels.statistics(v), pixels(x), sums, centres, squares, v * lanes(x.dtype)), N)
    else:
        share(partial(_statistics, pixels(x), sums, centres, squares), N)
    mean = sums.sum(axis=0) / (N * R)
    d = centres - mean
    squares += 2 * d * (sums - R * centres.astype(np.float64)) + R * d * d
    return mean.astype(x.dtype), (squares.sum(axis=0) / (N * R)).clip(min=0).astype(x.dtype)


@kernel
def _statistics(x, sums, centres, squares, first, last):
    _, R, C = x.shape
    for n in range(first, last):
        for r in range(R):
            for c in range(C):
                sums[n, c] += x[n, r, c]
        for c in range(C):
            centres[n, c] = sums[n, c] / R
        for r in range(R):
            for c in range(C):
                squares[n, c] += (x[n, r, c] - centres[n, c]) ** 2


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
    maps = pixels(dy), pixels(y if masked else dy), pixels(x)
    inverse = (1 / np.sqrt(var + eps)).astype(x.dtype)
    dgammas, dbetas, dx = np.zeros((N, C)), np.zeros((N, C)), empty_like(x)
    if v := channels.vectors(x):
        width = (v * lanes(x.dtype),)
        sums, input_gradient = channels.norm_sums(v, masked), channels.norm_input_gradient(v, masked)
    else:
        width, sums, input_gradient = (), partial(_sum_gradients, masked), partial(_input_gradient, masked)
    share(partial(sums, *maps, mean, inverse, dgammas, dbetas, *width), N)
    dgamma, dbeta = (total.sum(axis=0).astype(x.dtype) for total in (dgammas, dbetas))
    share(partial(input_gradient, *maps, mean, inverse, gamma * inverse, dgamma / B, dbeta / B, pixels(dx), *width), N)
    return dx, dgamma, dbeta


@kernel
def _sum_gradients(masked, dy, y, x, mean, inverse, dgammas, dbetas, first, last):
    zero = dy.dtype.type(0)
    for n in range(first, last):
        for r in range(x.shape[1]):
            for c in range(x.shape[2]):
                g = dy[n, r, c] if y[n, r, c] > zero or not masked else zero
                dbetas[n, c] += g
                dgammas[n, c] += g * ((x[n, r, c] - mean[c]) * inverse[c])


@kernel
def _input_gradient(masked, dy, y, x, mean, inverse, slope, mean_dgamma, mean_dbeta, dx, first, last):
    zero = dy.dtype.type(0)
    for n in range(first, last):
        for r in range(x.shape[1]):
            for c in range(x.shape[2]):
                g = dy[n, r, c] if y[n, r, c] > zero or not masked else zero
                xhat = (x[n, r, c] - mean[c]) * inverse[c]
                dx[n, r, c] = slope[c] * (g - mean_dbeta[c] - xhat * mean_dgamma[c])
