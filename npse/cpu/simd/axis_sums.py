"""Sums over the rows and over the columns of a map in one pass, with vector registers: coordinate attention.

A vector holds neighbouring channels of one pixel. The sum over a row stays in registers. The sums over the columns are
in ``below`` (W, width), which stays in the first-level cache. Both add up to CHUNK numbers in the dtype of the map, and
then these sums.

Letters: u, dy, du (N, H, W, C); zh, sh, dsh (N, H, C); zw, sw, dsw (N, W, C); width = lanes * vectors, in channels.
"""

import functools

import numpy as np

from npse.cpu.runtime.jit import kernel
from npse.cpu.simd.channel_sums import CHUNK
from npse.cpu.simd.tile import fma, load, store, zeros


@functools.cache
def axis_means(vectors):
    """Make the kernel that computes zh and zw, the means of the rows and of the columns of u; zw is zero at first."""
    @kernel
    def axis_means(width, u, zh, zw, first, last):
        _, H, W, C = u.shape
        share_of_row, share_of_column = u.dtype.type(1 / W), u.dtype.type(1 / H)
        below, groups = np.empty((W, width), u.dtype), C // width
        for n in range(first, last):
            for k in range(groups):
                c = k * width
                for i in range(H):
                    row_sum = zeros(u, 1, vectors)
                    if i % CHUNK == 0:
                        below[:] = 0
                    for left in range(0, W, CHUNK):
                        chunk_sum = zeros(u, 1, vectors)
                        for j in range(left, min(left + CHUNK, W)):
                            values = load(u, ((n * H + i) * W + j) * C + c, 0, 1, vectors)
                            chunk_sum = chunk_sum + values
                            store(load(below, j * width, 0, 1, vectors) + values, below, j * width, 0)
                        row_sum = row_sum + chunk_sum
                    store(row_sum * share_of_row, zh, (n * H + i) * C + c, 0)
                    if i % CHUNK == CHUNK - 1 or i == H - 1:
                        for j in range(W):
                            at, values = (n * W + j) * C + c, load(below, j * width, 0, 1, vectors)
                            store(fma(values, share_of_column, load(zw, at, 0, 1, vectors)), zw, at, 0)
    return axis_means


@functools.cache
def scale_axes_backward(vectors):
    """Make the kernel that computes du = dy * sh * sw, and dsh and dsw, sums of dy * u; dsw is zero at first."""
    @kernel
    def scale_axes_backward(width, dy, u, sh, sw, du, dsh, dsw, first, last):
        _, H, W, C = u.shape
        below, groups = np.empty((W, width), u.dtype), C // width
        for n in range(first, last):
            for k in range(groups):
                c = k * width
                for i in range(H):
                    row_sum, gate = zeros(u, 1, vectors), load(sh, (n * H + i) * C + c, 0, 1, vectors)
                    if i % CHUNK == 0:
                        below[:] = 0
                    for left in range(0, W, CHUNK):
                        chunk_sum = zeros(u, 1, vectors)
                        for j in range(left, min(left + CHUNK, W)):
                            at = ((n * H + i) * W + j) * C + c
                            g, other = load(dy, at, 0, 1, vectors), load(sw, (n * W + j) * C + c, 0, 1, vectors)
                            product = g * load(u, at, 0, 1, vectors)
                            store(g * (gate * other), du, at, 0)
                            chunk_sum = fma(product, other, chunk_sum)
                            store(fma(product, gate, load(below, j * width, 0, 1, vectors)), below, j * width, 0)
                        row_sum = row_sum + chunk_sum
                    store(row_sum, dsh, (n * H + i) * C + c, 0)
                    if i % CHUNK == CHUNK - 1 or i == H - 1:
                        for j in range(W):
                            at = (n * W + j) * C + c
                            store(load(dsw, at, 0, 1, vectors) + load(below, j * width, 0, 1, vectors), dsw, at, 0)
    return scale_axes_backward
