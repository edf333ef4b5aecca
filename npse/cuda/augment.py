"""Makes a training batch from uint8 images on the device, in one pass over memory. Letters: as in the book.

Images and crops are NumPy arrays or device arrays. NumPy arrays are checked as in the book and copied to the device.
Device arrays are not checked, because that would wait for the device: a corner outside 0..2*padding is moved to the
nearest one inside.
"""

import numpy as np
from numba import cuda

from npse import reference as book
from npse.cuda.runtime.arrays import replaces
from npse.cuda.runtime.device import device_function, empty, is_device_array, kernel, launch, to_device
from npse.cuda.runtime.grid_stride import grid_for_rows, thread_map_in_row


@replaces(book.normalize)
def normalize(images, mean, std):
    x = empty(images.shape, mean.dtype)
    launch(_normalize, *grid_for_rows(x), to_device(images), mean, std, x)
    return x


@kernel
def _normalize(images, mean, std, x):
    n, i, first, c = thread_map_in_row(x.shape[3])
    if c < x.shape[3]:
        full, centre, deviation = x.dtype.type(255), mean[c], std[c]
        for j in range(first, x.shape[2], cuda.blockDim.y):
            x[n, i, j, c] = (x.dtype.type(images[n, i, j, c]) / full - centre) / deviation


@replaces(book.augment)
def augment(images, top, left, flip, mean, std, padding=4):
    x = empty(images.shape, mean.dtype)
    launch(_augment, *grid_for_rows(x), to_device(images), *map(_integers, (top, left, flip)), mean, std,
           int(padding), x)
    return x


@kernel
def _augment(images, top, left, flip, mean, std, padding, x):
    H, W, C = x.shape[1], x.shape[2], x.shape[3]
    n, i, first, c = thread_map_in_row(C)
    if c < C:
        full, centre, deviation = x.dtype.type(255), mean[c], std[c]
        h = _mirrored(_between(top[n], 2 * padding) + i - padding, H)
        corner = _between(left[n], 2 * padding) - padding
        for j in range(first, W, cuda.blockDim.y):
            v = _mirrored(corner + (W - 1 - j if flip[n] else j), W)
            x[n, i, j, c] = (x.dtype.type(images[n, h, v, c]) / full - centre) / deviation


@replaces(book.jitter)
def jitter(x, contrast, brightness):
    y = empty(x.shape, x.dtype)
    launch(_jitter, *grid_for_rows(x), x, to_device(contrast), to_device(brightness), y)
    return y


@kernel
def _jitter(x, contrast, brightness, y):
    n, i, first, c = thread_map_in_row(x.shape[3])
    if c < x.shape[3]:
        factor, summand = contrast[n], brightness[n]
        for j in range(first, x.shape[2], cuda.blockDim.y):
            y[n, i, j, c] = factor * x[n, i, j, c] + summand


@device_function
def _between(corner, highest):
    return max(0, min(corner, highest))


@device_function
def _mirrored(i, size):
    """Reflect index i at the edges: return the index in 0..size-1 of the same pixel in the mirrored map."""
    i = -i if i < 0 else i
    return i if i < size else 2 * (size - 1) - i


def _integers(crops):
    return to_device(crops if is_device_array(crops) else crops.astype(np.int32))
