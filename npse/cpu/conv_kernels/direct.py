"""Convolution on the register tile: y and the gradient of x. Letters: as in the book.

No patches are written. A tile of outputs, some neighbouring pixels x some channels, stays in registers during the loop
over the filter's taps and channels. Each pass is a correlation of a source with filters that gives a target. For y the
source is x. For dx the source is dy, the filters are mirrored, and their two channel axes are exchanged. For pixel
(a, b) of the target, tap (i, j) is multiplied by the pixel (u, v) of the source for which

    target_step * u = source_step * a + i - top         and         target_step * v = source_step * b + j - left,

if u and v are whole numbers on the map. For y source_step is the stride, for dx target_step is the stride. A tap of dx
that falls between two pixels of dy takes no time. If all taps do so, as with 1x1 filters and a stride, the kernel
stores zeros.

Two variants share the kernel. They differ in the number of taps of a filter's row in one update of a tile:

    plain     one: a rank-1 update. For dx with a stride, all taps of the row, because each needs other pixels.
    sliding   all, at stride 1: a pixel is loaded once for all taps of the row

While a tile is in registers, an array can be added to it (``plus``), and its pixels can be summed (``sums``).
"""

import functools
from typing import NamedTuple

import numpy as np

from npse.cpu.runtime.jit import kernel
from npse.cpu.runtime.memory_pool import empty
from npse.cpu.runtime.parallel import get_threads, parallel_for
from npse.cpu.simd.tile import lanes, load, prefetch, slide, store, sum_rows, vector_registers, zeros

SCRATCH_BYTES = 2**19 # bytes of the source in use at a time: half of a typical second-level cache


class Layout(NamedTuple):
    """The place where the rows of a map are read: in the map itself, or in scratch memory with zeros around them."""

    copied: bool
    border: int           # zero pixels before a row
    width: int            # pixels of a row, with the zero pixels before and after it

    @classmethod
    def of(cls, border, end, size, overrun=0):
        """Return the layout of a map of ``size`` columns; tiles read -border .. end, and ``overrun`` more numbers."""
        copied = border > 0 or end > size or overrun > 0
        return cls(copied, border, border + end) if copied else cls(copied, 0, size)


def parts(g):
    """Return the number of parts in which `forward` sums a map of y: its rows."""
    return g.Ho


def forward(x, w, g, sums=None, *, sliding):
    """Return y; if an array ``sums`` (2, N, Ho, Cout) is given, write the sums of y and of y^2 over each row to it."""
    y = empty(g.y_shape, x.dtype)
    _correlate(x, y, w, g.stride, 1, g.padding, g.padding, None, sums, sliding)
    return y


def backward_x(dy, w, g, plus=None, *, sliding):
    """Return dx; if an array ``plus`` of its shape is given, return the sum of both."""
    dx = empty(g.x_shape, dy.dtype)
    filters = w[::-1, ::-1].transpose(0, 1, 3, 2)
    _correlate(dy, dx, filters, 1, g.stride, g.kh - 1 - g.padding, g.kw - 1 - g.padding, plus, None, sliding)
    return dx


