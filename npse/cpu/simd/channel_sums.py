"""Sums over the pixels of each channel, with vector registers: the fast kernels of batch norm, squeeze and scale.

A vector holds neighbouring channels of one pixel. Up to CHUNK pixels are summed in registers, in the dtype of the map;
each of these sums is added to the sum of the map in float64. If the channels of a map are not a whole number of
vectors, the plain loops in the files of the ops sum it.

Letters: x, dy, y (N, R, C) maps as lists of R = H*W pixels; mean, inv_std, gamma_inv_std, beta (C,); sums (N, C) in
float64, zero at first; fold (width,) scratch. A name with _v is the vector of an array's elements from channel c on.
"""

import functools

import numpy as np

from npse.cpu.runtime.jit import kernel
from npse.cpu.simd.tile import fma, lanes, load, relu, store, where_positive, zeros

CHUNK = 64


def vectors(x):
    """Return how many vectors of the channels of x (..., C) a kernel loads at a time: 4, 2 or 1; 0 without vectors."""
    lane = lanes(x.dtype)
    return 0 if not lane else next((v for v in (4, 2, 1) if x.shape[-1] % (v * lane) == 0), 0)


def in_vectors(x, kernel_for, *options):
    """Return kernel_for(vectors, *options) with the width in channels as first argument; None without vectors."""
    v = vectors(x)
    if not v:
        return None
    return functools.partial(kernel_for(v, *options), v * lanes(x.dtype))


@kernel
def add_to_sums(chunk_sum, fold, sums, n, c, width):
    """Add the vectors of chunk sums to sums[n, c : c + width] (N, C), in float64; fold (width,) is scratch."""
    store(chunk_sum, fold, 0, 0)
    for i in range(width):
        sums[n, c + i] += fold[i]


@functools.cache
def statistics(vectors):
    """Make the kernel that computes the channel sums of each map, centres near the means, and sums of (x - centre)^2.

    sums, squares (N, C) in float64; centres (N, C) in the dtype of x.
    """
    @kernel
    def statistics(width, x, sums, centres, squares, first, last):
        _, R, C = x.shape
        fold = np.empty(width, x.dtype)
        for n in range(first, last):
            for c in range(0, C, width):
                for begin in range(0, R, CHUNK):
                    chunk_sum = zeros(x, 1, vectors)
                    for r in range(begin, min(begin + CHUNK, R)):
                        chunk_sum = chunk_sum + load(x, (n * R + r) * C + c, 0, 1, vectors)
                    add_to_sums(chunk_sum, fold, sums, n, c, width)
                for i in range(width):
                    centres[n, c + i] = sums[n, c + i] / R
            for c in range(0, C, width):
                centre_v = load(centres, n * C + c, 0, 1, vectors)
                for begin in range(0, R, CHUNK):
                    chunk_sum = zeros(x, 1, vectors)
                    for r in range(begin, min(begin + CHUNK, R)):
                        d = load(x, (n * R + r) * C + c, 0, 1, vectors) - centre_v
                        chunk_sum = fma(d, d, chunk_sum)
                    add_to_sums(chunk_sum, fold, squares, n, c, width)
    return statistics


@functools.cache
def image_sums(vectors):
    """Make the kernel that computes the channel sums of each map: x (N, R, C) -> sums (N, C)."""
    @kernel
    def image_sums(width, x, sums, first, last):
        _, R, C = x.shape
        fold = np.empty(width, x.dtype)
        for n in range(first, last):
            for c in range(0, C, width):
                for begin in range(0, R, CHUNK):
                    chunk_sum = zeros(x, 1, vectors)
                    for r in range(begin, min(begin + CHUNK, R)):
                        chunk_sum = chunk_sum + load(x, (n * R + r) * C + c, 0, 1, vectors)
                    add_to_sums(chunk_sum, fold, sums, n, c, width)
    return image_sums


NO_MASK, MASK_BY_X, MASK_BY_Y = 0, 1, 2       # the mask of a ReLU that followed: none, computed from x, or y > 0


