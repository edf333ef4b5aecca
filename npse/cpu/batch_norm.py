"""Batch normalization: one pass for the statistics, one to normalize; two for the gradients. Letters: as in the book.

A ReLU may follow. In the forward pass it is a lower bound (``floor``: 0, or minus infinity for none), in the backward
pass a mask. So the fused ops in fused.py and bn_scale_add_relu.py use the same kernels.
"""

import math
from functools import partial

import numpy as np

from npse import reference as book
from npse.cpu.norm_kernels.moments import beside, statistics
from npse.cpu.runtime.arrays import pixels, replaces, sum_of_images, zeros
from npse.cpu.runtime.jit import kernel
from npse.cpu.runtime.memory_pool import empty, empty_like, empty_together
from npse.cpu.runtime.parallel import parallel_for
from npse.cpu.runtime.recorder import call_as_one
from npse.cpu.simd import channel_sums
from npse.cpu.simd.channel_sums import MASK_BY_X, MASK_BY_Y, NO_MASK


@replaces(book.batch_norm, recordable=True)
def batch_norm(x, gamma, beta, eps=1e-5):
    mean, var, _ = statistics(x)
    return normalize(x, gamma, beta, mean, var, eps, -np.inf), mean, var


@replaces(book.batch_norm_inference, recordable=True)
def batch_norm_inference(x, gamma, beta, running_mean, running_var, eps=1e-5):
    return normalize(x, gamma, beta, running_mean, running_var, eps, -np.inf)


@replaces(book.batch_norm_backward, recordable=True)
def batch_norm_backward(dy, x, gamma, mean, var, eps=1e-5):
    return gradients(NO_MASK, dy, x, gamma, gamma, mean, var, eps)    # without a mask beta is not read


@replaces(book.moments, recordable=True)
def moments(x):
    return statistics(x)


