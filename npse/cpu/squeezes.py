"""Squeezes other than the mean. Letters: as in the book.

Each op reads memory once. If a map is read again, it is still in cache. Each op has two kernels: plain loops, which are
here, and one with vector registers in se_kernels/squeezes.py, for maps whose channels are a whole number of vectors.
"""

from functools import partial

import numpy as np

from npse import reference as book
from npse.cpu.norm_kernels.moments import map_statistics
from npse.cpu.runtime.arrays import pixels, replaces, rounded, sum_of_images, zeros
from npse.cpu.runtime.jit import kernel
from npse.cpu.runtime.memory_pool import empty, empty_like
from npse.cpu.runtime.parallel import parallel_for
from npse.cpu.runtime.recorder import call_as_one
from npse.cpu.se import scale
from npse.cpu.se_kernels import squeezes as in_registers
from npse.cpu.se_kernels.squeezes import dot, softmax
from npse.cpu.simd.channel_sums import in_vectors


@replaces(book.deviation, recordable=True)
def deviation(u, eps=1e-5):
    _, _, squares = map_statistics(u)
    return call_as_one(_root, squares, _one_less(u), eps, u.dtype)


def _root(squares, divisor, eps, dtype):
    return np.sqrt(squares / divisor + eps).astype(dtype)


@replaces(book.deviation_backward, recordable=True)
def deviation_backward(dd, u, d):
    du = empty_like(u)
    task = in_vectors(u, in_registers.centered_gradient) or _centered_gradient
    share = call_as_one(_share, dd, d, _one_less(u))
    parallel_for(partial(task, share, pixels(u), pixels(du)), len(u))
    return du


def _share(dd, d, divisor):
    return dd / (divisor * d)


def _one_less(u):
    """Return the divisor of the unbiased variance of a map."""
    _, H, W, _ = u.shape
    return max(H * W - 1, 1)


@kernel
def _centered_gradient(share, u, du, first, last):
    _, R, C = u.shape
    sums, mean = np.empty(C), np.empty(C, u.dtype)
    for n in range(first, last):
        sums[:] = 0
        for r in range(R):
            for c in range(C):
                sums[c] += u[n, r, c]
        for c in range(C):
            mean[c] = sums[c] / R
        for r in range(R):
            for c in range(C):
                du[n, r, c] = (u[n, r, c] - mean[c]) * share[n, c]


@replaces(book.weighted_squeeze, recordable=True)
def weighted_squeeze(u, b):
    sums = zeros((len(u), u.shape[3]))
    task = in_vectors(u, in_registers.product_sums, True) or _weighted_sums
    parallel_for(partial(task, pixels(u), b.reshape(-1, b.shape[2]), sums), len(u))
    return rounded(sums, u.dtype)


@kernel
def _weighted_sums(u, b, sums, first, last):
    for n in range(first, last):
        for r in range(u.shape[1]):
            for c in range(u.shape[2]):
                sums[n, c] += u[n, r, c] * b[r, c]


@replaces(book.weighted_squeeze_backward, recordable=True)
def weighted_squeeze_backward(dz, u, b):
    du, db, weights = empty_like(u), empty_like(b), b.reshape(-1, b.shape[2])
    task = in_vectors(u, in_registers.weighted_gradients) or _weighted_gradients
    parallel_for(partial(task, dz, pixels(u), weights, pixels(du), db.reshape(weights.shape)), len(weights))
    return du, db


@kernel
def _weighted_gradients(dz, u, b, du, db, first, last):
    N, _, C = u.shape
    sums = np.zeros((last - first, C))
    for n in range(N):
        for r in range(first, last):
            for c in range(C):
                du[n, r, c] = dz[n, c] * b[r, c]
                sums[r - first, c] += dz[n, c] * u[n, r, c]
    for r in range(first, last):
        for c in range(C):
            db[r, c] = sums[r - first, c]


@replaces(book.attention_squeeze, recordable=True)
def attention_squeeze(u, k):
    N, H, W, C = u.shape
    p, sums = empty((N, H, W), u.dtype), zeros((N, C))
    task = in_vectors(u, in_registers.attention) or _attention
    parallel_for(partial(task, pixels(u), k, p.reshape(N, H * W), sums), N)
    return rounded(sums, u.dtype), p


@kernel
def _attention(u, k, p, sums, first, last):
    for n in range(first, last):
        for r in range(u.shape[1]):
            p[n, r] = dot(u[n, r], k)
        softmax(p[n])
        for r in range(u.shape[1]):
            for c in range(u.shape[2]):
                sums[n, c] += p[n, r] * u[n, r, c]


@replaces(book.attention_squeeze_backward, recordable=True)
def attention_squeeze_backward(dz, u, k, z, p):
    N, H, W, _ = u.shape
    du, dks = empty_like(u), zeros(z.shape)
    task = in_vectors(u, in_registers.attention_gradients) or _attention_gradients
    parallel_for(partial(task, dz, pixels(u), k, z, p.reshape(N, H * W), pixels(du), dks), N)
    return du, sum_of_images(dks, k.dtype)


@kernel
def _attention_gradients(dz, u, k, z, p, du, dks, first, last):
    for n in range(first, last):
        average = dot(dz[n], z[n])
        for r in range(u.shape[1]):
            da = p[n, r] * (dot(dz[n], u[n, r]) - average)
            for c in range(u.shape[2]):
                du[n, r, c] = p[n, r] * dz[n, c] + da * k[c]
                dks[n, c] += da * u[n, r, c]


@replaces(book.norm_squeeze, recordable=True)
def norm_squeeze(u, eps=1e-5):
    sums = zeros((len(u), u.shape[3]))
    task = in_vectors(u, in_registers.product_sums, False) or _product_sums
    parallel_for(partial(task, pixels(u), pixels(u), sums), len(u))
    return call_as_one(_root, sums, 1, eps, u.dtype)


@kernel
def _product_sums(u, w, sums, first, last):
    for n in range(first, last):
        for r in range(u.shape[1]):
            for c in range(u.shape[2]):
                sums[n, c] += u[n, r, c] * w[n, r, c]


@replaces(book.norm_squeeze_backward, recordable=True)
def norm_squeeze_backward(dz, u, z):
    return scale(u, call_as_one(np.divide, dz, z))
