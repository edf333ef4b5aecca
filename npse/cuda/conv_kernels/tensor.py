"""Convolution, variant 4: tensor cores. Factors are rounded to tf32, so the variant is off by default; float32 only.

As in variant 3, shared memory contains the patch of the map that a box of pixels needs, and the filters of two taps. An
element is rounded once, when it is stored there. The rows of the implicit matrix product are the pixels of the box, its
columns the filters. For each tap, the sums over 16 channels are two steps of the tensor cores.

A warp computes TM x TN matrices of 16 pixels by 8 filters. In a step it reads TM + TN / 2 matrices of 16 x 8 numbers
from shared memory, for TM * TN products of matrices. The 32 lanes of a read use different banks:

    patch      [4 channels of c][pixel of the patch][channel]    8 neighbouring pixels of 4 channels are 32 neighbours;
                                                                 with stride 2, two of the pixels share a bank
    filters    [turn][c][k], or [turn][k][c] for dx              a row is 8 elements longer than its filters, or 4
                                                                 longer than its channels

In the machine code of the loop over taps (64 filters, compute capability 9.0) 32 of 214 instructions are products, each
of them 1024 multiply-adds; one of variant 3 is 32, of all lanes together. Indices of shared memory are uint64: then the
instruction that reads also adds a constant, which would otherwise need one more instruction for each read.
"""

import functools
from typing import NamedTuple

import numpy as np
from numba import cuda

from npse.cuda.conv_kernels.patches import best, reader
from npse.cuda.conv_kernels.register import ALIGNED, bounded, pixels_of
from npse.cuda.conv_kernels.windows import finder, start_of
from npse.cuda.runtime.block_reduce import WARP
from npse.cuda.runtime.device import SIMULATED, empty, launch
from npse.cuda.runtime.tensor_core import multiply_add, to_tf32
from npse.cuda.runtime.vectors import in_vectors, lane
from npse.support.arithmetic import ceil_div

CAPACITY = 44 if SIMULATED else 396        # 8n + 4: 8 channels of 4 pixels are stored to different banks


class Tile(NamedTuple):
    """The tile of a block: ``warps`` warps compute TM x TN matrices each, one below the other along the pixels. The
    block loads ``depth`` channels of x at once, in a patch of at most ``capacity`` pixels."""

    warps: int
    TM: int
    TN: int
    depth: int
    capacity: int

    @property
    def threads(self):
        return WARP * self.warps

    @property
    def pixels(self):
        return 16 * self.warps * self.TM

    @property
    def channels(self):
        return 8 * self.TN


def columns(K):
    """Return how many matrices of 8 channels are side by side in a block for K channels: 2, 4 or 8."""
    return 2 if K <= 16 else 4 if K <= 32 else 8


def hardware_tiles(C, K):
    """Return the possible tiles for C channels of the input and K of the result, the largest first.

    A warp has up to 16 matrices of the result, in 64 registers of each lane: 64 x 16, 64 x 32 or 32 x 64 numbers.
    """
    TN = columns(K)
    return tuple(Tile(4, TM, TN, 8 if C <= 8 else 16, CAPACITY) for TM in ((2, 1) if TN == 8 else (4, 2, 1)))


def simulator_tiles(C, K):
    """Return the same for the simulator, which needs much time for a thread."""
    return (Tile(2, 1, 2, 8, CAPACITY),)


tiles = simulator_tiles if SIMULATED else hardware_tiles


def forward(x, w, g):
    y = empty(g.y_shape, x.dtype)
    tile, box, boxes = best(tiles(g.Cin, g.Cout), (g.N, g.Ho, g.Wo), (g.kh, g.kw), g.stride, g.Cout)
    grid = boxes, ceil_div(g.Cout, tile.channels), 1
    (of_x, x), (of_w, w) = map(in_vectors, map(pixels_of, (x, w)))
    launch(correlate(tile, of_x, of_w, False, False), grid, tile.threads, x, w, pixels_of(y), pixels_of(y), g, box)
    return y


def backward_x(dy, w, g, added=None):
    """Return dx + ``added``, of the shape of dx. The sum is float32."""
    dx, s = empty(g.x_shape, dy.dtype), g.stride
    phases, taps = (g.N, ceil_div(g.H, s), ceil_div(g.W, s)), (ceil_div(g.kh, s), ceil_div(g.kw, s))
    tile, box, boxes = best(tiles(g.Cout, g.Cin), phases, taps, 1, g.Cin)
    grid = boxes, ceil_div(g.Cin, tile.channels), s * s
    (of_dy, dy), (of_w, w) = map(in_vectors, map(pixels_of, (dy, w)))
    launch(correlate(tile, of_dy, of_w, True, added is not None), grid, tile.threads, dy, w,
           pixels_of(dx if added is None else added), pixels_of(dx), g, box)
    return dx