def _beside(count, *arrays):
    """Return maps (N, R, C) as (N, R / count, count * C), and repeat the numbers of channels, (C,) or (N, C)."""
    if count == 1:
        return arrays
    return [x.reshape(len(x), x.shape[1] // count, -1) if x.ndim == 3 else call_as_one(np.tile, x, count)
            for x in arrays]


def normalize(x, gamma, beta, mean, var, eps, floor):
    """y = max(gamma * (x - mean) / sqrt(var + eps) + beta, floor)."""
    y = empty_like(x)
    slope, _ = slopes(gamma, var, eps, x.dtype)
    x_wide, mean, slope, beta, y_wide = _beside(beside(x), pixels(x), mean, slope, beta, pixels(y))
    parallel_for(partial(_normalize, x_wide, mean, slope, beta, x.dtype.type(floor), y_wide), len(x))
    return y


@kernel
def _normalize(x, mean, slope, beta, floor, y, first, last):
    for n in range(first, last):
        for r in range(x.shape[1]):
            for c in range(x.shape[2]):
                v = (x[n, r, c] - mean[c]) * slope[c] + beta[c]
                y[n, r, c] = floor if v < floor else v            # a NaN stays a NaN


def gradients(mask, dy, x, gamma, beta, mean, var, eps):
    """Return dx, dgamma, dbeta. If a ReLU followed, ``mask`` is MASK_BY_X, and its mask is computed from x."""
    N, _, _, C = x.shape
    both = sums(mask, dy, x, x, gamma, beta, mean, var, eps)
    dgamma, dbeta = (sum_of_images(each, x.dtype) for each in both)
    one, zero = np.ones((N, C), x.dtype), np.zeros((N, C), x.dtype)
    dx, _ = input_gradient(mask, dy, x, x, gamma, beta, mean, var, eps, one, zero, dgamma, dbeta)
    return dx, dgamma, dbeta


def sums(mask, dy, x, y, gamma, beta, mean, var, eps):
    """Return dgammas, dbetas (N, C) in float64: the sums over each map of g * xhat and of g.

    g is dy with the mask of the ReLU. With MASK_BY_X the mask is where the batch norm of x is positive, with MASK_BY_Y
    where y is. With other masks y is not read.
    """
    N, _, _, C = x.shape
    slope, inverse = slopes(gamma, var, eps, x.dtype)
    count = beside(x)
    dgammas, dbetas = zeros((N, count * C)), zeros((N, count * C))
    arrays = _beside(count, pixels(dy), pixels(x), pixels(y), mean, inverse, slope, beta)
    task = channel_sums.in_vectors(arrays[1], channel_sums.norm_sums, mask) or partial(_sums, mask)
    parallel_for(partial(task, *arrays, dgammas, dbetas), N)
    if count == 1:
        return dgammas, dbetas
    both = empty((N, C), np.float64), empty((N, C), np.float64)
    parallel_for(partial(_join_sums, dgammas, dbetas, *both), N, N)
    return both


@kernel
def _join_sums(apart, more_apart, sums, more_sums, first, last):
    """Add up the sums of neighbouring pixels: twice (N, count * C) -> (N, C)."""
    C = sums.shape[1]
    for n in range(first, last):
        sums[n], more_sums[n] = 0, 0
        for k in range(apart.shape[1]):
            sums[n, k % C] += apart[n, k]
            more_sums[n, k % C] += more_apart[n, k]


def input_gradient(mask, dy, x, y, gamma, beta, mean, var, eps, s, dz, dgamma, dbeta):
    """Return dx = gamma / sqrt(var + eps) * (du - dbeta / B - xhat * dgamma / B) with du = s * g + dz / R; and g.

    s, dz (N, C) are the gates and the gradient of the squeeze; R = H*W, B = N*R. g is that of `sums`. It is written and
    returned with MASK_BY_Y; with other masks None is returned for it.
    """
    N, H, W, C = x.shape
    slope, inverse = slopes(gamma, var, eps, x.dtype)
    a, b, d = empty_together(x.dtype, (N, C), (N, C), (C,))
    numbers = map(x.dtype.type, (H * W, N * H * W))
    parallel_for(partial(_affine, slope, inverse, s, dz, dgamma, dbeta, *numbers, a, b, d), N, N)
    dx, g = empty_like(x), empty_like(x) if mask == MASK_BY_Y else None
    arrays = _beside(beside(x), pixels(dy), pixels(x), pixels(y), mean, slope, beta, a, b, d, pixels(dx),
                     pixels(dx if g is None else g))
    task = channel_sums.in_vectors(arrays[1], channel_sums.norm_input_gradient, mask) or partial(_input_gradient, mask)
    parallel_for(partial(task, *arrays), N)
    return dx, g


@kernel
def _affine(slope, inverse, s, dz, dgamma, dbeta, R, B, a, b, d, first, last):
    """Write the coefficients of `input_gradient`, a, b (N, C) and d (C,), for images first .. last, which are all."""
    for c in range(len(slope)):
        d[c] = slope[c] * inverse[c] * (dgamma[c] / B)
    for n in range(first, last):
        for c in range(len(slope)):
            a[n, c] = slope[c] * s[n, c]
            b[n, c] = slope[c] * (dz[n, c] / R - dbeta[c] / B)


def slopes(gamma, var, eps, dtype):
    """Return gamma / sqrt(var + eps) and 1 / sqrt(var + eps)."""
    slope, inverse = empty_together(dtype, gamma.shape, gamma.shape)
    parallel_for(partial(_slopes, gamma, var, dtype.type(eps), slope, inverse), len(gamma), len(gamma))
    return slope, inverse


@kernel
def _slopes(gamma, var, eps, slope, inverse, first, last):
    one = slope.dtype.type(1)
    for c in range(first, last):
        deviation = math.sqrt(var[c] + eps)
        slope[c], inverse[c] = gamma[c] / deviation, one / deviation


def line(gamma, beta, mean, var, eps, dtype):
    """Return slope and shift (C,): batch norm with this mean and variance is slope * x + shift."""
    slope, shift = empty_together(dtype, gamma.shape, gamma.shape)
    parallel_for(partial(_line, gamma, beta, mean, var, float(eps), slope, shift), len(gamma), len(gamma))
    return slope, shift


@kernel
def _line(gamma, beta, mean, var, eps, slope, shift, first, last):
    for c in range(first, last):
        exact = gamma[c] / math.sqrt(var[c] + eps)                # in float64
        slope[c], shift[c] = exact, beta[c] - mean[c] * exact


@kernel
def _sums(mask, dy, x, y, mean, inverse, slope, beta, dgammas, dbetas, first, last):
    zero = dy.dtype.type(0)
    for n in range(first, last):
        for r in range(x.shape[1]):
            for c in range(x.shape[2]):
                g, distance = dy[n, r, c], x[n, r, c] - mean[c]
                if _is_off(mask, distance * slope[c] + beta[c], y[n, r, c]):
                    g = zero
                dbetas[n, c] += g
                dgammas[n, c] += g * (distance * inverse[c])


@kernel
def _input_gradient(mask, dy, x, y, mean, slope, beta, a, b, d, dx, dr, first, last):
    zero = dy.dtype.type(0)
    for n in range(first, last):
        for r in range(x.shape[1]):
            for c in range(x.shape[2]):
                g, distance = dy[n, r, c], x[n, r, c] - mean[c]
                if _is_off(mask, distance * slope[c] + beta[c], y[n, r, c]):
                    g = zero
                dr[n, r, c] = g                                   # dr may be dx: the next line overwrites it
                dx[n, r, c] = a[n, c] * g + b[n, c] - distance * d[c]


@kernel
def _is_off(mask, by_x, by_y):
    return (mask == MASK_BY_X and not by_x > 0) or (mask == MASK_BY_Y and not by_y > 0)
