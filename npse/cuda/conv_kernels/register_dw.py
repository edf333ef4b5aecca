"""Convolution, variant 3, gradient of the filters: register tiles over taps, sums over pixels.

    dw[tap, c, k] = sum over pixels of  x[pixel + tap, c] * dy[pixel, k]

A thread computes ROWS vectors (one tap and four channels of x each) by TN channels of dy. With 2 x 8, it reads two
vectors of x and two of dy for each pixel, and computes 64 products. They are 64 of 91 instructions in the machine code
of this loop. As in the forward pass, shared memory contains the patch of x that a box of pixels needs, so all taps use
each loaded element.

Few filters need few threads (3x3 from 16 to 16 channels: 36 of 160). Therefore the threads form groups, which divide
the pixels of a box, and the blocks divide the boxes. The sums of the groups are added in shared memory. A second kernel
adds the sums of the blocks. Two blocks of 160 threads share a multiprocessor; a thread has up to 168 registers.
"""

import functools
from typing import NamedTuple

import numpy as np
from numba import cuda

from npse.cuda.conv_kernels.patches import fit, reader
from npse.cuda.conv_kernels.register import ALIGNED, bounded, pixels_of, threads_across
from npse.cuda.conv_kernels.windows import find_for_dw, side, start_of
from npse.cuda.runtime.device import SIMULATED, empty, launch
from npse.cuda.runtime.partial_sums import add_rows, parts_for
from npse.cuda.runtime.vectors import in_vectors
from npse.support.arithmetic import ceil_div

CAPACITY = 40 if SIMULATED else 394        # 8n + 2: the four vectors of a pixel with 16 channels are in different banks


class Tile(NamedTuple):
    """The tile of a block: ``threads`` threads compute ROWS vectors by TN channels of dy, ``across`` of them side by
    side. The block takes ``depth`` channels of x, at most ``capacity`` pixels in a patch and ``pixels`` in a box."""

    threads: int
    ROWS: int
    TN: int
    across: int
    depth: int
    capacity: int
    pixels: int

    @property
    def channels(self):
        return self.across * self.TN


