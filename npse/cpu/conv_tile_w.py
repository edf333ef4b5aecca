"""Convolution on the register tile: the gradient of w. Letters: as in the book.

dw[i, j, c, k] sums x[h, v, c] * dy[a, b, k] over all pixels: a rank-1 update for each. A tile of dw stays in registers
over a whole map. Two rungs share the kernel; they differ in what stands at the rows and the vectors of the tile:

    plain     rows: the run of kw*Cin numbers that a row of the filter sees at one output pixel; vectors: its dy
    sliding   rows: the channels of one pixel of x; vectors: dy at the kw output pixels that saw it, one for each tap

The second, for stride 1, loads less: a number from x meets all taps of a row while it is in a register.

Images are summed part by part, then the parts in order, so that the bits do not depend on the number of threads.
"""

import functools

import numpy as np

from npse.cpu.buffers import empty
from npse.cpu.compile import kernel
from npse.cpu.conv_tile import copy_with_border, rows_in_scratch
from npse.cpu.threads import share
from npse.cpu.tile import lanes, load, outer, prefetch, store, vector_registers, zeros

PARTS = 16            # partial sums of dw, whatever the number of threads,
PARTS_MEMORY = 2**26  # unless they took more bytes than this together
RANGE = 2**12         # numbers of dw that are summed over the parts at a time


def backward_w(dy, x, g, sliding):
    if sliding and g.stride > 1:
        raise ValueError(f"the sliding tile is for stride 1, but the stride is {g.stride}")
    size = lanes(g.dtype)
    vectors = g.kw if sliding else 1 if g.Cout <= size else 2
    block = size if sliding else vectors * size                   # channels of dy
    run = g.Cin if sliding else g.kw * g.Cin                      # numbers of x
    rows = _tile_rows(run, vectors)
    if sliding:                                                   # pixel v of x met dy at v + padding - j with tap j
        columns, x_left, dy_left, x_step, vector_step = g.W, 0, g.kw - 1 - g.padding, g.Cin, -g.Cout
        x_width, dy_width, dy_first = g.W, g.W + g.kw - 1, g.kw - 1
    else:
        columns, x_left, dy_left, x_step, vector_step = g.Wo, g.padding, 0, g.stride * g.Cin, size
        x_width, dy_width, dy_first = g.stride * (g.Wo - 1) + g.kw, g.Wo, 0

    def height(band):
        return g.stride * (band - 1) + g.kh

    def numbers(band):                                            # tiles reach beyond the last pixel
        return height(band) * x_width * g.Cin + rows, band * dy_width * g.Cout + block

    band = rows_in_scratch(g.Ho, lambda band: sum(numbers(band)) * g.dtype.itemsize)
    bands = -(-g.Ho // band)
    shape = -(-g.Cout // block), g.kh, -(-run // rows), rows, vectors, size
    length = int(np.prod(shape))
    items = g.N * bands
    items_of_part = -(-items // max(1, min(PARTS, PARTS_MEMORY // (length * g.dtype.itemsize))))
    parts = empty((-(-items // items_of_part), length), g.dtype)
    sizes = np.array([g.kh, run, g.stride, g.padding, columns, x_left, x_width, x_step, dy_left, dy_width, dy_first,
                      vector_step, height(band), band, bands, items_of_part], np.int64)
    run_parts = _kernel(rows, vectors)

    def task(first, last):
        x_scratch, dy_scratch = (empty((count,), g.dtype) for count in numbers(band))
        run_parts(dy, x, parts, block, sizes, x_scratch, dy_scratch, first, last)

    share(task, len(parts), 1)
    dw = np.zeros(length)
    share(functools.partial(_sum_parts, parts, dw), length, RANGE)
    dw = dw.reshape(shape).transpose(1, 4, 2, 3, 0, 5) if sliding else dw.reshape(shape).transpose(1, 2, 3, 0, 4, 5)
    dw = dw.reshape(g.kh, -1, shape[2] * rows, shape[0] * block)[:, :, :run, :g.Cout]
    return dw.reshape(g.w_shape).astype(g.dtype)


def _tile_rows(run, vectors):
    """Return the rows of a tile: sums in three quarters of the registers, fewer where half of them cover the run."""
    rows = max(1, vector_registers()[1] * 3 // 4 // vectors)
    while rows // 2 >= max(run, 4):
        rows //= 2
    return rows


@functools.cache
def _kernel(rows, vectors):
    @kernel
    def gradient(dy, x, parts, block, sizes, x_scratch, dy_scratch, first, last):
        N, H, W, C = x.shape
        _, Ho, Wo, K = dy.shape
        line = 64 // x.itemsize
        kh, run, stride, padding, columns, x_left, x_width, x_step, dy_left, dy_width, dy_first, \
            vector_step, height, band, bands, items_of_part = sizes
        x_ahead, dy_ahead = (H, Ho) if bands == 1 else (stride * band, band)
        lanes = parts.shape[1] // (-(-K // block) * kh * -(-run // rows) * rows * vectors)
        for part in range(first, last):
            parts[part] = 0
            for item in range(part * items_of_part, min((part + 1) * items_of_part, N * bands)):
                n, start = item // bands, item % bands * band
                copy_with_border(x, n, stride * start - padding, x_left, x_scratch, height, x_width)
                copy_with_border(dy, n, start, dy_left, dy_scratch, band, dy_width)
                to = part * parts.shape[1]
                for k in range(0, K, block):
                    for i in range(kh):
                        top = max(start, -(-(padding - i) // stride))          # other rows meet zeros alone
                        end = min(start + band, Ho, (H - 1 + padding - i) // stride + 1)
                        for q in range(0, run, rows):
                            tile = zeros(dy, rows, vectors)
                            for a in range(top, end):
                                if k == q == 0 and i == kh // 2:
                                    for place in range(0, stride * W * C, line):
                                        prefetch(x, (n * H + stride * a + x_ahead) * W * C + place, False)
                                    for place in range(0, Wo * K, line):
                                        prefetch(dy, (n * Ho + a + dy_ahead) * Wo * K + place, False)
                                x_at = (stride * (a - start) + i) * x_width * C + q
                                dy_at = ((a - start) * dy_width + dy_first) * K + k
                                for b in range(columns):
                                    tile = outer(tile, x_scratch, x_at + b * x_step, 1,
                                                 dy_scratch, dy_at + b * K, vector_step)
                            store(tile + load(parts, to, vectors * lanes, rows, vectors), parts, to, vectors * lanes)
                            to += rows * vectors * lanes
    return gradient


@kernel
def _sum_parts(parts, dw, first, last):
    dw = dw[first:last]
    for part in range(len(parts)):
        numbers = parts[part, first:last]
        for q in range(len(dw)):
            dw[q] += numbers[q]
