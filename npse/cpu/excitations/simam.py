"""SimAM: each map is read several times while it is in cache, and from memory once. Letters: as in the book.

The kernels with vector registers are in simd/simam.py; the plain loops here are for other numbers of channels.
"""

import math
from functools import partial

import numpy as np

from npse import reference as book
from npse.cpu.runtime.arrays import pixels, replaces, zeros
from npse.cpu.runtime.jit import kernel
from npse.cpu.runtime.memory_pool import empty_like
from npse.cpu.runtime.parallel import parallel_for
from npse.cpu.simd import simam as in_registers
from npse.cpu.simd.channel_sums import in_vectors


@replaces(book.simam, recordable=True)
def simam(u, lam=1e-4):
    y, shape = empty_like(u), (u.shape[0], u.shape[3])
    maps, sums = (pixels(u), float(lam), pixels(y)), zeros((2, *shape))
    if fast := in_vectors(u, in_registers.simam):
        task = partial(fast, *maps, *sums, *np.empty((2, *shape), u.dtype))
    else:
        task = partial(_simam, *maps, *sums)
    parallel_for(task, len(u))
    return y


@kernel
def _simam(u, lam, y, sums, squares, first, last):
    _, R, C = u.shape
    for n in range(first, last):
        _statistics(u, n, sums, squares)
        for r in range(R):
            for c in range(C):
                d, q = u[n, r, c] - sums[n, c] / R, 4 * (squares[n, c] / max(R - 1, 1) + lam)
                y[n, r, c] = u[n, r, c] / (1 + math.exp(-d * d / q - 0.5))


@replaces(book.simam_backward, recordable=True)
def simam_backward(dy, u, lam=1e-4):
    du, shape = empty_like(u), (u.shape[0], u.shape[3])
    maps = pixels(dy), pixels(u), float(lam), pixels(du)
    if fast := in_vectors(u, in_registers.simam_backward):
        task = partial(fast, *maps, *zeros((2, *shape)), *np.empty((2, *shape), u.dtype))
    else:
        task = partial(_simam_backward, *maps, *zeros((4, *shape)))
    parallel_for(task, len(u))
    return du


@kernel
def _simam_backward(dy, u, lam, du, sums, squares, first_moments, second_moments, first, last):
    """Write du = dy * s + 2 d (de/q + k) - 2/R * sum of de * d/q, with k = -4/(R - 1) * sum of de * d^2/q^2."""
    _, R, C = u.shape
    for n in range(first, last):
        _statistics(u, n, sums, squares)
        for moments in (True, False):                  # the first time for the sums, then for du
            for r in range(R):
                for c in range(C):
                    d, q = u[n, r, c] - sums[n, c] / R, 4 * (squares[n, c] / max(R - 1, 1) + lam)
                    s = 1 / (1 + math.exp(-d * d / q - 0.5))
                    de = dy[n, r, c] * u[n, r, c] * s * (1 - s)
                    if moments:
                        first_moments[n, c] += de * d
                        second_moments[n, c] += de * d * d
                    else:
                        k = -4 / max(R - 1, 1) * second_moments[n, c] / (q * q)
                        du[n, r, c] = dy[n, r, c] * s + 2 * d * (de / q + k) - 2 / R * first_moments[n, c] / q


@kernel
def _statistics(u, n, sums, squares):
    """Add the sums over map n, and the sums of squares about the mean, to sums[n] and squares[n], which are zero."""
    _, R, C = u.shape
    for r in range(R):
        for c in range(C):
            sums[n, c] += u[n, r, c]
    for r in range(R):
        for c in range(C):
            squares[n, c] += (u[n, r, c] - sums[n, c] / R) ** 2