@functools.cache
def correlate(tile, of_x, of_w, backward, adds):
    """Make the kernel for y or, if ``backward``, for dx, where x is dy and filters are flipped.

    x (pixels, C), w (kh * kw * Cin, Cout) -> y (pixels, K), with maps as lists of pixels. The last axis of x is in
    vectors of ``of_x`` numbers, that of w in vectors of ``of_w``. If ``adds``, the kernel adds ``added``, of the shape
    of y, to the result.
    """
    _, TM, TN, DEPTH, CAPACITY = tile
    THREADS, PIXELS, CHANNELS, QUADS = tile.threads, tile.pixels, tile.channels, tile.depth // 4
    # the filters of a tap are a matrix: [k][c] for dx, else [c][k]; neighbours in a row are neighbours in memory
    ROWS, WIDTH = (CHANNELS, DEPTH) if backward else (DEPTH, CHANNELS)
    STRIDE, IN_ROW = WIDTH + (4 if backward else 8), WIDTH // of_w               # numbers, vectors
    STEP, LOADS = THREADS // IN_ROW, ceil_div(ROWS * IN_ROW, THREADS)
    FILTERS, C_STRIDE, K_STRIDE = ROWS * STRIDE, *((1, STRIDE) if backward else (STRIDE, 1))
    TWO_TAPS = 2 * FILTERS
    read, find = reader(THREADS, DEPTH, CAPACITY, 1, of_x, to_tf32), finder(backward)
    patch_shape, sums, factors, starts = (QUADS * CAPACITY, 4), (TM, TN, 4), (TN, 2), (TM, 2)

    @bounded(THREADS, 3)
    def correlate(x, w, added, y, g, box):
        patch = cuda.shared.array(patch_shape, y.dtype, ALIGNED)
        filters = cuda.shared.array(TWO_TAPS, y.dtype, ALIGNED)
        source = cuda.shared.array(CAPACITY, np.int32)
        target = cuda.shared.array(PIXELS, np.int32)
        total = cuda.local.array(sums, y.dtype)
        b = cuda.local.array(factors, y.dtype)
        held = cuda.local.array(LOADS, w.dtype)
        start = cuda.local.array(starts, np.int32)           # where in the patch the window of a pixel begins
        thread = np.int32(cuda.threadIdx.x)
        row, t, first = thread % WARP // 4, thread % 4, thread // WARP * (16 * TM)
        m, n = np.int32(thread // IN_ROW), np.int32(thread % IN_ROW * of_w)      # of filters, the first to load
        C, K, k0 = np.int32(x.shape[1] * of_x), np.int32(y.shape[1]), np.int32(cuda.blockIdx.y * CHANNELS)
        Cin, Cout, zero = np.int32(g.Cin), np.int32(g.Cout), y.dtype.type(0)

        tap_h, tap_w, tap_step, taps_w, taps, stride_h, stride_w, patch_h, patch_w, pixels = find(
            g, box, source, target)
        for i in range(TM):
            for r in range(2):
                start[i, r] = start_of(first + 16 * i + 8 * r + row, box, stride_h, stride_w, patch_h, patch_w)
            for j in range(TN):
                for r in range(4):
                    total[i, j, r] = zero
        cuda.syncthreads()

        turn = np.int32(0)
        for c0 in range(0, C, DEPTH):
            read(x, c0, source, pixels, patch)
            m0, n0 = (k0, np.int32(c0)) if backward else (np.int32(c0), k0)
            rows = np.int32(Cin - m0 - m if n0 + n < Cout else 0)       # of the matrix, from m on
            u, v, at = np.int32(0), np.int32(0), np.int32(0)
            for tap in range(taps + 1):                      # load the filters of this tap, multiply the previous tap
                place = np.int32(((tap_h + u * tap_step) * g.kw + tap_w + v * tap_step) * Cin + m0 + m)
                for i in range(LOADS):
                    held[i] = zero
                    if tap < taps and i * STEP < rows:
                        held[i] = w[np.uint32(place + i * STEP), np.uint32((n0 + n) // of_w)]
                if tap > 0:
                    here = np.uint64(turn + t * C_STRIDE + row * K_STRIDE)
                    for q in range(0, QUADS, 2):
                        for j in range(TN):
                            for r in range(2):
                                b[j, r] = filters[here + np.uint64(4 * (q + r) * C_STRIDE + 8 * j * K_STRIDE)]
                        left, right, c = np.uint64(q * CAPACITY), np.uint64((q + 1) * CAPACITY), np.uint64(t)
                        for i in range(TM):
                            upper, lower = np.uint64(start[i, 0] + at), np.uint64(start[i, 1] + at)
                            a = (patch[upper + left, c], patch[lower + left, c],
                                 patch[upper + right, c], patch[lower + right, c])
                            for j in range(TN):
                                total[i, j, 0], total[i, j, 1], total[i, j, 2], total[i, j, 3] = multiply_add(
                                    a, (b[j, 0], b[j, 1]),
                                    (total[i, j, 0], total[i, j, 1], total[i, j, 2], total[i, j, 3]))
                turn = np.int32(FILTERS - turn)
                for i in range(LOADS):
                    if m + i * STEP < ROWS:
                        for q in range(of_w):
                            filters[np.uint64(turn + m * STRIDE + n) + np.uint64(i * STEP * STRIDE + q)] = to_tf32(
                                lane(held[i], q))
                at, v = np.int32(u * patch_w + v), np.int32(v + 1)
                if v == taps_w:
                    u, v = np.int32(u + 1), np.int32(0)
                cuda.syncthreads()

        for i in range(TM):                                  # four lanes write 8 neighbouring numbers: 32 bytes
            for r in range(2):
                at = target[first + 16 * i + 8 * r + row]
                for j in range(TN):
                    for e in range(2):
                        k = k0 + 8 * j + 2 * t + e
                        if at >= 0 and k < K:
                            value = total[i, j, 2 * r + e]
                            if adds:
                                value += added[at, k]
                            y[at, k] = value
    return correlate
