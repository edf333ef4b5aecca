"""Convolution on the register tile: the gradient of w. Letters: as in the book.

dw[i, j, c, k] sums x[h, v, c] * dy[a, b, k] over all pixels, with a rank-1 update for each pixel. A tile of dw stays in
registers for a whole map. Two variants share the kernel. They differ in the rows and the vectors of the tile:

    plain     rows: the run of kw*Cin numbers that a row of the filter covers at one output pixel; vectors: its dy
    sliding   rows: the channels of one pixel of x; vectors: dy at the kw output pixels that use it, one for each tap

The second, for stride 1, loads less: a number from x is loaded once for all taps of a row. A map that needs no border
of zeros, such as x in the second variant, is not copied. With groups or dilation the run of the first variant is that
of a single tap: D numbers of one group.

Images are summed part by part, then the parts in order, so that the bits do not depend on the number of threads.
"""

import functools

import numpy as np

from npse.cpu.conv_kernels.direct import Layout, laid_out, rows_in_scratch
from npse.cpu.runtime.jit import kernel
from npse.cpu.runtime.memory_pool import empty, empty_together
from npse.cpu.runtime.parallel import get_threads, parallel_for
from npse.cpu.simd.tile import lanes, load, outer, prefetch, store, vector_registers, zeros

PARTS = 16            # partial sums of dw, for any number of threads; fewer
PARTS_MEMORY = 20 * 2**20  # if together they would take more bytes than this
RANGE = 2**16         # elements of dw that are summed over the parts at a time


