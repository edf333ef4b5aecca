"""Convolution, variant 4, gradient of the filters: tensor cores, sums over pixels. Factors are rounded to tf32.

    dw[tap, c, k] = sum over pixels of  x[pixel + tap, c] * dy[pixel, k]

As in variant 3, shared memory contains the patch of x that a box of pixels needs, and dy of these pixels. A warp takes
TM taps of 16 channels of x: for each tap a matrix product whose rows are channels of x, and whose columns are channels
of dy. A step of the tensor cores is the sum over 8 pixels. ``down`` warps have different taps, ``across`` warps the
same taps and other channels of dy. If that leaves warps over, there are several groups, which divide the pixels; their
sums are added in shared memory. The blocks divide the boxes, and a second kernel adds the sums of the blocks.

    patch       [4 channels of c][pixel of the patch][channel]   8 channels of 4 neighbouring pixels are in 32 banks
    gradient    [pixel of the box][k]                            a row is 8 elements longer than its channels: 8 of them
                                                                 of 4 pixels are in 32 banks

In the machine code of the loop over pixels (64 filters, compute capability 9.0) 12 of 72 instructions are products,
each of them 1024 multiply-adds.
"""

import functools
from typing import NamedTuple

import numpy as np
from numba import cuda

from npse.cuda.conv_kernels.patches import fit, reader
from npse.cuda.conv_kernels.register import ALIGNED, bounded, pixels_of
from npse.cuda.conv_kernels.windows import find_for_dw, side, start_of
from npse.cuda.runtime.block_reduce import WARP
from npse.cuda.runtime.device import SIMULATED, empty, launch
from npse.cuda.runtime.partial_sums import add_rows, parts_for
from npse.cuda.runtime.tensor_core import multiply_add, to_tf32
from npse.cuda.runtime.vectors import in_vectors
from npse.support.arithmetic import ceil_div

CAPACITY = 44 if SIMULATED else 292        # 8n + 4, for the banks of the patch
WARPS = 2 if SIMULATED else 6              # of a block, at most
DEPTH = 16                                 # channels of x in a patch: the rows of a matrix


class Tile(NamedTuple):
    """The tile of a block: ``groups`` groups of ``down`` x ``across`` warps. Each warp computes TM taps of 16 channels
    of x by 8 * TN channels of dy. A patch has at most ``capacity`` pixels, a box at most ``pixels``."""

    down: int
    across: int
    groups: int
    TM: int
    TN: int
    capacity: int
    pixels: int

    @property
    def threads(self):
        return WARP * self.down * self.across * self.groups

    @property
    def channels(self):
        return 8 * self.TN * self.across

    @property
    def padded(self):
        """The pixels of a box, up to the last step of all groups."""
        return ceil_div(self.pixels, 8 * self.groups) * 8 * self.groups