def hardware_tile(dtype, C, K):
    """Return the tile for filters from C to K channels.

    With 160 threads, a block computes 9 taps of 16 channels by 64 channels; for 32 or 16 channels it has 2 or 4 groups.
    """
    across = threads_across(K)
    double = np.dtype(dtype).itemsize > 4
    rows, depth, elements = (1, 8, 2048) if double else (2, 16, 4096)
    if C <= 4:
        depth = 4
    return Tile(160, rows, 8, across, depth, CAPACITY, elements // (8 * across))


def simulator_tile(dtype, C, K):
    """Return the same for the simulator, which needs much time for a thread."""
    return Tile(8, 2, 4, 2, 4, CAPACITY, 8)


tile_for = simulator_tile if SIMULATED else hardware_tile


def backward_w(dy, x, g):
    tile = tile_for(x.dtype, g.Cin, g.Cout)
    box, boxes = fit((g.N, g.Ho, g.Wo), (g.kh, g.kw), g.stride, tile.pixels, tile.capacity)
    vectors = g.kh * g.kw * (tile.depth // 4)
    bands = ceil_div(vectors, tile.threads // tile.across * tile.ROWS)     # groups of taps, if a block cannot take all
    lanes = ceil_div(vectors, bands * tile.ROWS)
    chunks, columns = ceil_div(g.Cin, tile.depth), ceil_div(g.Cout, tile.channels)
    parts = parts_for(boxes, bands * chunks * columns)
    dw = empty((parts, g.kh * g.kw, g.Cin, g.Cout), x.dtype)
    (of_dy, dy), (of_x, x) = in_vectors(pixels_of(dy)), in_vectors(pixels_of(x))
    launch(_products(tile, of_dy, of_x), (parts, bands * chunks, columns), tile.threads,
           dy, x, dw, g, box, boxes, lanes)
    return add_rows(dw.reshape(parts, dw.size // parts)).reshape(g.w_shape)


@functools.cache
def _products(tile, of_dy, of_x):
    """Make the kernel for vectors of so many lanes in dy and in x."""
    THREADS, ROWS, TN, ACROSS, DEPTH, CAPACITY, PIXELS = tile
    QUADS, CHANNELS, GROUPS = DEPTH // 4, tile.channels, tile.channels // 4
    patch_shape, dy_shape, products, vectors = (QUADS * CAPACITY, 4), (PIXELS * GROUPS, 4), (ROWS, 4, TN), (ROWS, 4)
    read_x, read_dy = reader(THREADS, DEPTH, CAPACITY, 1, of_x), reader(THREADS, CHANNELS, 1, GROUPS, of_dy)

    @bounded(THREADS, 2)
    def products_of_taps(dy, x, dw, g, box, boxes, lanes):
        """dy (N * Ho * Wo, Cout), x (N * H * W, Cin) -> dw (parts, kh * kw, Cin, Cout)."""
        patch = cuda.shared.array(patch_shape, dw.dtype, ALIGNED)
        gradient = cuda.shared.array(dy_shape, dw.dtype, ALIGNED)
        source = cuda.shared.array(CAPACITY, np.int32)       # the pixel of x that a pixel of the patch is; -1 for none
        target = cuda.shared.array(PIXELS, np.int32)         # the pixel of dy that a pixel of the box is; -1 for none
        start = cuda.shared.array(PIXELS, np.int32)          # where in the patch the window of a pixel begins
        total = cuda.local.array(products, dw.dtype)
        vector = cuda.local.array(vectors, dw.dtype)
        offset = cuda.local.array(ROWS, np.int32)            # of each vector of a thread from this place
        t = cuda.threadIdx.x
        tx, lane, group = t % ACROSS, np.int32(t // ACROSS % lanes), np.int32(t // ACROSS // lanes)
        groups = np.int32(THREADS // ACROSS // lanes)        # the remaining threads only help to load
        chunks = (g.Cin + DEPTH - 1) // DEPTH
        c0, k0 = np.int32(cuda.blockIdx.y % chunks * DEPTH), np.int32(cuda.blockIdx.z * CHANNELS)
        first = np.int32(cuda.blockIdx.y // chunks * lanes * ROWS)     # the first vector of this block
        zero = dw.dtype.type(0)

        stride_h, between_h, patch_h = side(box.h, g.kh, g.stride)
        stride_w, between_w, patch_w = side(box.w, g.kw, g.stride)
        live, seen = np.int32(box.n * box.h * box.w), np.int32(box.n * patch_h * patch_w)
        for m in range(t, live, THREADS):
            start[m] = start_of(m, box, stride_h, stride_w, patch_h, patch_w)
        for r in range(ROWS):
            tap, quad = (first + r * lanes + lane) // QUADS, (first + r * lanes + lane) % QUADS
            offset[r] = quad * CAPACITY + tap // g.kw * patch_w + tap % g.kw if tap < g.kh * g.kw else 0
            for q in range(4):
                for j in range(TN):
                    total[r, q, j] = zero

        for number in range(cuda.blockIdx.x, boxes, cuda.gridDim.x):
            find_for_dw(number, g, box, between_h, between_w, patch_h, patch_w, source, target)
            cuda.syncthreads()
            read_x(x, c0, source, seen, patch)
            read_dy(dy, k0, target, live, gradient)
            cuda.syncthreads()
            if group < groups:
                for m in range(group, live, groups):
                    at = start[m]
                    for r in range(ROWS):
                        for q in range(4):
                            vector[r, q] = patch[np.uint32(at + offset[r]), q]
                    for j in range(TN):
                        d = gradient[np.uint32(m * GROUPS + j // 4 * ACROSS + tx), j % 4]
                        for r in range(ROWS):
                            for q in range(4):
                                total[r, q, j] += vector[r, q] * d
            cuda.syncthreads()

        for e in range(4 * ROWS):
            place = first + e // 4 * lanes + lane
            tap, c = place // QUADS, c0 + place % QUADS * 4 + e % 4
            for r in range(ROWS):
                for q in range(4):
                    if e == 4 * r + q:                       # arrays in registers need constant indices
                        for j in range(TN):
                            patch[np.uint32(j // 4 * THREADS + t), j % 4] = total[r, q, j]
            cuda.syncthreads()
            rest = groups
            while rest > 1:                                  # a tree over the groups
                half = (rest + 1) // 2
                if group + half < rest:
                    for j in range(TN):
                        patch[np.uint32(j // 4 * THREADS + t), j % 4] += patch[
                            np.uint32(j // 4 * THREADS + t + half * lanes * ACROSS), j % 4]
                cuda.syncthreads()
                rest = half
            if group == 0 and tap < g.kh * g.kw and c < g.Cin:
                for j in range(TN):
                    k = k0 + 4 * (j // 4 * ACROSS + tx) + j % 4
                    if k < g.Cout:
                        dw[cuda.blockIdx.x, tap, c, k] = patch[np.uint32(j // 4 * THREADS + t), j % 4]
    return products_of_taps