@functools.cache
def norm_sums(vectors, mask):
    """Make the kernel that computes dbetas, the sums of g, and dgammas, the sums of g * xhat: (N, R, C) -> (N, C) each.

    g is dy where the mask of the ReLU is on, else zero; xhat = (x - mean) * inv_std.
    """
    @kernel
    def norm_sums(width, dy, x, y, mean, inv_std, gamma_inv_std, beta, dgammas, dbetas, first, last):
        _, R, C = x.shape
        fold = np.empty(width, x.dtype)
        for n in range(first, last):
            for c in range(0, C, width):
                mean_v, inv_std_v = load(mean, c, 0, 1, vectors), load(inv_std, c, 0, 1, vectors)
                gamma_inv_std_v, beta_v = load(gamma_inv_std, c, 0, 1, vectors), load(beta, c, 0, 1, vectors)
                for begin in range(0, R, CHUNK):
                    dbeta, dgamma = zeros(x, 1, vectors), zeros(x, 1, vectors)
                    for r in range(begin, min(begin + CHUNK, R)):
                        at = (n * R + r) * C + c
                        g, centered = load(dy, at, 0, 1, vectors), load(x, at, 0, 1, vectors) - mean_v
                        if mask == MASK_BY_X:
                            g = where_positive(g, centered * gamma_inv_std_v + beta_v)
                        if mask == MASK_BY_Y:
                            g = where_positive(g, load(y, at, 0, 1, vectors))
                        dbeta = dbeta + g
                        dgamma = fma(g, centered * inv_std_v, dgamma)
                    add_to_sums(dbeta, fold, dbetas, n, c, width)
                    add_to_sums(dgamma, fold, dgammas, n, c, width)
    return norm_sums


@functools.cache
def norm_input_gradient(vectors, mask):
    """Make the kernel that computes dx = scale * g + offset - (x - mean) * centered_coef, with g as in `norm_sums`.

    scale, offset (N, C); centered_coef (C,); dx, dr (N, R, C).

    With MASK_BY_Y a shortcut was added before the ReLU. Then g is also the gradient of the shortcut, and is written to
    dr.
    """
    @kernel
    def norm_input_gradient(width, dy, x, y, mean, gamma_inv_std, beta, scale, offset, centered_coef, dx, dr,
                            first, last):
        _, R, C = x.shape
        for n in range(first, last):
            for c in range(0, C, width):
                mean_v, centered_coef_v = load(mean, c, 0, 1, vectors), load(centered_coef, c, 0, 1, vectors)
                gamma_inv_std_v, beta_v = load(gamma_inv_std, c, 0, 1, vectors), load(beta, c, 0, 1, vectors)
                scale_v, offset_v = load(scale, n * C + c, 0, 1, vectors), load(offset, n * C + c, 0, 1, vectors)
                for r in range(R):
                    at = (n * R + r) * C + c
                    g, centered = load(dy, at, 0, 1, vectors), load(x, at, 0, 1, vectors) - mean_v
                    if mask == MASK_BY_X:
                        g = where_positive(g, centered * gamma_inv_std_v + beta_v)
                    if mask == MASK_BY_Y:
                        g = where_positive(g, load(y, at, 0, 1, vectors))
                        store(g, dr, at, 0)
                    store(fma(g, scale_v, offset_v) - centered * centered_coef_v, dx, at, 0)
    return norm_input_gradient


@kernel
def gated(s, slope, beta, scale, offset, first, last):
    """Write scale = slope * s and offset = beta * s (N, C) for `join`, from slope and beta (C,) and gates s (N, C)."""
    for n in range(first, last):
        for c in range(s.shape[1]):
            scale[n, c], offset[n, c] = slope[c] * s[n, c], beta[c] * s[n, c]


@functools.cache
def join(vectors):
    """Make the kernel that computes y = relu((x - mean) * scale + offset + r): scale, offset (N, C); r, y (N, R, C)."""
    @kernel
    def join(width, x, mean, scale, offset, r, y, first, last):
        _, R, C = x.shape
        for n in range(first, last):
            for c in range(0, C, width):
                mean_v = load(mean, c, 0, 1, vectors)
                scale_v, offset_v = load(scale, n * C + c, 0, 1, vectors), load(offset, n * C + c, 0, 1, vectors)
                for at in range(n * R * C + c, (n + 1) * R * C + c, C):
                    u = fma(load(x, at, 0, 1, vectors) - mean_v, scale_v, offset_v)
                    store(relu(u + load(r, at, 0, 1, vectors)), y, at, 0)
    return join


@functools.cache
def scale_add_relu_gradients(vectors):
    """Make the kernel that computes dx = dy where y > 0, else 0; du = dx * s; and ds, the sums of dx * u.

    dx, du (N, R, C); ds (N, C).
    """
    @kernel
    def scale_add_relu_gradients(width, dy, u, s, y, du, dx, ds, first, last):
        _, R, C = u.shape
        fold = np.empty(width, u.dtype)
        for n in range(first, last):
            for c in range(0, C, width):
                s_v = load(s, n * C + c, 0, 1, vectors)
                for begin in range(0, R, CHUNK):
                    chunk_sum = zeros(u, 1, vectors)
                    for r in range(begin, min(begin + CHUNK, R)):
                        at = (n * R + r) * C + c
                        g = where_positive(load(dy, at, 0, 1, vectors), load(y, at, 0, 1, vectors))
                        store(g, dx, at, 0)
                        store(g * s_v, du, at, 0)
                        chunk_sum = fma(g, load(u, at, 0, 1, vectors), chunk_sum)
                    add_to_sums(chunk_sum, fold, ds, n, c, width)
    return scale_add_relu_gradients
