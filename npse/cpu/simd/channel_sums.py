"""What is summed over the pixels of each channel, in vectors: the fast rung of batch norm, squeeze and scale.

A vector holds neighbouring channels of one pixel. Up to CHUNK pixels are summed in the dtype itself, in registers;
these sums join the sum of the map in float64. The plain loops, in the files of the ops, take what fills no vector.

Letters: x, dy, y (N, R, C) maps as lists of pixels; sums (N, C) in float64, zero at first; fold (C,) scratch.
"""

import functools

import numpy as np

from npse.cpu.runtime.jit import kernel
from npse.cpu.simd.tile import fma, lanes, load, relu, store, where_positive, zeros

CHUNK = 64


def vectors(x):
    """How many vectors at a time a kernel takes of the channels of x: 4, 2 or 1, or 0 where they fill none."""
    lane = lanes(x.dtype)
    return 0 if not lane else next((v for v in (4, 2, 1) if x.shape[-1] % (v * lane) == 0), 0)


def in_vectors(x, kernel_for, *options):
    """Return the kernel made for the channels of x, its width filled in; None where they fill no vector."""
    v = vectors(x)
    if not v:
        return None
    return functools.partial(kernel_for(v, *options), v * lanes(x.dtype))


@kernel
def _join(fold, sums, n, c, width):
    for i in range(width):
        sums[n, c + i] += fold[i]


@functools.cache
def statistics(vectors):
    """Make the kernel of each map's channel sums, a centre near their mean, and the squares about that centre."""
    @kernel
    def statistics(width, x, sums, centres, squares, first, last):
        _, R, C = x.shape
        fold = np.empty(width, x.dtype)
        for n in range(first, last):
            for c in range(0, C, width):
                for begin in range(0, R, CHUNK):
                    total = zeros(x, 1, vectors)
                    for r in range(begin, min(begin + CHUNK, R)):
                        total = total + load(x, (n * R + r) * C + c, 0, 1, vectors)
                    store(total, fold, 0, 0)
                    _join(fold, sums, n, c, width)
                for i in range(width):
                    centres[n, c + i] = sums[n, c + i] / R
            for c in range(0, C, width):
                centre = load(centres, n * C + c, 0, 1, vectors)
                for begin in range(0, R, CHUNK):
                    total = zeros(x, 1, vectors)
                    for r in range(begin, min(begin + CHUNK, R)):
                        d = load(x, (n * R + r) * C + c, 0, 1, vectors) - centre
                        total = fma(d, d, total)
                    store(total, fold, 0, 0)
                    _join(fold, squares, n, c, width)
    return statistics


@functools.cache
def image_sums(vectors):
    """Make the kernel of each map's channel sums."""
    @kernel
    def image_sums(width, x, sums, first, last):
        _, R, C = x.shape
        fold = np.empty(width, x.dtype)
        for n in range(first, last):
            for c in range(0, C, width):
                for begin in range(0, R, CHUNK):
                    total = zeros(x, 1, vectors)
                    for r in range(begin, min(begin + CHUNK, R)):
                        total = total + load(x, (n * R + r) * C + c, 0, 1, vectors)
                    store(total, fold, 0, 0)
                    _join(fold, sums, n, c, width)
    return image_sums


NO_MASK, MASK_BY_X, MASK_BY_Y = 0, 1, 2       # where a ReLU followed: whether its output, told by x or by y, is > 0


