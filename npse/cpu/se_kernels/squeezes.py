"""The kernels of the squeezes with vector registers: for maps whose channels are a whole number of vectors.

As in npse/cpu/simd/channel_sums.py, up to CHUNK terms are added in the dtype of the maps. Each of these sums is added
to the sum of all in float64. A name with _v is the vector of an array's elements from channel c on. In loops over
pixels ``groups`` is counted once, because a range with a step divides.

Letters: u, du (N, R, C) maps as lists of R = H*W pixels; z, dz, share (N, C); b (R, C); k (C,); p (N, R).
"""

import functools
import math

import numpy as np

from npse.cpu.runtime.jit import kernel
from npse.cpu.simd.channel_sums import CHUNK, add_to_sums
from npse.cpu.simd.tile import exp_of_negative, fma, larger, load, max_lanes, store, sum_lanes, zeros


@functools.cache
def product_sums(vectors, shared):
    """Make the kernel that computes sums (N, C) of u * w over the pixels. w is (R, C) if ``shared``, else like u."""
    @kernel
    def product_sums(width, u, w, sums, first, last):
        _, R, C = u.shape
        fold = np.empty(width, u.dtype)
        for n in range(first, last):
            start = 0 if shared else n * R
            for c in range(0, C, width):
                for begin in range(0, R, CHUNK):
                    chunk_sum = zeros(u, 1, vectors)
                    for r in range(begin, min(begin + CHUNK, R)):
                        u_v = load(u, (n * R + r) * C + c, 0, 1, vectors)
                        chunk_sum = fma(u_v, load(w, (start + r) * C + c, 0, 1, vectors), chunk_sum)
                    add_to_sums(chunk_sum, fold, sums, n, c, width)
    return product_sums


@functools.cache
def centered_gradient(vectors):
    """Make the kernel that computes du = share * (u - mean of the map)."""
    @kernel
    def centered_gradient(width, share, u, du, first, last):
        _, R, C = u.shape
        fold, sums = np.empty(width, u.dtype), np.empty((1, width))
        for n in range(first, last):
            for c in range(0, C, width):
                sums[:] = 0
                for begin in range(0, R, CHUNK):
                    chunk_sum = zeros(u, 1, vectors)
                    for r in range(begin, min(begin + CHUNK, R)):
                        chunk_sum = chunk_sum + load(u, (n * R + r) * C + c, 0, 1, vectors)
                    add_to_sums(chunk_sum, fold, sums, 0, 0, width)
                for i in range(width):
                    fold[i] = sums[0, i] / R
                mean_v, share_v = load(fold, 0, 0, 1, vectors), load(share, n * C + c, 0, 1, vectors)
                for at in range(n * R * C + c, (n + 1) * R * C + c, C):
                    store((load(u, at, 0, 1, vectors) - mean_v) * share_v, du, at, 0)
    return centered_gradient


