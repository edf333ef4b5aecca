"""Convolution, variant 3: register tiles. Each element that a thread reads is used for many products.

A thread computes TM pixels of TN channels. For four channels of x it reads TM + TN vectors of four elements from shared
memory and computes 4 * TM * TN products: with 8 x 8, 16 reads for 256 products. Reads then take at most 24 cycles for
64 cycles of arithmetic. (A warp reads one vector for 16 pixels in two cycles, or for two groups of channels in one.)

In the first layers the loads into shared memory would be the limit: with 16 filters, an element of an implicit matrix
of patches is used only 16 times. Therefore shared memory contains the patch of the map that a box of pixels needs
(patches.py). A 3x3 convolution uses each element of it 9 * 16 times. Between two taps only the filters are loaded. They
are double-buffered: the filters of the next tap are loaded while the current tap is multiplied, with one barrier for
each tap. Three blocks share a multiprocessor: one computes while another loads its patch.

    patch     [4 channels of c][pixel of the patch][channel]     neighbouring threads read neighbouring pixels
    filters   [turn, c][4 channels of k][channel]                neighbouring threads read the same filters

Maps are read and written as vectors of four channels, if their number allows it. In the machine code of the loop over
taps (8 x 8, compute capability 9.0) 256 of 323 instructions are products. With 16 channels of 32x32 maps, about six in
ten of all instructions executed are products; with more channels the share is larger.
"""

import functools
from typing import NamedTuple

import numpy as np
from numba import cuda

from npse.cuda.conv_kernels.patches import best, reader
from npse.cuda.conv_kernels.windows import finder, start_of
from npse.cuda.runtime.device import SIMULATED, empty, kernel, launch
from npse.cuda.runtime.vectors import gatherer, in_vectors, lane
from npse.support.arithmetic import ceil_div

ALIGNED = None if SIMULATED else 16        # bytes of a vector of four elements; the simulator has no addresses
CAPACITY = 40 if SIMULATED else 640        # pixels of a patch; a 3x3 filter needs 18 x 34 for 16 rows of 32 results


class Tile(NamedTuple):
    """The tile of a block: ``threads`` threads compute TM pixels of TN channels each, ``across`` of them side by side
    along the channels. The block loads ``depth`` channels of x at once, in a patch of at most ``capacity`` pixels."""

    threads: int
    TM: int
    TN: int
    across: int
    depth: int
    capacity: int

    @property
    def pixels(self):
        return self.threads // self.across * self.TM

    @property
    def channels(self):
        return self.across * self.TN


def threads_across(K):
    """Return how many threads, of 8 channels each, are side by side in a block for K channels: 2, 4 or 8."""
    if K <= 16:
        return 2
    return 4 if K <= 32 else 8


def hardware_tiles(dtype, C, K):
    """Return the possible tiles for C channels of the input and K of the result, the largest first.

    A tile is as wide as K channels, but not wider than 64.
    """
    across = threads_across(K)
    double = np.dtype(dtype).itemsize > 4
    depth = 4 if double or C <= 4 else 8
    return tuple(Tile(128, TM, 8, across, depth, CAPACITY) for TM in ((4, 2) if double else (8, 4, 2)))


def simulator_tiles(dtype, C, K):
    """Return the same for the simulator, which needs much time for a thread."""
    return (Tile(16, 2, 4, 2, 4, CAPACITY),)


tiles = simulator_tiles if SIMULATED else hardware_tiles


def plan(dtype, maps, taps, step, C, K):
    """Choose a tile and a box for a result of K channels; see `best`."""
    return best(tiles(dtype, C, K), maps, taps, step, K)


def forward(x, w, g):
    y = empty(g.y_shape, x.dtype)
    tile, box, boxes = plan(x.dtype, (g.N, g.Ho, g.Wo), (g.kh, g.kw), g.stride, g.Cin, g.Cout)
    grid = boxes, ceil_div(g.Cout, tile.channels), 1
    (of_x, x), (of_w, w), (of_y, pixels) = map(in_vectors, map(pixels_of, (x, w, y)))
    launch(correlate(tile, y.dtype.type, (of_x, of_w, of_y), False, False), grid, tile.threads,
           x, w, pixels, pixels, g, box)
    return y


def backward_x(dy, w, g, added=None):
    """Return dx + ``added``. ``added`` has the shape of dx, or is one pixel that is added to each pixel of dx."""
    dx, s, adds = empty(g.x_shape, dy.dtype), g.stride, added is not None
    phases = g.N, ceil_div(g.H, s), ceil_div(g.W, s)
    tile, box, boxes = plan(dy.dtype, phases, (ceil_div(g.kh, s), ceil_div(g.kw, s)), 1, g.Cout, g.Cin)
    grid = boxes, ceil_div(g.Cin, tile.channels), s * s
    (of_dy, dy), (of_w, w) = map(in_vectors, map(pixels_of, (dy, w)))
    of_dx, pixels, added = in_vectors(*map(pixels_of, (dx, dx if added is None else added)))
    launch(correlate(tile, dx.dtype.type, (of_dy, of_w, of_dx), True, adds), grid, tile.threads,
           dy, w, added, pixels, g, box)
    return dx