@functools.cache
def norm_sums(vectors, mask):
    """Make the kernel of the sums over g and over g * xhat; g is dy, behind the mask of the ReLU if there was one."""
    @kernel
    def norm_sums(width, dy, x, y, mean, inverse, slope, beta, dgammas, dbetas, first, last):
        _, R, C = x.shape
        fold = np.empty(width, x.dtype)
        for n in range(first, last):
            for c in range(0, C, width):
                centre, scale = load(mean, c, 0, 1, vectors), load(inverse, c, 0, 1, vectors)
                steep, shift = load(slope, c, 0, 1, vectors), load(beta, c, 0, 1, vectors)
                for begin in range(0, R, CHUNK):
                    dbeta, dgamma = zeros(x, 1, vectors), zeros(x, 1, vectors)
                    for r in range(begin, min(begin + CHUNK, R)):
                        at = (n * R + r) * C + c
                        g, d = load(dy, at, 0, 1, vectors), load(x, at, 0, 1, vectors) - centre
                        if mask == MASK_BY_X:
                            g = where_positive(g, d * steep + shift)
                        if mask == MASK_BY_Y:
                            g = where_positive(g, load(y, at, 0, 1, vectors))
                        dbeta = dbeta + g
                        dgamma = fma(g, d * scale, dgamma)
                    store(dbeta, fold, 0, 0)
                    _join(fold, dbetas, n, c, width)
                    store(dgamma, fold, 0, 0)
                    _join(fold, dgammas, n, c, width)
    return norm_sums


@functools.cache
def norm_input_gradient(vectors, mask):
    """Make the kernel of dx = a * g + b - (x - mean) * d with a, b (N, C) and d (C,), g as in `norm_sums`.

    Where the mask is that of y, the ReLU of a join, g is the gradient of the shortcut too, and written to dr.
    """
    @kernel
    def norm_input_gradient(width, dy, x, y, mean, slope, beta, a, b, d, dx, dr, first, last):
        _, R, C = x.shape
        for n in range(first, last):
            for c in range(0, C, width):
                centre, fall = load(mean, c, 0, 1, vectors), load(d, c, 0, 1, vectors)
                steep, shift = load(slope, c, 0, 1, vectors), load(beta, c, 0, 1, vectors)
                rise, level = load(a, n * C + c, 0, 1, vectors), load(b, n * C + c, 0, 1, vectors)
                for r in range(R):
                    at = (n * R + r) * C + c
                    g, distance = load(dy, at, 0, 1, vectors), load(x, at, 0, 1, vectors) - centre
                    if mask == MASK_BY_X:
                        g = where_positive(g, distance * steep + shift)
                    if mask == MASK_BY_Y:
                        g = where_positive(g, load(y, at, 0, 1, vectors))
                        store(g, dr, at, 0)
                    store(fma(g, rise, level) - distance * fall, dx, at, 0)
    return norm_input_gradient


@functools.cache
def join(vectors):
    """Make the kernel of y = relu((x - mean) * a + b + r) with a, b (N, C)."""
    @kernel
    def join(width, x, mean, a, b, r, y, first, last):
        _, R, C = x.shape
        for n in range(first, last):
            for c in range(0, C, width):
                centre = load(mean, c, 0, 1, vectors)
                rise, level = load(a, n * C + c, 0, 1, vectors), load(b, n * C + c, 0, 1, vectors)
                for at in range(n * R * C + c, (n + 1) * R * C + c, C):
                    u = fma(load(x, at, 0, 1, vectors) - centre, rise, level)
                    store(relu(u + load(r, at, 0, 1, vectors)), y, at, 0)
    return join


@functools.cache
def scale_add_relu_gradients(vectors):
    """Make the kernel of dx = dy where y > 0, du = dx * s, and ds, the sums of dx * u."""
    @kernel
    def scale_add_relu_gradients(width, dy, u, s, y, du, dx, ds, first, last):
        _, R, C = u.shape
        fold = np.empty(width, u.dtype)
        for n in range(first, last):
            for c in range(0, C, width):
                gate = load(s, n * C + c, 0, 1, vectors)
                for begin in range(0, R, CHUNK):
                    total = zeros(u, 1, vectors)
                    for r in range(begin, min(begin + CHUNK, R)):
                        at = (n * R + r) * C + c
                        g = where_positive(load(dy, at, 0, 1, vectors), load(y, at, 0, 1, vectors))
                        store(g, dx, at, 0)
                        store(g * gate, du, at, 0)
                        total = fma(g, load(u, at, 0, 1, vectors), total)
                    store(total, fold, 0, 0)
                    _join(fold, ds, n, c, width)
    return scale_add_relu_gradients
