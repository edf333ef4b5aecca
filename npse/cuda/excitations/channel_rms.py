"""Normalization over the channels by their root mean square, on the device: `LANES` threads for an image.

Letters: as in the book.
"""

import math

from numba import cuda

from npse import reference as book
from npse.cuda.runtime.arrays import replaces
from npse.cuda.runtime.block_reduce import sum_lanes
from npse.cuda.runtime.device import BLOCK_THREADS, device_function, empty_like, kernel, launch, scalar
from npse.cuda.runtime.grid_stride import LANES, grid_for_lists, row_of_warp


@replaces(book.channel_rms)
def channel_rms(z, eps=1e-5):
    y = empty_like(z)
    launch(_channel_rms, *grid_for_lists(z), z, scalar(eps, z), scalar(1 / z.shape[1], z), y)
    return y


@kernel
def _channel_rms(z, eps, share, y):
    shared = cuda.shared.array(BLOCK_THREADS, z.dtype)
    N, C = z.shape
    n = row_of_warp()
    rms = _root_mean_square(shared, z, min(n, N - 1), eps, share)
    if n < N:
        for c in range(cuda.threadIdx.x, C, LANES):
            y[n, c] = z[n, c] / rms


@replaces(book.channel_rms_backward)
def channel_rms_backward(dy, z, eps=1e-5):
    dz = empty_like(z)
    launch(_channel_rms_backward, *grid_for_lists(z), dy, z, scalar(eps, z), scalar(1 / z.shape[1], z), dz)
    return dz


@kernel
def _channel_rms_backward(dy, z, eps, share, dz):
    shared = cuda.shared.array(BLOCK_THREADS, z.dtype)
    N, C = z.shape
    n = row_of_warp()
    row = min(n, N - 1)
    rms = _root_mean_square(shared, z, row, eps, share)
    total = z.dtype.type(0)
    for c in range(cuda.threadIdx.x, C, LANES):
        total += dy[row, c] * z[row, c]
    mean = sum_lanes(shared, total) * share / (rms * rms)
    if n < N:
        for c in range(cuda.threadIdx.x, C, LANES):
            dz[n, c] = (dy[n, c] - z[n, c] * mean) / rms


@device_function
def _root_mean_square(shared, z, row, eps, share):
    """Return sqrt(mean of z^2 + eps) of a row of z. All threads of the block must call."""
    total = z.dtype.type(0)
    for c in range(cuda.threadIdx.x, z.shape[1], LANES):
        total += z[row, c] * z[row, c]
    return math.sqrt(sum_lanes(shared, total) * share + eps)