def arranged(taps, across, TN, pixels):
    """Return the tile for so many taps: as many warps as they need, and groups of those that are left."""
    TM = min(taps, 3)
    down = ceil_div(taps, TM * ceil_div(taps, TM * (WARPS // across)))
    return Tile(down, across, WARPS // (down * across), TM, TN, CAPACITY, pixels)


def hardware_tile(taps, K):
    """Return the tile for filters of so many taps and K channels of dy.

    A warp has up to 3 x 4 matrices of dw, in 48 registers of each lane; so three warps have a 3x3 filter.
    """
    return arranged(taps, 1, 2, 128) if K <= 16 else arranged(taps, 1, 4, 128) if K <= 32 else arranged(taps, 2, 4, 64)


def simulator_tile(taps, K):
    """Return the same for the simulator, which needs much time for a thread."""
    return arranged(taps, 1 if K <= 8 else 2, 1, 16)


tile_for = simulator_tile if SIMULATED else hardware_tile


def backward_w(dy, x, g):
    taps = g.kh * g.kw
    tile = tile_for(taps, g.Cout)
    box, boxes = fit((g.N, g.Ho, g.Wo), (g.kh, g.kw), g.stride, tile.pixels, tile.capacity)
    bands = ceil_div(taps, tile.down * tile.TM)                           # of taps, if a block cannot take all
    chunks, stacks = ceil_div(g.Cin, DEPTH), ceil_div(g.Cout, tile.channels)
    parts = parts_for(boxes, bands * chunks * stacks)
    dw = empty((parts, taps, g.Cin, g.Cout), x.dtype)
    (of_dy, dy), (of_x, x) = in_vectors(pixels_of(dy)), in_vectors(pixels_of(x))
    launch(_products(tile, of_dy, of_x), (parts, bands * chunks, stacks), tile.threads, dy, x, dw, g, box, boxes)
    return add_rows(dw.reshape(parts, dw.size // parts)).reshape(g.w_shape)


@functools.cache
def _products(tile, of_dy, of_x):
    """Make the kernel for vectors of so many lanes in dy and in x."""
    DOWN, ACROSS, GROUPS, TM, TN, CAPACITY, _ = tile
    THREADS, PIXELS, CHANNELS = tile.threads, tile.padded, tile.channels
    STRIDE = CHANNELS // 4 + 2                               # of a pixel of dy, in vectors of four elements
    LOWER = 2 * CAPACITY                                     # from channel c to channel c + 8 of a patch, the same
    patch_shape, dy_shape, sums, factors = (DEPTH // 4 * CAPACITY, 4), (PIXELS * STRIDE, 4), (TM, TN, 4), (TN, 2)
    read_x = reader(THREADS, DEPTH, CAPACITY, 1, of_x, to_tf32)
    read_dy = reader(THREADS, CHANNELS, 1, STRIDE, of_dy, to_tf32)

    @bounded(THREADS, 2)
    def products_of_taps(dy, x, dw, g, box, boxes):
        """dy (N * Ho * Wo, Cout), x (N * H * W, Cin) -> dw (parts, kh * kw, Cin, Cout)."""
        patch = cuda.shared.array(patch_shape, dw.dtype, ALIGNED)
        gradient = cuda.shared.array(dy_shape, dw.dtype, ALIGNED)
        source = cuda.shared.array(CAPACITY, np.int32)       # the pixel of x that a pixel of the patch is; -1 for none
        target = cuda.shared.array(PIXELS, np.int32)         # the pixel of dy that a pixel of the box is; -1 for none
        start = cuda.shared.array(PIXELS, np.int32)          # where in the patch the window of a pixel begins
        total = cuda.local.array(sums, dw.dtype)
        b = cuda.local.array(factors, dw.dtype)
        offset = cuda.local.array(TM, np.int32)              # of the window's pixel for a tap from this place
        thread = np.int32(cuda.threadIdx.x)
        row, t, warp = thread % WARP // 4, thread % 4, thread // WARP
        member, group = warp % (DOWN * ACROSS), warp // (DOWN * ACROSS)
        column = member % ACROSS * TN                        # the first matrix of this warp
        chunks = (g.Cin + DEPTH - 1) // DEPTH
        c0, k0 = np.int32(cuda.blockIdx.y % chunks * DEPTH), np.int32(cuda.blockIdx.z * CHANNELS)
        first = np.int32((cuda.blockIdx.y // chunks * DOWN + member // ACROSS) * TM)     # the first tap of this warp
        zero = dw.dtype.type(0)

        stride_h, between_h, patch_h = side(box.h, g.kh, g.stride)
        stride_w, between_w, patch_w = side(box.w, g.kw, g.stride)
        live, seen = np.int32(box.n * box.h * box.w), np.int32(box.n * patch_h * patch_w)
        for m in range(thread, PIXELS, THREADS):
            start[m] = start_of(m, box, stride_h, stride_w, patch_h, patch_w)
        live = np.int32((live + 8 * GROUPS - 1) // (8 * GROUPS) * (8 * GROUPS))          # dy is 0 beyond the box
        for i in range(TM):
            tap = first + i
            offset[i] = row // 4 * CAPACITY + (tap // g.kw * patch_w + tap % g.kw if tap < g.kh * g.kw else 0)
            for j in range(TN):
                for r in range(4):
                    total[i, j, r] = zero

        for number in range(cuda.blockIdx.x, boxes, cuda.gridDim.x):
            find_for_dw(number, g, box, between_h, between_w, patch_h, patch_w, source, target)
            cuda.syncthreads()
            read_x(x, c0, source, seen, patch)
            read_dy(dy, k0, target, live, gradient)
            cuda.syncthreads()
            for m in range(8 * group, live, 8 * GROUPS):
                here = np.uint64((m + t) * STRIDE + 2 * column + row // 4)
                for j in range(TN):
                    for r in range(2):
                        b[j, r] = gradient[here + np.uint64(4 * r * STRIDE + 2 * j), np.uint64(row % 4)]
                left, right, c = start[np.uint32(m + t)], start[np.uint32(m + t + 4)], np.uint64(row % 4)
                for i in range(TM):
                    before, after, lower = np.uint64(left + offset[i]), np.uint64(right + offset[i]), np.uint64(LOWER)
                    a = patch[before, c], patch[before + lower, c], patch[after, c], patch[after + lower, c]
                    for j in range(TN):
                        total[i, j, 0], total[i, j, 1], total[i, j, 2], total[i, j, 3] = multiply_add(
                            a, (b[j, 0], b[j, 1]), (total[i, j, 0], total[i, j, 1], total[i, j, 2], total[i, j, 3]))
            cuda.syncthreads()

        place = np.int32(member * (TM * TN * WARP) + thread % WARP)
        for other in range(1, GROUPS):                       # add the sums of the other groups to those of the first
            for i in range(TM):
                for j in range(TN):
                    for r in range(4):
                        if group == other:
                            patch[np.uint32(place + (i * TN + j) * WARP), r] = total[i, j, r]
            cuda.syncthreads()
            for i in range(TM):
                for j in range(TN):
                    for r in range(4):
                        if group == 0:
                            total[i, j, r] += patch[np.uint32(place + (i * TN + j) * WARP), r]
            cuda.syncthreads()

        for i in range(TM):                                  # four lanes write 8 neighbouring numbers: 32 bytes
            for j in range(TN):
                for r in range(4):
                    c, k = c0 + row + r // 2 * 8, k0 + 8 * (column + j) + 2 * t + r % 2
                    if group == 0 and first + i < g.kh * g.kw and c < g.Cin and k < g.Cout:
                        dw[cuda.blockIdx.x, first + i, c, k] = total[i, j, r]
    return products_of_taps
