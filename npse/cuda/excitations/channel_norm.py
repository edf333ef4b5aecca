"""Normalization over the channels of a group, on the device: `LANES` threads for a group. Letters: as in the book."""

import math

from numba import cuda

from npse import reference as book
from npse.cuda.runtime.arrays import flat, replaces
from npse.cuda.runtime.block_reduce import sum_lanes
from npse.cuda.runtime.device import BLOCK_THREADS, device_function, empty_like, kernel, launch, scalar
from npse.cuda.runtime.grid_stride import LANES, grid_for_elements, grid_for_lists, grid_stride, row_of_warp


@replaces(book.channel_norm)
def channel_norm(z, eps=1e-5):
    rows, zhat = _rows(z), empty_like(z)
    launch(_channel_norm, *grid_for_lists(rows), rows, scalar(eps, z), scalar(1 / z.shape[2], z), _rows(zhat))
    return zhat


@kernel
def _channel_norm(z, eps, share, zhat):
    shared = cuda.shared.array(BLOCK_THREADS, z.dtype)
    R, D = z.shape
    r = row_of_warp()
    mean, std = _statistics(shared, z, min(r, R - 1), eps, share)
    if r < R:
        for d in range(cuda.threadIdx.x, D, LANES):
            zhat[r, d] = (z[r, d] - mean) / std


@replaces(book.channel_norm_backward)
def channel_norm_backward(dzhat, z, eps=1e-5):
    rows, dz = _rows(z), empty_like(z)
    launch(_channel_norm_backward, *grid_for_lists(rows), _rows(dzhat), rows, scalar(eps, z),
           scalar(1 / z.shape[2], z), _rows(dz))
    return dz


@kernel
def _channel_norm_backward(dzhat, z, eps, share, dz):
    shared = cuda.shared.array(BLOCK_THREADS, z.dtype)
    R, D = z.shape
    r = row_of_warp()
    row = min(r, R - 1)
    mean, std = _statistics(shared, z, row, eps, share)
    first = second = z.dtype.type(0)
    for d in range(cuda.threadIdx.x, D, LANES):
        first += dzhat[row, d]
        second += dzhat[row, d] * (z[row, d] - mean)
    first, second = sum_lanes(shared, first) * share, sum_lanes(shared, second) * share / (std * std)
    if r < R:
        for d in range(cuda.threadIdx.x, D, LANES):
            dz[r, d] = (dzhat[r, d] - first - (z[r, d] - mean) * second) / std


@device_function
def _statistics(shared, z, row, eps, share):
    """Return mean and sqrt(variance + eps) of a row of z. All threads of the block must call."""
    D = z.shape[1]
    total = z.dtype.type(0)
    for d in range(cuda.threadIdx.x, D, LANES):
        total += z[row, d]
    mean = sum_lanes(shared, total) * share
    total = z.dtype.type(0)
    for d in range(cuda.threadIdx.x, D, LANES):
        total += (z[row, d] - mean) * (z[row, d] - mean)
    return mean, math.sqrt(sum_lanes(shared, total) * share + eps)


def _rows(z):
    return z.reshape(z.shape[0] * z.shape[1], z.shape[2])


@replaces(book.gaussian)
def gaussian(x, width=2.0):
    y = empty_like(x)
    launch(_gaussian, *grid_for_elements(x), flat(x), scalar(-0.5 / width**2, x), flat(y))
    return y


@kernel
def _gaussian(x, factor, y):
    k, end, step = grid_stride(x.size)
    while k < end:
        y[k] = math.exp(x[k] * x[k] * factor)
        k += step


@replaces(book.gaussian_backward)
def gaussian_backward(dy, x, y, width=2.0):
    dx = empty_like(x)
    launch(_gaussian_backward, *grid_for_elements(x), flat(dy), flat(x), flat(y), scalar(-1 / width**2, x), flat(dx))
    return dx


@kernel
def _gaussian_backward(dy, x, y, factor, dx):
    k, end, step = grid_stride(x.size)
    while k < end:
        dx[k] = dy[k] * y[k] * x[k] * factor
        k += step
