"""From stored bytes to a training batch in one pass. A pixel has 256 values, so a table holds their normalized values.
"""

from functools import partial

import numpy as np

from npse import reference as book
from npse.cpu.runtime.arrays import replaces
from npse.cpu.runtime.jit import kernel
from npse.cpu.runtime.memory_pool import empty
from npse.cpu.runtime.parallel import parallel_for


@replaces(book.normalize)
def normalize(images, mean, std):
    zeros = np.zeros(len(images), np.int64)
    return _windows(images, zeros, zeros, zeros, mean, std, padding=0)


@replaces(book.augment)
def augment(images, top, left, flip, mean, std, padding=4):
    return _windows(images, top, left, flip, mean, std, padding)


def _windows(images, top, left, flip, mean, std, padding):
    values = np.arange(256, dtype=np.uint8)[:, None, None, None].repeat(len(mean), axis=3)
    table = book.normalize(values, mean, std).reshape(256, len(mean))
    x = empty(images.shape, table.dtype)
    top, left = (corner.astype(np.int64, casting="same_kind") for corner in (top, left))
    parallel_for(partial(_look_up, images, table, top, left, flip.astype(np.bool_), padding, x), len(images))
    return x


@kernel
def _look_up(images, table, top, left, flip, padding, x, first, last):
    _, H, W, C = images.shape
    for n in range(first, last):
        for i in range(H):
            h = _mirrored(top[n] + i - padding, H)
            for j in range(W):
                v = _mirrored(left[n] + (W - 1 - j if flip[n] else j) - padding, W)
                for c in range(C):
                    x[n, i, j, c] = table[images[n, h, v, c], c]


@kernel
def _mirrored(i, size):
    """Return the index in 0..size-1 that a reflection at the edges of the map gives for i."""
    i = -i if i < 0 else i
    return i if i < size else 2 * (size - 1) - i
