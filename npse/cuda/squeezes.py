"""Squeezes other than the mean, on the device. Letters: as in the book.

A block sums up to 64 channels of a map, as in the squeeze of se.py. The attention is in se_kernels/attention.py.
"""

import numpy as np
from numba import cuda

from npse import reference as book
from npse.cuda.runtime.arrays import area, flat, replaces
from npse.cuda.runtime.block_reduce import sum_rows
from npse.cuda.runtime.device import BLOCK_THREADS, device_function, empty, empty_like, kernel, launch, scalar
from npse.cuda.runtime.grid_stride import column, grid_for_maps, grid_for_pixels, grid_for_table, thread_map
from npse.cuda.runtime.vectors import launch_over_maps, sqrt
from npse.cuda.se_kernels.attention import attention_squeeze, attention_squeeze_backward  # noqa: F401  ops too


@replaces(book.deviation)
def deviation(u, eps=1e-5):
    R, d = area(u), empty((u.shape[0], u.shape[3]), u.dtype)
    launch_over_maps(_deviation, grid_for_maps, u, R, scalar(1 / R, u), scalar(1 / max(R - 1, 1), u), scalar(eps, u), d)
    return d


@kernel
def _deviation(u, R, share, unbiased_share, eps, d):
    shared = cuda.shared.array(BLOCK_THREADS, d.dtype)
    n, c, first, end, step = thread_map(R, d.shape[1])
    mean = _sum_of_map(shared, u, first, end, step) * share
    total = u.dtype.type(0)
    for k in range(first, end, step):
        total += (u[k] - mean) * (u[k] - mean)
    total = sum_rows(shared, total)
    if c < d.shape[1] and cuda.threadIdx.y == 0:
        d[n, c] = sqrt(total * unbiased_share + eps)


@replaces(book.deviation_backward)
def deviation_backward(dd, u, d):
    R, du = area(u), empty_like(u)
    launch_over_maps(_deviation_backward, grid_for_maps, dd, u, R, scalar(1 / R, u), scalar(1 / max(R - 1, 1), u), d,
                     du)
    return du


@kernel
def _deviation_backward(dd, u, R, share, unbiased_share, d, du):
    shared = cuda.shared.array(BLOCK_THREADS, d.dtype)
    n, c, k, end, step = thread_map(R, d.shape[1])
    mean = _sum_of_map(shared, u, k, end, step) * share
    if c < d.shape[1]:
        slope = dd[n, c] / d[n, c] * unbiased_share
        while k < end:
            du[k] = slope * (u[k] - mean)
            k += step


@device_function
def _sum_of_map(shared, u, first, end, step):
    """Return the sum over the map to all threads of a channel. All threads of the block must call."""
    total = u.dtype.type(0)
    for k in range(first, end, step):
        total += u[k]
    return sum_rows(shared, total)


@replaces(book.weighted_squeeze)
def weighted_squeeze(u, b):
    z = empty((u.shape[0], u.shape[3]), u.dtype)
    launch(_weighted_squeeze, *grid_for_maps(u), flat(u), flat(b), area(u), z)
    return z


@kernel
def _weighted_squeeze(u, b, R, z):
    shared = cuda.shared.array(BLOCK_THREADS, z.dtype)
    n, c, first, end, step = thread_map(R, z.shape[1])
    start = np.uint64(n * b.size)
    total = z.dtype.type(0)
    for k in range(first, end, step):
        total += u[k] * b[k - start]
    total = sum_rows(shared, total)
    if c < z.shape[1] and cuda.threadIdx.y == 0:
        z[n, c] = total


@replaces(book.weighted_squeeze_backward)
def weighted_squeeze_backward(dz, u, b):
    N, du, db = u.shape[0], empty_like(u), empty_like(b)
    launch(_weighted_squeeze_backward, *grid_for_table(u.reshape(N, b.size)), dz, flat(u), flat(b), flat(du), flat(db))
    return du, db


@kernel
def _weighted_squeeze_backward(dz, u, b, du, db):
    """Each thread takes one place of the map, in some of the images."""
    shared = cuda.shared.array(BLOCK_THREADS, b.dtype)
    N, C = dz.shape
    i, k, end, step = column(N, b.size)
    total = b.dtype.type(0)
    if i < b.size:
        weight, c, n = b[i], i % C, cuda.threadIdx.y
        while k < end:
            du[k] = dz[n, c] * weight
            total += dz[n, c] * u[k]
            k += step
            n += cuda.blockDim.y
    total = sum_rows(shared, total)
    if i < b.size and cuda.threadIdx.y == 0:
        db[i] = total


@replaces(book.norm_squeeze)
def norm_squeeze(u, eps=1e-5):
    z = empty((u.shape[0], u.shape[3]), u.dtype)
    launch_over_maps(_norm_squeeze, grid_for_maps, u, area(u), scalar(eps, u), z)
    return z


@kernel
def _norm_squeeze(u, R, eps, z):
    shared = cuda.shared.array(BLOCK_THREADS, z.dtype)
    n, c, first, end, step = thread_map(R, z.shape[1])
    total = z.dtype.type(0)
    for k in range(first, end, step):
        total += u[k] * u[k]
    total = sum_rows(shared, total)
    if c < z.shape[1] and cuda.threadIdx.y == 0:
        z[n, c] = sqrt(total + eps)


@replaces(book.norm_squeeze_backward)
def norm_squeeze_backward(dz, u, z):
    du = empty_like(u)
    launch_over_maps(_norm_squeeze_backward, grid_for_pixels, dz, u, area(u), z, du)
    return du


@kernel
def _norm_squeeze_backward(dz, u, R, z, du):
    n, c, k, end, step = thread_map(R, z.shape[1])
    if c < z.shape[1]:
        slope = dz[n, c] / z[n, c]
        while k < end:
            du[k] = u[k] * slope
            k += step
