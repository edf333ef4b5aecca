"""Efficient channel attention on the device: a thread computes one element. Letters: as in the book."""

import numpy as np

from npse import reference as book
from npse.cuda.runtime.arrays import flat, replaces
from npse.cuda.runtime.device import device_function, empty, empty_like, kernel, launch
from npse.cuda.runtime.grid_stride import grid_for_elements, grid_stride
from npse.cuda.runtime.partial_sums import add_rows


@replaces(book.channel_conv)
def channel_conv(z, w, circular=False):
    a = empty_like(z)
    launch(_channel_conv, *grid_for_elements(z), z, w, circular, 1, flat(a))
    return a


@replaces(book.channel_conv_backward)
def channel_conv_backward(da, z, w, circular=False):
    dz, dw_parts = empty_like(z), empty((z.size, w.size), z.dtype)
    launch(_channel_conv, *grid_for_elements(z), da, w, circular, -1, flat(dz))          # the weights mirrored
    launch(_dw, *grid_for_elements(dw_parts), da, z, circular, dw_parts)
    return dz, add_rows(dw_parts)


@kernel
def _channel_conv(z, w, circular, direction, a):
    K, C = w.size, z.shape[1]
    i, end, step = grid_stride(a.size)
    while i < end:
        n, c = i // C, i % C
        total = z.dtype.type(0)
        for k in range(K):
            total += w[k] * _beside(z, n, c, direction * (k - K // 2), circular)
        a[i] = total
        i += step


@kernel
def _dw(da, z, circular, parts):
    C, K = z.shape[1], parts.shape[1]
    i, end, step = grid_stride(parts.size)
    while i < end:
        row, k = i // K, i % K
        n, c = row // C, row % C
        parts[row, k] = da[n, c] * _beside(z, n, c, np.int64(k) - K // 2, circular)
        i += step


@device_function
def _beside(z, n, c, distance, circular):
    """Return the element of z at ``distance`` channels from c: past the ends zero, or the channel at the other end."""
    C = z.shape[1]
    at = np.int64(c) + distance                        # signed, unlike the indices of a grid-stride loop
    if circular:
        return z[n, at % C]
    return z[n, at] if 0 <= at < C else z.dtype.type(0)
