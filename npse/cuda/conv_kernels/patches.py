"""Divides the result of a convolution among blocks, and loads the part of a map that a block needs into shared memory.

    box     the pixels of the result that a block computes: n images, h rows, w columns
    patch   the pixels that the windows of the box cover: n images, (h - 1) * step + taps rows, and so for the columns
"""

import functools
from typing import NamedTuple

import numpy as np
from numba import cuda

from npse.cuda.runtime.device import device_function
from npse.cuda.runtime.vectors import lane, where
from npse.support.arithmetic import ceil_div

MULTIPROCESSORS = 132                      # for the rule in `best`; another number changes the choice little


class Box(NamedTuple):
    """Size of a box: n images, h rows, w columns. ``down`` * ``across`` boxes cover a map of the result."""

    n: int
    h: int
    w: int
    down: int
    across: int


@functools.lru_cache(1024)
def fit(maps, taps, step, pixels, capacity):
    """Choose the box that covers ``maps`` with the fewest blocks. Among these, choose the one with the smallest patch.

    Parameters
    ----------
    maps : (int, int, int)
        Size (N, H, W) of the result.
    taps : (int, int)
        Size (kh, kw) of a window.
    step : int
        Distance between the windows of two neighbouring pixels.
    pixels, capacity : int
        The largest numbers of pixels in a box and in a patch.

    Returns
    -------
    (Box, number of boxes), or None if a patch of ``capacity`` pixels is smaller than one window.
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


def best(tiles, maps, taps, step, K):
    """Choose a tile and a box for a result of K channels on ``maps`` (N, H, W). Return (tile, Box, number of boxes).

    Small tiles need more reads for each product: the time of a thread for a box is about TM + 2. Large tiles may give
    too few blocks: two for each multiprocessor are needed to hide latency. For the other parameters see `fit`.
    """
    def time(choice):
        tile, _, boxes = choice
        return max(2, ceil_div(boxes * ceil_div(K, tile.channels), MULTIPROCESSORS)) * (tile.TM + 2)

    return min(((tile, *fit(maps, taps, step, tile.pixels, tile.capacity)) for tile in tiles), key=time)


def patch_side(results, taps, step):
    """Return the pixels of a patch along one axis, for so many neighbouring results.

    With one tap, the pixels between two windows are left out of the patch.
    """
    return results if taps <= 1 else (results - 1) * step + taps


def _windows(side, taps, step):
    """Return the largest number of neighbouring windows in a patch with ``side`` pixels along this axis."""
    return side if taps <= 1 else (side - taps) // step + 1


def _even(size, most):
    """Divide ``size`` into equal pieces, as few as possible, of at most ``most``. Return the size of a piece."""
    return ceil_div(size, ceil_div(size, most))


@device_function
def place_in(m, h, w):
    """Return image, row and column of pixel m >= 0 in maps of h rows and w columns.

    The division of unsigned 32-bit integers takes a tenth of the time of that of signed 64-bit integers, Numba's
    default.
    """
    line = np.int32(np.uint32(m) // np.uint32(w))
    image = np.int32(np.uint32(line) // np.uint32(h))
    return image, line - image * h, m - line * w


@device_function
def locate(table, pixels, h, w, first, step, maps):
    """Write to ``table`` the index of each pixel of a box or patch in the list of all pixels; -1 outside of the map.

    The first ``pixels`` entries of the table are n images of h rows and w columns. Its pixel (n, a, b) is the pixel
    first + (n, a, b) * step of maps of size ``maps`` = (N, H, W). All threads of the block must call; a barrier must
    follow.
    """
    for m in range(cuda.threadIdx.x, table.shape[0], cuda.blockDim.x):
        n, a, b = place_in(m, h, w)
        n, a, b = first[0] + n, first[1] + a * step[0], first[2] + b * step[1]
        inside = m < pixels and n < maps[0] and 0 <= a < maps[1] and 0 <= b < maps[2]
        table[m] = (n * maps[1] + a) * maps[2] + b if inside else -1


@device_function
def _as_it_is(number):
    return number


def in_flight(lanes):
    """Return how many loads of a thread are in flight at the same time: of numbers, or of vectors of so many lanes.

    With four vectors, the kernels of convolutions would need more registers than they have.
    """
    return 4 if lanes == 1 else 2


@functools.cache
def reader(threads, channels, between_quads, between_pixels, lanes, rounded=_as_it_is):
    """Make the device function that loads ``channels`` channels of a list of pixels into shared memory.

    An element of the list is a vector of ``lanes`` channels, or one channel if ``lanes`` is 1. In shared memory, a row
    has four channels of a pixel. The next four channels of the pixel are ``between_quads`` rows further, the next pixel
    is ``between_pixels`` rows further. A thread issues all loads (`in_flight`) before it stores the first element, and
    no load is conditional. So the latencies of the loads overlap. Shared memory gets ``rounded(number)``; ``rounded``
    is a device function.
    """
    elements, loads = channels // lanes, in_flight(lanes)         # of a pixel, of a thread

    @device_function
    def read(x, c0, table, pixels, shared):
        held = cuda.local.array(loads, x.dtype)
        zero = shared.dtype.type(0)
        for e in range(cuda.threadIdx.x, pixels * elements, loads * threads):
            for i in range(loads):
                m, c = min(e + i * threads, pixels * elements - 1) // elements, (e + i * threads) % elements
                c += c0 // lanes
                value = x[np.uint32(max(table[m], 0)), np.uint32(min(c, x.shape[1] - 1))]
                held[i] = where(table[m] >= 0 and c < x.shape[1], value, zero)
            for i in range(loads):
                m, c = (e + i * threads) // elements, (e + i * threads) % elements * lanes
                if m < pixels:
                    row = np.uint32(c // 4 * between_quads + m * between_pixels)
                    for q in range(lanes):
                        shared[row, np.uint32(c % 4 + q)] = rounded(lane(held[i], q))
    return read
