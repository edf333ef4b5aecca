"""SimAM with vector registers. Each map is read several times while it is in cache.

Letters: u, dy, y, du (N, R, C) maps as lists of R = H*W pixels; width = lanes * vectors, in channels. Scratch arrays
(N, C): centers, the means, and factors in the dtype of u; sums and squares in float64, zero at first.

    s = 1 / (1 + exp(d^2 * factor - 1/2))        factor = -1/q = -1 / (4 (v + lam))
"""

import functools

from npse.cpu.runtime.jit import kernel
from npse.cpu.simd import channel_sums
from npse.cpu.simd.channel_sums import CHUNK
from npse.cpu.simd.tile import exp_of_negative, fma, load, store, zeros


@kernel
def _gate(d, factor):
    """Return s of a tile of distances from the mean."""
    return 1 / (exp_of_negative(d * d * factor - 0.5) + 1)


@functools.cache
def simam(vectors):
    """Make the kernel that computes y = u * s."""
    statistics = channel_sums.statistics(vectors)

    @kernel
    def simam(width, u, lam, y, sums, squares, centers, factors, first, last):
        _, R, C = u.shape
        for n in range(first, last):
            statistics(width, u, sums, centers, squares, n, n + 1)
            for c in range(C):
                factors[n, c] = -0.25 / (squares[n, c] / max(R - 1, 1) + lam)
            for c in range(0, C, width):
                center, factor = load(centers, n * C + c, 0, 1, vectors), load(factors, n * C + c, 0, 1, vectors)
                for at in range(n * R * C + c, (n + 1) * R * C + c, C):
                    values = load(u, at, 0, 1, vectors)
                    store(values * _gate(values - center, factor), y, at, 0)
    return simam


@functools.cache
def simam_backward(vectors):
    """Make the kernel that computes du. With de = dy * u * s * (1 - s) and sums over the R pixels of a map

        du = dy * s + 2 d (de/q + slope) - mean        slope = -4/(R - 1) * sum of de * d^2/q^2
                                                       mean = 2/R * sum of de * d/q

    because the sum of d is 0. With factor = -1/q the signs of 1/q change. Between the two passes the gates s are in du.
    """
    statistics = channel_sums.statistics(vectors)

    @kernel
    def simam_backward(width, dy, u, lam, du, sums, squares, centers, factors, first, last):
        _, R, C = u.shape
        of_mean, of_slope = u.dtype.type(2 / R), u.dtype.type(-4 / max(R - 1, 1))
        for n in range(first, last):
            statistics(width, u, sums, centers, squares, n, n + 1)
            for c in range(C):
                factors[n, c] = -0.25 / (squares[n, c] / max(R - 1, 1) + lam)
            for c in range(0, C, width):
                center, factor = load(centers, n * C + c, 0, 1, vectors), load(factors, n * C + c, 0, 1, vectors)
                first_moment, second_moment = zeros(u, 1, vectors), zeros(u, 1, vectors)
                for begin in range(0, R, CHUNK):
                    once, twice = zeros(u, 1, vectors), zeros(u, 1, vectors)
                    for r in range(begin, min(begin + CHUNK, R)):
                        at = (n * R + r) * C + c
                        values = load(u, at, 0, 1, vectors)
                        d = values - center
                        s = _gate(d, factor)
                        store(s, du, at, 0)
                        term = load(dy, at, 0, 1, vectors) * values * (s * (1 - s)) * d
                        once, twice = once + term, fma(term, d, twice)
                    first_moment, second_moment = first_moment + once, second_moment + twice
                mean, slope = first_moment * factor * of_mean, second_moment * (factor * factor) * of_slope
                for at in range(n * R * C + c, (n + 1) * R * C + c, C):
                    g, values, s = load(dy, at, 0, 1, vectors), load(u, at, 0, 1, vectors), load(du, at, 0, 1, vectors)
                    inner = slope - g * values * (s * (1 - s)) * factor
                    store(fma(inner, (values - center) * 2, fma(g, s, mean)), du, at, 0)
    return simam_backward