def backward_w(dy, x, g, sliding):
    """Return dw: (N, Ho, Wo, Cout), (N, H, W, Cin) -> (kh, kw, D, Cout)."""
    if sliding and g.stride > 1:
        raise ValueError(f"the sliding tile is for stride 1, but the stride is {g.stride}")
    size = lanes(x.dtype)
    vectors = 1 if size >= g.K else 2
    if sliding:
        vectors = g.kw
    block = size if sliding else vectors * size                   # channels of dy
    whole_row = g.groups == g.dilation == 1 and not sliding       # one run for all taps of a row
    run = g.kw * g.D if whole_row else g.D                        # numbers of x
    taps = 1 if whole_row or sliding else g.kw
    rows = _tile_rows(run, vectors)
    reach_x = g.dilation * (g.kw - 1)
    if sliding:                                                   # tap j used pixel v of x for dy at v + padding - d*j
        columns, vector_step, dy_first = g.W, -g.dilation * g.Cout, max(g.padding, reach_x)
        x_layout = Layout.of(0, g.W, g.W, run % rows)
        dy_layout = Layout.of(dy_first - g.padding, g.W + g.padding, g.Wo, g.K % block)
    else:
        columns, vector_step, dy_first = g.Wo, size, 0
        x_layout = Layout.of(g.padding, g.stride * (g.Wo - 1) + reach_x + 1 - g.padding, g.W, run % rows)
        dy_layout = Layout.of(0, g.Wo, g.Wo, g.K % block)

    def numbers(band):                                            # tiles read numbers after the last pixel
        x_rows = g.stride * (band - 1) + g.dilation * (g.kh - 1) + 1
        return x_rows * x_layout.width * g.Cin + rows, band * dy_layout.width * g.Cout + block

    band = rows_in_scratch(g.Ho, lambda band: sum(numbers(band)) * x.dtype.itemsize)
    bands = -(-g.Ho // band)
    blocks = -(-g.K // block)
    shape = g.groups * blocks, g.kh, taps, -(-run // rows), rows, vectors, size
    length = int(np.prod(shape))
    items = g.N * bands
    items_of_part = -(-items // max(1, min(PARTS, PARTS_MEMORY // (length * x.dtype.itemsize))))
    sizes = (g.kh, taps, g.groups, g.dilation, g.stride, g.padding, run, columns, block, size, vector_step, dy_first,
             band, bands, items_of_part)
    threads = get_threads()
    scratches = ((threads, count if layout.copied else 0)
                 for count, layout in zip(numbers(band), (x_layout, dy_layout), strict=True))
    parts, total, *scratches = empty_together(x.dtype, (-(-items // items_of_part), length), (length,), *scratches)
    task = functools.partial(_kernel(rows, vectors), dy, x, parts, sizes, tuple(x_layout), tuple(dy_layout), *scratches)
    parallel_for(task, len(parts), 1, threads=threads, pass_thread=True)
    parallel_for(functools.partial(_sum_parts, parts, total), length, RANGE)
    dw, columns = empty(g.w_shape, x.dtype), vectors if sliding else taps
    tiles = total.reshape(g.groups, blocks, g.kh, taps, -1, vectors * size)
    task = functools.partial(_arrange, tiles, sliding, block, dw.reshape(g.kh, columns, run, g.groups, g.K))
    parallel_for(task, g.kh * columns)
    return dw


@kernel
def _arrange(tiles, sliding, block, dw, first, last):
    """Write dw (kh, columns, run, groups, K) from tiles (groups, blocks, kh, taps, rows, numbers)."""
    _, columns, run, groups, _ = dw.shape
    for item in range(first, last):
        i, j = item // columns, item % columns
        tap, begin = (0, j * block) if sliding else (j, 0)
        for r in range(run):
            for group in range(groups):
                for number in range(tiles.shape[1]):
                    k = number * block
                    numbers, row = tiles[group, number, i, tap, r, begin:], dw[i, j, r, group, k:k + block]
                    for q in range(len(row)):
                        row[q] = numbers[q]


def _tile_rows(run, vectors):
    """Return the rows of a tile. Sums take three quarters of the registers, or fewer if the run then divides evenly."""
    tiles = -(-run // max(1, vector_registers()[1] * 3 // 4 // vectors))
    tiles = next((more for more in range(tiles, 2 * tiles) if run % more == 0), tiles)
    return -(-run // tiles)


@functools.cache
def _kernel(rows, vectors):
    """Make the kernel that writes parts (parts, length). Each part is the sum of dw over some images, in tiles."""
    @kernel
    def gradient(dy, x, parts, sizes, x_layout, dy_layout, x_scratches, dy_scratches, thread, first, last):
        x_scratch, dy_scratch = x_scratches[thread], dy_scratches[thread]
        N, H, W, C = x.shape
        _, Ho, Wo, K = dy.shape
        (kh, taps, groups, dilation, stride, padding, run, columns, block, lanes, vector_step, dy_first, band, bands,
         items_of_part) = sizes
        (_, _, x_width), (_, _, dy_width) = x_layout, dy_layout
        D, of_group = C // groups, K // groups                    # of_group: channels of dy in a group
        blocks = -(-of_group // block)
        x_ahead, dy_ahead = (H, Ho) if bands == 1 else (stride * band, band)   # rows from one item to the next
        x_fresh, dy_fresh = min(stride, kh) * W * C, Wo * K       # numbers that a row of outputs is the first to read
        line, tiles = 64 // x.itemsize, groups * blocks * kh * taps * -(-run // rows)
        x_portion, dy_portion = max(8 * line, -(-x_fresh // tiles)), max(8 * line, -(-dy_fresh // tiles))
        for part in range(first, last):
            parts[part] = 0
            for item in range(part * items_of_part, min((part + 1) * items_of_part, N * bands)):
                n, start = item // bands, item % bands * band
                stop = min(start + band, Ho)
                low = max(0, stride * start - padding)
                high = min(H, stride * (stop - 1) + dilation * (kh - 1) + 1 - padding)
                x_memory, x_origin = laid_out(x, n, low, high, x_layout, x_scratch)
                dy_memory, dy_origin = laid_out(dy, n, start, stop, dy_layout, dy_scratch)
                to, x_turn, dy_turn = part * parts.shape[1], 0, 0
                for number in range(groups * blocks):
                    group = number // blocks
                    k = group * of_group + number % blocks * block
                    for tap in range(kh * taps):
                        i, j = dilation * (tap // taps), dilation * (tap % taps)
                        top = max(start, -(-(padding - i) // stride))          # other rows are only zeros
                        end = min(stop, (H - 1 + padding - i) // stride + 1)
                        for q in range(group * D, group * D + run, rows):
                            tile = zeros(dy, rows, vectors)
                            for a in range(top, end):
                                x_row, dy_row = (n * H + stride * a + x_ahead) * W * C, (n * Ho + a + dy_ahead) * Wo * K
                                for place in range(x_turn, min(x_turn + x_portion, x_fresh), line):
                                    prefetch(x, x_row + place, False)          # a few at a time: CPUs drop some of many
                                for place in range(dy_turn, min(dy_turn + dy_portion, dy_fresh), line):
                                    prefetch(dy, dy_row + place, False)
                                x_at = x_origin + ((stride * a + i - padding) * x_width + j) * C + q
                                dy_at = dy_origin + (a * dy_width + dy_first) * K + k
                                for b in range(columns):
                                    tile = outer(tile, x_memory, x_at + b * stride * C, 1,
                                                 dy_memory, dy_at + b * K, vector_step)
                            store(tile + load(parts, to, vectors * lanes, rows, vectors), parts, to, vectors * lanes)
                            to += rows * vectors * lanes
                            x_turn += x_portion
                            dy_turn += dy_portion
    return gradient


@kernel
def _sum_parts(parts, dw, first, last):
    """Add the parts, in order, to elements first .. last of dw: (parts, length) -> (length,)."""
    dw = dw[first:last]
    dw[:] = 0
    for part in range(len(parts)):
        numbers = parts[part, first:last]
        for q in range(len(dw)):
            dw[q] += numbers[q]
