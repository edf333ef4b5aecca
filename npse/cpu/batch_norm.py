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
from npse.cpu.runtime.arrays import pixels, replaces, zeros
from npse.cpu.runtime.jit import kernel
from npse.cpu.runtime.memory_pool import empty, empty_like, empty_together
from npse.cpu.runtime.parallel import parallel_for
from npse.cpu.runtime.recorder import call_as_one
from npse.cpu.simd import channel_sums
from npse.cpu.simd.channel_sums import MASK_BY_X, MASK_BY_Y, NO_MASK
from npse.cpu.simd.tile import lanes

CHANNELS = 16         # a range of channels that one thread adds up: a cache line of float32


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


def statistics(x):
    """Return mean and biased variance of each channel over the batch, and means over each map: (C,), (C,), (N, C).

    Memory is read once. Each map is read a second time while it is in cache, for the sum of its squares about its own
    centre. With R = H*W pixels in a map and d = centre - mean, the sum of squares about the common mean is

        sum of (x - mean)^2 = sum of (x - centre)^2 + 2 d * sum of (x - centre) + R d^2
    """
    N, _, _, C = x.shape
    mean, var, means = empty_together(x.dtype, (C,), (C,), (N, C))
    parallel_for(partial(_moments, *map_statistics(x), pixels(x), mean, var, means), C, C)
    return mean, var, means


def map_statistics(x):
    """Return the channel sums of each map, centres near the means, and the sums of (x - centre)^2: each (N, C)."""
    N, H, W, C = x.shape
    if (count := beside(x)) > 1:
        apart = map_statistics(x.reshape(N, H * W // count, 1, count * C))
        sums, centres, squares = empty((N, C), np.float64), empty((N, C), x.dtype), empty((N, C), np.float64)
        parallel_for(partial(_join_statistics, *apart, H * W, sums, centres, squares), N, N)
        return sums, centres, squares
    sums, centres, squares = zeros((N, C)), empty((N, C), x.dtype), zeros((N, C))
    task = channel_sums.in_vectors(x, channel_sums.statistics) or _statistics
    parallel_for(partial(task, pixels(x), sums, centres, squares), N)
    return sums, centres, squares


@kernel
def _join_statistics(apart, old, apart_squares, R, sums, centres, squares, first, last):
    """Write the statistics of maps with C channels from those of maps with count * C: of ``count`` pixels in one."""
    C = sums.shape[1]
    for n in range(first, last):
        sums[n], squares[n] = 0, 0
        for k in range(apart.shape[1]):
            sums[n, k % C] += apart[n, k]
        for c in range(C):
            centres[n, c] = sums[n, c] / R
        for k in range(apart.shape[1]):
            squares[n, k % C] += _squares_about(np.float64(centres[n, k % C]), apart[n, k], np.float64(old[n, k]),
                                                apart_squares[n, k], R * C // apart.shape[1])


@kernel
def _squares_about(centre, sums, old, squares, R):
    """Return the sum of (x - centre)^2 over R pixels from that about an old centre; the formula of `statistics`."""
    d = old - centre
    return squares + 2 * d * (sums - R * old) + R * d * d


@kernel
def _moments(sums, centres, squares, x, mean, var, means, first, last):
    """Write mean, var (C,), means (N, C) for channels first .. last, from the results of `map_statistics`."""
    N, R, _ = x.shape
    total, about = np.zeros(last - first), np.zeros(last - first)
    for n in range(N):
        for c in range(first, last):
            total[c - first] += sums[n, c]
            means[n, c] = sums[n, c] / R
    total /= N * R
    for n in range(N):
        for c in range(first, last):
            old = np.float64(centres[n, c])
            about[c - first] += _squares_about(total[c - first], sums[n, c], old, squares[n, c], R)
    for c in range(first, last):
        v = about[c - first] / (N * R)
        mean[c], var[c] = total[c - first], 0.0 if v < 0 else v   # a NaN stays a NaN


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

    A variance that is computed as mean(x^2) - mean(x)^2 loses digits. If it loses more than three, x is read again.
    """
    N, _, _, C = x.shape
    totals = empty((2, N, C), np.float64)
    parallel_for(partial(_add_parts, sums, totals), N)
    mean, var, means = empty_together(x.dtype, (C,), (C,), (N, C))
    parallel_for(partial(_moments_from, totals, pixels(x), mean, var, means), C, CHANNELS)
    return mean, var, means


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
def _moments_from(totals, x, mean, var, means, first, last):
    """Write mean, var (C,), means (N, C) for channels first .. last, from totals (2, N, C); see `moments_from`."""
    N, R, _ = x.shape
    centre, square, is_exact = np.zeros(last - first), np.zeros(last - first), True
    for n in range(N):
        for c in range(first, last):
            centre[c - first] += totals[0, n, c]
            square[c - first] += totals[1, n, c]
            means[n, c] = totals[0, n, c] / R
    for c in range(first, last):
        total, squares = centre[c - first] / (N * R), square[c - first] / (N * R)
        v = squares - total**2
        mean[c], var[c] = total, v
        is_exact = is_exact and squares < 1000 * v
    if not is_exact:
        _two_pass_moments(x, centre, square, mean, var, means, first, last)


@kernel
def _two_pass_moments(x, centre, square, mean, var, means, first, last):
    """Write what `_moments_from` writes, from x (N, R, C) alone; centre, square (last - first,) are scratch."""
    N, R, _ = x.shape
    centre[:] = 0
    for n in range(N):
        square[:] = 0
        for r in range(R):
            for c in range(first, last):
                square[c - first] += x[n, r, c]
        for c in range(first, last):
            centre[c - first] += square[c - first] / (N * R)
            means[n, c] = square[c - first] / R
    square[:] = 0
    for n in range(N):
        for r in range(R):
            for c in range(first, last):
                square[c - first] += (x[n, r, c] - centre[c - first]) ** 2
    for c in range(first, last):
        mean[c], var[c] = centre[c - first], square[c - first] / (N * R)


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
    both = sums(mask, dy, x, x, gamma, beta, mean, var, eps)
    dgamma, dbeta = empty_together(x.dtype, (C,), (C,))
    parallel_for(partial(_add_images, *both, dgamma, dbeta), C, C)
    one, zero = np.ones((N, C), x.dtype), np.zeros((N, C), x.dtype)
    dx, _ = input_gradient(mask, dy, x, x, gamma, beta, mean, var, eps, one, zero, dgamma, dbeta)
    return dx, dgamma, dbeta


@kernel
def _add_images(dgammas, dbetas, dgamma, dbeta, first, last):
    """Add up images: dgammas, dbetas (N, C) -> dgamma, dbeta (C,), for channels first .. last."""
    total = np.zeros((2, last - first))
    for n in range(len(dgammas)):
        for c in range(first, last):
            total[0, c - first] += dgammas[n, c]
            total[1, c - first] += dbetas[n, c]
    for c in range(first, last):
        dgamma[c], dbeta[c] = total[0, c - first], total[1, c - first]


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