def pixels_of(maps):
    """Return a view of maps (N, H, W, C) as a list of pixels (N*H*W, C)."""
    C = maps.shape[maps.ndim - 1]
    return maps.reshape(maps.size // C, C)


def bounded(threads, blocks):
    """Return the decorator of a kernel whose registers must suffice for so many blocks on a multiprocessor."""
    return kernel if SIMULATED else kernel(launch_bounds=(threads, blocks))


@functools.cache
def correlate(tile, number, lanes, backward, adds):
    """Make the kernel for y or, if ``backward``, for dx, where x is dy and filters are flipped.

    x (pixels, C), w (kh * kw * Cin, Cout) -> y (pixels, K), with maps as lists of pixels. Their last axis is in
    vectors of so many ``lanes``, of x, w and y; ``number`` is the type of the numbers. If ``adds``, the kernel adds
    ``added`` to the result; it has the shape of y or is one pixel.
    """
    of_x, of_w, of_y = lanes
    THREADS, TM, TN, ACROSS, DEPTH, CAPACITY = tile
    PIXELS, CHANNELS, DOWN = tile.pixels, tile.channels, THREADS // ACROSS
    QUADS, GROUPS, LOADS = DEPTH // 4, CHANNELS // 4, ceil_div(DEPTH * CHANNELS, THREADS * of_w)
    WIDTH = (DEPTH if backward else CHANNELS) // of_w         # vectors of w that neighbouring threads load
    C_STEP, K_STEP = (0, THREADS // WIDTH) if backward else (THREADS // WIDTH, 0)        # to a thread's next vector
    ALONG_C, ALONG_K = (1, 0) if backward else (0, 1)         # from a number of a vector to the next
    read, find, gathered = reader(THREADS, DEPTH, CAPACITY, 1, of_x), finder(backward), gatherer(of_y)
    patch_shape, filters_shape, products, vectors = (QUADS * CAPACITY, 4), (2 * DEPTH, GROUPS, 4), (TM, TN), (TM, 4)

    @bounded(THREADS, 3)
    def correlate(x, w, added, y, g, box):
        patch = cuda.shared.array(patch_shape, number, ALIGNED)
        filters = cuda.shared.array(filters_shape, number, ALIGNED)
        source = cuda.shared.array(CAPACITY, np.int32)
        target = cuda.shared.array(PIXELS, np.int32)
        total = cuda.local.array(products, number)
        vector = cuda.local.array(vectors, number)
        held = cuda.local.array(LOADS, w.dtype)
        start = cuda.local.array(TM, np.int32)               # where in the patch the window of a pixel begins
        t = cuda.threadIdx.x
        tx, ty = np.int32(t % ACROSS), np.int32(t // ACROSS)
        C, K = np.int32(x.shape[1] * of_x), np.int32(y.shape[1] * of_y)
        k0 = np.int32(cuda.blockIdx.y * CHANNELS)
        zero = number(0)

        if backward:                                         # w is transposed: read in memory order
            c_here, k_here = np.int32(t % WIDTH * of_w), np.int32(t // WIDTH)
        else:
            c_here, k_here = np.int32(t // WIDTH), np.int32(t % WIDTH * of_w)

        tap_h, tap_w, tap_step, taps_w, taps, stride_h, stride_w, patch_h, patch_w, pixels = find(
            g, box, source, target)
        for i in range(TM):
            start[i] = start_of(i * DOWN + ty, box, stride_h, stride_w, patch_h, patch_w)
            for j in range(TN):
                total[i, j] = zero
        cuda.syncthreads()

        turn = np.int32(0)
        for c0 in range(0, C, DEPTH):
            read(x, c0, source, pixels, patch)
            u, v, at = np.int32(0), np.int32(0), np.int32(0)
            for tap in range(taps + 1):                      # load the filters of this tap, multiply the previous tap
                row = ((tap_h + u * tap_step) * g.kw + tap_w + v * tap_step) * g.Cin
                for i in range(LOADS):
                    c, k = c0 + c_here + i * C_STEP, k0 + k_here + i * K_STEP
                    a, b = (k, c) if backward else (c, k)
                    held[i] = zero
                    if tap < taps and c < C and k < K:
                        held[i] = w[np.uint32(row + a), np.uint32(b // of_w)]
                if tap > 0:
                    for quad in range(QUADS):
                        for i in range(TM):
                            for q in range(4):
                                vector[i, q] = patch[np.uint32(quad * CAPACITY + start[i] + at), q]
                        for q in range(4):
                            for j in range(TN):
                                f = filters[np.uint32(turn + 4 * quad + q), np.uint32(j // 4 * ACROSS + tx), j % 4]
                                for i in range(TM):
                                    total[i, j] += vector[i, q] * f
                turn = np.int32(DEPTH - turn)
                for i in range(LOADS):
                    c, k = np.int32(c_here + i * C_STEP), np.int32(k_here + i * K_STEP)
                    if c < DEPTH and k < CHANNELS:
                        for q in range(of_w):
                            filters[np.uint32(turn + c + q * ALONG_C), np.uint32(k // 4),
                                    np.uint32(k % 4 + q * ALONG_K)] = lane(held[i], q)
                at, v = np.int32(u * patch_w + v), np.int32(v + 1)
                if v == taps_w:
                    u, v = np.int32(u + 1), np.int32(0)
                cuda.syncthreads()

        for i in range(TM):
            at = target[i * DOWN + ty]
            for j in range(0, TN, of_y):
                k = (k0 + 4 * (j // 4 * ACROSS + tx) + j % 4) // of_y
                if at >= 0 and k < y.shape[1]:
                    value = gathered(total, i, j)
                    if adds:
                        value += added[np.uint32(min(at, added.shape[0] - 1)), np.uint32(k)]
                    y[np.uint32(at), np.uint32(k)] = value
    return correlate
