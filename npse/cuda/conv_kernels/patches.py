"""Which pixels of a result a block computes, and how it brings the part of a map that they see into shared memory.

    box     n images, h rows, w columns of the result
    patch   n images, (h - 1) * step + taps rows, columns likewise: what the windows of the box cover
"""

import functools
from typing import NamedTuple

import numpy as np
from numba import cuda

from npse.cuda.runtime.device import device_function
from npse.support.arithmetic import ceil_div

HELD = 4                                   # loads that a thread has in flight at once


class Box(NamedTuple):
    """n, h, w as above, and how many boxes lie below and beside each other; images are counted last."""

    n: int
    h: int
    w: int
    down: int
    across: int


@functools.lru_cache(1024)
def fit(maps, taps, step, pixels, capacity):
    """Choose the box that covers ``maps`` with the fewest blocks; among those the one that sees the smallest patch.

    Parameters
    ----------
    maps : (N, H, W) of the result
    taps : (kh, kw)
    step : int, distance of two neighbours' windows
    pixels, capacity : int
        How many pixels box and patch may have at most.

    Returns
    -------
    (Box, number of boxes), or None if not even one window fits.
    """
    N, H, W = maps
    best = None
    for w in range(1, min(W, pixels) + 1):
        columns = patch_side(w, taps[1], step)
        tallest = min(H, pixels // w, _windows(capacity // columns, taps[0], step))
        if tallest < 1:
            break
        h = _even(H, tallest)
        rows = patch_side(h, taps[0], step)
        n = _even(N, min(N, pixels // (h * w), capacity // (rows * columns)))
        box = Box(n, h, w, ceil_div(H, h), ceil_div(W, w))
        boxes = ceil_div(N, n) * box.down * box.across
        best = min(best or ((boxes, n * rows * columns), box), ((boxes, n * rows * columns), box))
    return best and (best[1], best[0][0])


def patch_side(results, taps, step):
    """Pixels that so many neighbouring windows cover along an axis; one tap needs none of those between them."""
    return results if taps <= 1 else (results - 1) * step + taps


def _windows(side, taps, step):
    """The most neighbouring windows that so many pixels cover."""
    return side if taps <= 1 else (side - taps) // step + 1


def _even(size, most):
    """The smallest pieces that cover a size with as few as pieces of ``most`` do."""
    return ceil_div(size, ceil_div(size, most))


@device_function
def place_in(m, h, w):
    """Image, row and column of pixel m >= 0 in maps of h rows and w columns.

    Divides unsigned 32-bit integers, which takes a tenth of the time of Numba's default, signed 64-bit integers.
    """
    line = np.int32(np.uint32(m) // np.uint32(w))
    image = np.int32(np.uint32(line) // np.uint32(h))
    return image, line - image * h, m - line * w


@device_function
def locate(table, pixels, h, w, first, step, maps):
    """Write into ``table`` where in memory each pixel of a box or patch lies, -1 for those outside of their map.

    The first ``pixels`` entries are n images of h rows and w columns: pixel (n, a, b) of them is pixel first + (n,
    a, b) * step of ``maps``, whose sizes are (N, H, W). All threads of the block must call; a barrier must follow.
    """
    for m in range(cuda.threadIdx.x, table.shape[0], cuda.blockDim.x):
        n, a, b = place_in(m, h, w)
        n, a, b = first[0] + n, first[1] + a * step[0], first[2] + b * step[1]
        inside = m < pixels and n < maps[0] and 0 <= a < maps[1] and 0 <= b < maps[2]
        table[m] = (n * maps[1] + a) * maps[2] + b if inside else -1


@functools.cache
def reader(threads, channels, between_quads, between_pixels):
    """Make the function by which a block reads ``channels`` channels of a list of pixels into shared memory.

    In shared memory, four channels are a row. The rows of a pixel are ``between_quads`` apart, those of neighbouring
    pixels ``between_pixels``. All loads of a round are issued before the first element is stored, and none is
    conditional, so that their latencies overlap.
    """
    @device_function
    def read(x, c0, table, pixels, shared):
        held = cuda.local.array(HELD, x.dtype)
        for e in range(cuda.threadIdx.x, pixels * channels, HELD * threads):
            for i in range(HELD):
                m, c = min(e + i * threads, pixels * channels - 1) // channels, c0 + (e + i * threads) % channels
                value = x[np.uint32(max(table[m], 0)), np.uint32(min(c, x.shape[1] - 1))]
                held[i] = value if table[m] >= 0 and c < x.shape[1] else x.dtype.type(0)
            for i in range(HELD):
                m, c = (e + i * threads) // channels, (e + i * threads) % channels
                if m < pixels:
                    shared[np.uint32(c // 4 * between_quads + m * between_pixels), np.uint32(c % 4)] = held[i]
    return read
