"""Batch normalization: one pass for the statistics, one to normalize; two for the gradients. Letters: as in the book.

A ReLU may follow. In the forward pass it is a lower bound (``floor``: 0, or minus infinity for none), in the backward
pass a mask. So the fused ops in fused.py and bn_scale_add_relu.py use the same kernels.

The vectors of the kernels hold channels. If a map has fewer, some neighbouring pixels make one vector (`beside`): the
kernels see a map with fewer pixels and more channels, and what they return for these is joined.
"""

import math
from functools import partial

import numpy as np

from npse import reference as book
from npse.cpu.runtime.arrays import pixels, replaces
from npse.cpu.runtime.jit import kernel
from npse.cpu.runtime.memory_pool import empty_like, empty_together
from npse.cpu.runtime.parallel import parallel_for
from npse.cpu.runtime.recorder import call_as_one
from npse.cpu.simd import channel_sums
from npse.cpu.simd.channel_sums import MASK_BY_X, MASK_BY_Y, NO_MASK
from npse.cpu.simd.tile import lanes


@replaces(book.batch_norm)
def batch_norm(x, gamma, beta, eps=1e-5):
    mean, var, _ = statistics(x)
    return normalize(x, gamma, beta, mean, var, eps, -np.inf), mean, var


@replaces(book.batch_norm_inference, recordable=True)
def batch_norm_inference(x, gamma, beta, running_mean, running_var, eps=1e-5):
    return normalize(x, gamma, beta, running_mean, running_var, eps, -np.inf)


@replaces(book.batch_norm_backward)
def batch_norm_backward(dy, x, gamma, mean, var, eps=1e-5):
    return gradients(NO_MASK, dy, x, gamma, gamma, mean, var, eps)    # without a mask beta is not read


@replaces(book.moments)
def moments(x):
    return statistics(x)


def statistics(x):
    """Return mean and biased variance of each channel over the batch, and means over each map: (C,), (C,), (N, C).

    Memory is read once. Each map is read a second time while it is in cache, for the sum of its squares about its own
    centre. With R = H*W pixels in a map and d = centre - mean, the sum of squares about the common mean is

        sum of (x - mean)^2 = sum of (x - centre)^2 + 2 d * sum of (x - centre) + R d^2
    """
    N, H, W, _ = x.shape
    R = H * W
    sums, centres, squares = map_statistics(x)
    mean = sums.sum(axis=0) / (N * R)
    var = (_squares_about(mean, sums, centres, squares, R).sum(axis=0) / (N * R)).clip(min=0)
    return mean.astype(x.dtype), var.astype(x.dtype), (sums / R).astype(x.dtype)


def map_statistics(x):
    """Return the channel sums of each map, centres near the means, and the sums of (x - centre)^2: each (N, C)."""
    N, H, W, C = x.shape
    if (count := beside(x)) > 1:
        R = H * W
        found = map_statistics(x.reshape(N, R // count, 1, count * C))
        sums, centres, squares = (each.reshape(N, count, C) for each in found)
        centre = (sums.sum(axis=1, keepdims=True) / R).astype(x.dtype)
        return sums.sum(axis=1), centre[:, 0], _squares_about(centre, sums, centres, squares, R // count).sum(axis=1)
    sums, centres, squares = np.zeros((N, C)), np.empty((N, C), x.dtype), np.zeros((N, C))
    task = channel_sums.in_vectors(x, channel_sums.statistics) or _statistics
    parallel_for(partial(task, pixels(x), sums, centres, squares), N)
    return sums, centres, squares


def _squares_about(centre, sums, centres, squares, R):
    """Return the sums of (x - centre)^2 over R pixels, from those about other centres; the formula of `statistics`."""
    d = centres.astype(np.float64) - centre
    return squares + 2 * d * (sums - R * centres.astype(np.float64)) + R * d * d


def beside(x):
    """Return how many neighbouring pixels of x (N, H, W, C) make a vector; 1 if one pixel does, or no number does."""
    _, H, W, C = x.shape
    count = max(1, lanes(x.dtype) // C)
    return count if count * C == lanes(x.dtype) and H * W % count == 0 else 1


def _beside(count, *arrays):
    """Return maps (N, R, C) as (N, R / count, count * C), and repeat the numbers of channels, (C,) or (N, C)."""
    if count == 1:
        return arrays
    return [x.reshape(len(x), x.shape[1] // count, -1) if x.ndim == 3 else call_as_one(np.tile, x, count)
            for x in arrays]


def moments_from(sums, x):
    """Return the same as `statistics`, from sums of x and of x * x over parts of the maps: sums (2, N, parts, C).

    A variance that is computed as mean(x^2) - mean(x)^2 loses digits. If it loses more than three, `statistics` reads x
    instead.
    """
    N, H, W, C = x.shape
    totals, squares = both = np.empty((2, N, C))
    parallel_for(partial(_add_parts, sums, both), N)
    mean, square = totals.sum(axis=0) / (N * H * W), squares.sum(axis=0) / (N * H * W)
    var = square - mean**2
    if not (square < 1000 * var).all():
        return statistics(x)
    return mean.astype(x.dtype), var.astype(x.dtype), (totals / (H * W)).astype(x.dtype)


@kernel
def _add_parts(sums, totals, first, last):
    """Add up the parts of images first .. last: sums (2, N, parts, C) -> totals (2, N, C)."""
    totals[:, first:last] = 0
    for which in range(2):
        for n in range(first, last):
            for part in range(sums.shape[2]):
                for c in range(sums.shape[3]):
                    totals[which, n, c] += sums[which, n, part, c]


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
    dgammas, dbetas = sums(mask, dy, x, x, gamma, beta, mean, var, eps)
    dgamma, dbeta = (total.sum(axis=0).astype(x.dtype) for total in (dgammas, dbetas))
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
    dgammas, dbetas = np.zeros((N, count * C)), np.zeros((N, count * C))
    arrays = _beside(count, pixels(dy), pixels(x), pixels(y), mean, inverse, slope, beta)
    task = channel_sums.in_vectors(arrays[1], channel_sums.norm_sums, mask) or partial(_sums, mask)
    parallel_for(partial(task, *arrays, dgammas, dbetas), N)
    if count == 1:
        return dgammas, dbetas
    return tuple(each.reshape(N, count, C).sum(axis=1) for each in (dgammas, dbetas))


def input_gradient(mask, dy, x, y, gamma, beta, mean, var, eps, s, dz, dgamma, dbeta):
    """Return dx = gamma / sqrt(var + eps) * (du - dbeta / B - xhat * dgamma / B) with du = s * g + dz / R; and g.

    s, dz (N, C) are the gates and the gradient of the squeeze; R = H*W, B = N*R. g is that of `sums`. It is written and
    returned with MASK_BY_Y; with other masks None is returned for it.
    """
    N, H, W, _ = x.shape
    slope, inverse = slopes(gamma, var, eps, x.dtype)
    a = slope * s
    b = slope * (dz / (H * W) - dbeta / (N * H * W))
    d = slope * inverse * (dgamma / (N * H * W))
    dx, g = empty_like(x), empty_like(x) if mask == MASK_BY_Y else None
    arrays = _beside(beside(x), pixels(dy), pixels(x), pixels(y), mean, slope, beta, a, b, d, pixels(dx),
                     pixels(dx if g is None else g))
    task = channel_sums.in_vectors(arrays[1], channel_sums.norm_input_gradient, mask) or partial(_input_gradient, mask)
    parallel_for(partial(task, *arrays), N)
    return dx, g


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