@functools.cache
def weighted_gradients(vectors):
    """Make the kernel that computes du = dz * b, and db, the sum over the images of dz * u, for a range of pixels."""
    @kernel
    def weighted_gradients(width, dz, u, b, du, db, first, last):
        N, R, C = u.shape
        groups = C // width
        sums, chunk_sums = np.zeros((last - first) * C), np.empty((last - first) * C, u.dtype)
        for begin in range(0, N, CHUNK):
            chunk_sums[:] = 0
            for n in range(begin, min(begin + CHUNK, N)):
                for r in range(first, last):
                    for group in range(groups):
                        c = group * width
                        at, k, dz_v = (n * R + r) * C + c, (r - first) * C + c, load(dz, n * C + c, 0, 1, vectors)
                        store(dz_v * load(b, r * C + c, 0, 1, vectors), du, at, 0)
                        store(fma(dz_v, load(u, at, 0, 1, vectors), load(chunk_sums, k, 0, 1, vectors)), chunk_sums,
                              k, 0)
            for k in range(len(sums)):
                sums[k] += chunk_sums[k]
        for k in range(len(sums)):
            db[first + k // C, k % C] = sums[k]
    return weighted_gradients


@functools.cache
def attention(vectors):
    """Make the kernel that computes p, the softmax of u . k over the pixels, and sums (N, C), those of p * u."""
    @kernel
    def attention(width, u, k, p, sums, first, last):
        _, R, C = u.shape
        groups, fold = C // width, np.empty(width, u.dtype)
        for n in range(first, last):
            for r in range(R):
                products = zeros(u, 1, vectors)
                for group in range(groups):
                    c = group * width
                    u_v = load(u, (n * R + r) * C + c, 0, 1, vectors)
                    products = fma(u_v, load(k, c, 0, 1, vectors), products)
                p[n, r] = sum_lanes(products)
            _softmax(width // vectors, p, n)
            for c in range(0, C, width):
                for begin in range(0, R, CHUNK):
                    chunk_sum = zeros(u, 1, vectors)
                    for r in range(begin, min(begin + CHUNK, R)):
                        chunk_sum = fma(p[n, r], load(u, (n * R + r) * C + c, 0, 1, vectors), chunk_sum)
                    add_to_sums(chunk_sum, fold, sums, n, c, width)
    return attention


@functools.cache
def attention_gradients(vectors):
    """Make the kernel that computes du = p * dz + da * k and dks (N, C), the sums of da * u over the pixels.

    da = p * (dz . u - dz . z).
    """
    @kernel
    def attention_gradients(width, dz, u, k, z, p, du, dks, first, last):
        _, R, C = u.shape
        groups, chunk_sums = C // width, np.empty(C, u.dtype)
        for n in range(first, last):
            average = dot(dz[n], z[n])
            for begin in range(0, R, CHUNK):
                chunk_sums[:] = 0
                for r in range(begin, min(begin + CHUNK, R)):
                    start, products = (n * R + r) * C, zeros(u, 1, vectors)
                    for group in range(groups):
                        c = group * width
                        dz_v = load(dz, n * C + c, 0, 1, vectors)
                        products = fma(dz_v, load(u, start + c, 0, 1, vectors), products)
                    da = p[n, r] * (sum_lanes(products) - average)
                    for group in range(groups):
                        c = group * width
                        direct = p[n, r] * load(dz, n * C + c, 0, 1, vectors)
                        u_v, dk_v = load(u, start + c, 0, 1, vectors), load(chunk_sums, c, 0, 1, vectors)
                        store(fma(da, load(k, c, 0, 1, vectors), direct), du, start + c, 0)
                        store(fma(da, u_v, dk_v), chunk_sums, c, 0)
                for c in range(C):
                    dks[n, c] += chunk_sums[c]
    return attention_gradients


@kernel
def dot(a, b):
    """Return the sum of a * b over vectors (C,), added in float64, in their dtype."""
    total = 0.0
    for c in range(len(a)):
        total += a[c] * b[c]
    return a.dtype.type(total)


@kernel
def _softmax(lane, p, n):
    """Replace the scores p[n] by their softmax; ``lane`` is the number of elements of a vector."""
    R = p.shape[1]
    start, groups, highest, total = n * R, R // lane, p[n, 0], 0.0
    rest = range(groups * lane, R)
    if groups > 0:
        most = load(p, start, 0, 1, 1)
        for group in range(1, groups):
            most = larger(most, load(p, start + group * lane, 0, 1, 1))
        highest = max_lanes(most)
    for r in rest:
        highest = max(highest, p[n, r])
    for begin in range(0, groups, CHUNK):
        chunk_sum = zeros(p, 1, 1)
        for group in range(begin, min(begin + CHUNK, groups)):
            e = exp_of_negative(load(p, start + group * lane, 0, 1, 1) - highest)
            store(e, p, start + group * lane, 0)
            chunk_sum = chunk_sum + e
        total += sum_lanes(chunk_sum)
    for r in rest:
        p[n, r] = math.exp(p[n, r] - highest)
        total += p[n, r]
    share = p.dtype.type(1 / total)
    for r in range(R):
        p[n, r] *= share


@kernel
def softmax(a):
    """Replace the scores a (R,) by their softmax."""
    highest, total = a[0], 0.0
    for r in range(len(a)):
        highest = max(highest, a[r])
    for r in range(len(a)):
        a[r] = math.exp(a[r] - highest)
        total += a[r]
    share = a.dtype.type(1 / total)
    for r in range(len(a)):
        a[r] *= share
