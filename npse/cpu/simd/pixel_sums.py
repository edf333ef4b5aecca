"""Sums and maxima over the channels of each pixel, with vector registers: the fast kernels of gates that differ between
pixels.

A vector holds neighbouring channels of one pixel. The vectors of a pixel are added in registers, in the dtype of the
map; then the lanes of the sum are added in pairs. ``groups`` is counted once, because a range with a step divides.

Letters: u, dy, du (N, R, C) maps as lists of R = H*W pixels; s, ds, db (N, R); width = lanes * vectors, in channels.
"""

import functools

from npse.cpu.runtime.jit import kernel
from npse.cpu.simd import channel_sums
from npse.cpu.simd.tile import first_equal, fma, larger, load, max_lanes, store, sum_lanes, zeros


@functools.cache
def scale_pixels_backward(vectors):
    """Make the kernel that computes du = dy * s, and ds, the sums of dy * u over the channels."""
    @kernel
    def scale_pixels_backward(width, dy, u, s, du, ds, first, last):
        _, R, C = u.shape
        groups = C // width
        for n in range(first, last):
            for r in range(R):
                gate, total = s[n, r], zeros(u, 1, vectors)
                for k in range(groups):
                    at = (n * R + r) * C + k * width
                    g = load(dy, at, 0, 1, vectors)
                    store(g * gate, du, at, 0)
                    total = fma(g, load(u, at, 0, 1, vectors), total)
                ds[n, r] = sum_lanes(total)
    return scale_pixels_backward


@functools.cache
def outer_sum_backward(vectors):
    """Make the kernel that computes da (N, C), in float64 and zero at first, and db: the sums of dy."""
    image_sums = channel_sums.image_sums(vectors)

    @kernel
    def outer_sum_backward(width, dy, da, db, first, last):
        _, R, C = dy.shape
        groups = C // width
        for n in range(first, last):
            image_sums(width, dy, da, n, n + 1)
            for r in range(R):                         # the map is in cache now
                total = zeros(dy, 1, vectors)
                for k in range(groups):
                    at = (n * R + r) * C + k * width
                    total = total + load(dy, at, 0, 1, vectors)
                db[n, r] = sum_lanes(total)
    return outer_sum_backward


@functools.cache
def channel_pool(vectors):
    """Make the kernel that computes y (N, R, 2): the maximum and the mean of the channels of u."""
    @kernel
    def channel_pool(width, u, y, first, last):
        _, R, C = u.shape
        groups = C // width
        for n in range(first, last):
            for r in range(R):
                begin = (n * R + r) * C
                most, total = load(u, begin, 0, 1, vectors), zeros(u, 1, vectors)
                for k in range(groups):
                    values = load(u, begin + k * width, 0, 1, vectors)
                    most, total = larger(most, values), total + values
                y[n, r, 0] = max_lanes(most)
                y[n, r, 1] = sum_lanes(total) / u.dtype.type(C)
    return channel_pool


@functools.cache
def channel_pool_backward(vectors):
    """Make the kernel that computes du = dy[..., 1] / C, and dy[..., 0] more for the first maximum: dy (N, R, 2)."""
    @kernel
    def channel_pool_backward(width, dy, u, du, first, last):
        _, R, C = u.shape
        groups = C // width
        for n in range(first, last):
            for r in range(R):
                begin, share = (n * R + r) * C, dy[n, r, 1] / u.dtype.type(C)
                most, shares = load(u, begin, 0, 1, vectors), zeros(u, 1, vectors) + share
                for k in range(groups):
                    most = larger(most, load(u, begin + k * width, 0, 1, vectors))
                    store(shares, du, begin + k * width, 0)
                highest, winner, place = max_lanes(most), 64, 0
                while winner == 64:                    # no channel of the vectors before had the maximum
                    winner = first_equal(load(u, begin + place, 0, 1, vectors), highest)
                    place += width
                du[n, r, place - width + winner] = share + dy[n, r, 0]
    return channel_pool_backward