def _correlate(source, target, w, source_step, target_step, top, left, plus, sums, sliding):
    """Write target (N, rows, columns, K), the correlation of source (N, H, W, C) with w (kh, kw, C, K)."""
    if sliding and source_step * target_step > 1:
        raise ValueError(f"the sliding tile is for stride 1, but the stride is {source_step * target_step}")
    N, _, W, C = source.shape
    _, rows, columns, K = target.shape
    kh, kw = w.shape[:2]
    taps = kw if sliding or target_step > 1 else 1
    pixels, vectors = _tile_shape(K, columns, taps, target_step, target.dtype)
    block = vectors * lanes(target.dtype)
    filters = _packed(w, block, taps)

    covered = -(-columns // pixels) * pixels                      # columns of the target, rounded up to whole tiles
    end = (source_step * (covered - 1) + kw - 1 - left) // target_step + 1
    layout = Layout.of(max(0, left // target_step), end, W)

    def height(band):
        return (source_step * (band - 1) + kh - 1) // target_step + 1

    band = rows_in_scratch(rows, lambda band: height(band) * layout.width * C * source.itemsize)
    bands = -(-rows // band)
    threads = get_threads()
    scratch = empty((threads, height(band) * layout.width * C if layout.copied else 0), source.dtype)
    corner = empty((threads, max(2, pixels), block), source.dtype)
    run = _kernel(pixels, vectors, taps, target_step, left % target_step, C if taps > 1 else 0)
    sizes = kh, kw, source_step, top, left, band, bands
    task = functools.partial(run, source, filters, target, plus, sums, sizes, tuple(layout), scratch, corner)
    parallel_for(task, N * bands, threads=threads, pass_thread=True)


def _tile_shape(channels, columns, taps, multiple, dtype):
    """Return (pixels, vectors) of a tile: half of the registers hold sums, the rest the filters of all its taps."""
    sums = vector_registers()[1] // 2
    count = -(-channels // lanes(dtype))
    vectors = next(v for v in (4, 2, 1) if count % v == 0 and (taps * v < sums or v == 1))
    pixels = sums // vectors
    while pixels // 2 >= max(columns, 4):
        pixels //= 2
    return max(1, pixels // multiple) * multiple, vectors


def rows_in_scratch(rows, size):
    """Return how many output rows to process at a time, so that size(rows) bytes, which they need, fit the scratch."""
    while rows > 1 and size(rows) > SCRATCH_BYTES:
        rows = -(-rows // 2)
    return rows


def _packed(w, block, taps):
    """Return w (kh, kw, C, K) in the order of its use, flat: (channel block, kh, kw / taps, channel, tap, block)."""
    kh, kw, C, K = w.shape
    blocks = -(-K // block)
    if K % block:
        w = np.concatenate([w, np.zeros((kh, kw, C, blocks * block - K), w.dtype)], axis=3)
    packed = empty((blocks, kh, kw // taps, C, taps, block), w.dtype)
    packed[...] = w.reshape(kh, kw // taps, taps, C, blocks, block).transpose(4, 0, 1, 3, 2, 5)
    return packed.reshape(-1)


@functools.cache
def _kernel(pixels, vectors, taps, target_step, phase, channels):
    """Make the kernel for a tile of pixels x vectors; one update covers ``taps`` taps of a filter's row.

    ``channels`` is the number of source channels. If it is known and source_step is 1, all pixels of a tile have
    constant distances from one address. If it is 0 (unknown), each pixel needs its own address, and a tile of several
    taps needs more addresses than the CPU has registers. A tile at the edge of the target goes through ``corner``.
    """
    @kernel
    def correlate(source, filters, target, plus, sums, sizes, layout, scratches, corners, thread, first, last):
        scratch, corner = scratches[thread], corners[thread]
        C = channels or source.shape[3]
        _, H, W, _ = source.shape
        _, rows, columns, K = target.shape
        block, line = corner.shape[1], 64 // source.itemsize
        kh, kw, source_step, top, left, band, bands = sizes
        copied, border, width = layout
        ahead = H if bands == 1 else source_step * band // target_step         # rows from one item to the next
        # The numbers that a row of the target is the first to read; rows that are read in place the CPU prefetches.
        fresh = min(source_step, kh) * W * C if copied or source_step > 1 else 0
        portion = -(-fresh // (-(-columns // pixels) * max(1, kh // target_step)))
        for item in range(first, last):
            n, start = item // bands, item % bands * band
            stop = min(start + band, rows)
            low = max(0, -((top - source_step * start) // target_step))
            high = min(H, (source_step * (stop - 1) + kh - 1 - top) // target_step + 1)
            memory, origin = laid_out(source, n, low, high, layout, scratch)
            origin += (border - left // target_step) * C
            for k in range(0, K, block):
                for a in range(start, stop):
                    next_place = (n * H + source_step * a // target_step + ahead) * W * C
                    next_end = next_place + fresh if k == 0 else 0
                    row_sum = row_squares = zeros(target, 1, vectors)
                    for b in range(0, columns, pixels):
                        to = ((n * rows + a) * columns + b) * K + k
                        for p in range(pixels):
                            prefetch(target, to + K * p, True)
                            if plus is not None:
                                prefetch(plus, to + K * p, False)
                        tile = zeros(target, pixels, vectors)
                        for i in range((top - source_step * a) % target_step, kh, target_step):
                            u = (source_step * a + i - top) // target_step
                            if 0 <= u < H:                        # other rows are only zeros
                                for place in range(next_place, min(next_place + portion, next_end), line):
                                    prefetch(source, place, False)             # a few at a time: CPUs drop some of many
                                next_place += portion
                                at = origin + (u * width + source_step * b // target_step) * C
                                w_at = (k * kh + i * block) * kw * C
                                for j in range(0, kw, taps):
                                    for c in range(C):
                                        tile = slide(tile, memory, at + j * C + c, channels or source_step * C,
                                                     filters, w_at, taps, target_step, phase)
                                        w_at += taps * block
                        if b + pixels <= columns and k + block <= K:
                            if plus is not None:
                                tile = tile + load(plus, to, K, pixels, vectors)
                            store(tile, target, to, K)
                        else:
                            store(tile, corner, 0, block)
                            for p in range(min(pixels, columns - b)):
                                for q in range(min(block, K - k)):
                                    if plus is not None:
                                        corner[p, q] += plus[n, a, b + p, k + q]
                                    target[n, a, b + p, k + q] = corner[p, q]
                            corner[columns - b:] = 0                            # not pixels: they must not be summed
                            tile = load(corner, 0, block, pixels, vectors)
                        if sums is not None:
                            row_sum, row_squares = row_sum + sum_rows(tile), row_squares + sum_rows(tile * tile)
                    if sums is not None:
                        store(row_sum, corner, 0, 0)
                        store(row_squares, corner, block, 0)
                        for q in range(min(block, K - k)):
                            sums[0, n, a, k + q] = corner[0, q]
                            sums[1, n, a, k + q] = corner[1, q]
    return correlate


@kernel
def laid_out(x, n, first, last, layout, scratch):
    """Lay out rows first .. last of map n; return (array, place). Row r begins at array[place + r * width * C]."""
    _, H, W, C = x.shape
    copied, border, width = layout
    if not copied:
        return x.reshape(-1), n * H * W * C
    zero = x.dtype.type(0)
    inside = min(W, width - border)
    for row in range(first, last):
        to, x_row = scratch[(row - first) * width * C:], x[n, row].reshape(-1)
        before, inner, behind = to[:border * C], to[border * C:], to[(border + inside) * C:width * C]
        for q in range(len(before)):
            before[q] = zero
        for q in range(inside * C):
            inner[q] = x_row[q]
        for q in range(len(behind)):
            behind[q] = zero
    return scratch, -first * width * C
