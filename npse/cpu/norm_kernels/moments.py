"""Means and variances over the batch, from maps or from sums over their parts. Letters: as in the book.

The vectors of the kernels hold channels. If a map has fewer, some neighbouring pixels make one vector (`beside`): the
kernels see a map with fewer pixels and more channels, and what they return for these is joined.
"""

from functools import partial

import numpy as np

from npse.cpu.runtime.arrays import pixels, zeros
from npse.cpu.runtime.jit import kernel
from npse.cpu.runtime.memory_pool import empty, empty_together
from npse.cpu.runtime.parallel import parallel_for
from npse.cpu.simd import channel_sums
from npse.cpu.simd.tile import lanes

CHANNELS = 16         # a range of channels that one thread adds up: a cache line of float32


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
