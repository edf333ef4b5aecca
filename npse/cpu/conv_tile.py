"""Convolution on the register tile: y and the gradient of x. Letters: as in the book.

No patches are written. A tile of outputs, some neighbouring pixels x some channels, stays in registers while the filter
runs over its taps and channels. Two rungs share the kernel:

    plain     one tap at a time, a rank-1 update: any filter, any stride
    sliding   a whole row of the filter at once, at stride 1: a pixel is loaded once for all taps of the row

The gradient of x is a correlation too. At stride 1 it runs over dy, with the filters mirrored and their two channel
axes exchanged. At stride s the pixels of dx fall into s x s interleaved grids that meet taps of their own: so many
small correlations at stride 1, without a single product by an inserted zero. What the kernel computes is therefore
the correlation of a source with the filters of one or several grids of target pixels.
"""

import functools
from typing import NamedTuple

import numpy as np

from npse.cpu.buffers import empty
from npse.cpu.compile import kernel
from npse.cpu.threads import share
from npse.cpu.tile import lanes, prefetch, slide, store, vector_registers, zeros

SCRATCH = 2**19       # bytes: parts of the source are copied, zeros around them, into a core's second-level cache


class Grid(NamedTuple):
    """Every so many-th pixel of the target; the filter of its pixel (0, 0) begins ``top`` rows above the source."""

    row: int              # where pixel (0, 0) lies in the target
    column: int
    rows: int             # how many pixels there are
    columns: int
    top: int
    left: int
    filters: np.ndarray   # (kh, kw, source channels, target channels)


def forward(x, w, g, sliding):
    y = empty(g.y_shape, g.dtype)
    _correlate(x, y, [Grid(0, 0, g.Ho, g.Wo, g.padding, g.padding, w)], g.stride, 1, sliding)
    return y


def backward_x(dy, w, g, sliding):
    dx = empty(g.x_shape, g.dtype)
    s = g.stride
    rows, columns = ([_grid_axis(first, k, s, g.padding, size) for first in range(s)]
                     for k, size in ((g.kh, g.H), (g.kw, g.W)))
    grids = [Grid(row, column, height, width, top, left, w[i::s, j::s][::-1, ::-1].transpose(0, 1, 3, 2))
             for row, (height, top, i) in enumerate(rows) for column, (width, left, j) in enumerate(columns)]
    _correlate(dy, dx, grids, 1, s, sliding)
    return dx


def _grid_axis(first, k, stride, padding, size):
    """For pixels first, first + stride, ... along an axis of dx: how many there are, ``top``, the first of their taps.

    Pixel h met tap i at output (h + padding - i) / stride, where that is a whole number: every stride-th tap counts.
    """
    tap = (first + padding) % stride
    met_first = (first + padding) // stride                       # the output that pixel ``first`` met with that tap
    return len(range(first, size, stride)), len(range(tap, k, stride)) - 1 - met_first, tap


def _correlate(source, target, grids, source_step, target_step, sliding):
    if sliding and source_step * target_step > 1:
        raise ValueError(f"the sliding tile is for stride 1, but the stride is {source_step * target_step}")
    N, _, _, C = source.shape
    taps = grids[0].filters.shape[1] if sliding else 1
    pixels, vectors = _tile_shape(target.shape[3], max(grid.columns for grid in grids), taps, target.dtype)
    block = vectors * lanes(target.dtype)
    packed = [_pack(grid.filters, block, taps) for grid in grids]
    starts = np.cumsum([0] + [filters.size for filters in packed])
    filters = empty(starts[-1:], source.dtype)
    np.concatenate(packed, out=filters)
    table = np.array([(*grid[:6], *grid.filters.shape[:2], at) for grid, at in zip(grids, starts[:-1], strict=True)])

    top, left = max(grid.top for grid in grids), max(grid.left for grid in grids)
    width = max(source_step * (-(-grid.columns // pixels) * pixels - 1) + left - grid.left + grid.filters.shape[1]
                for grid in grids)

    def height(rows):
        return max(source_step * (rows - 1) + top - grid.top + grid.filters.shape[0] for grid in grids)

    rows = max(grid.rows for grid in grids)
    band = rows_in_scratch(rows, lambda band: height(band) * width * C * source.itemsize)
    bands = -(-rows // band)
    sizes = np.array([source_step, target_step, top, left, height(band), width, band, bands], np.int64)
    run = _kernel(pixels, vectors, taps, C if sliding else 0)

    def task(first, last):
        scratch, corner = empty((height(band) * width * C,), source.dtype), empty((pixels, block), source.dtype)
        run(source, filters, target, table, sizes, scratch, corner, first, last)

    share(task, N * bands)


def _tile_shape(channels, columns, taps, dtype):
    """Return (pixels, vectors) of a tile: sums in half of the registers, the filters of all its taps in the rest."""
    sums = vector_registers()[1] // 2
    count = -(-channels // lanes(dtype))
    vectors = next(v for v in (4, 2, 1) if count % v == 0 and (taps * v < sums or v == 1))
    pixels = sums // vectors
    while pixels // 2 >= max(columns, 4):
        pixels //= 2
    return pixels, vectors


def rows_in_scratch(rows, size):
    """Return how many output rows to work on at a time, so that what they need, size(rows) bytes, fits the scratch."""
    while rows > 1 and size(rows) > SCRATCH:
        rows = -(-rows // 2)
    return rows


def _pack(w, block, taps):
    """Filters in the order in which a tile meets them: (channel block, kh, kw / taps, channel, tap, block), flat."""
    kh, kw, C, K = w.shape
    blocks = -(-K // block)
    padded = np.zeros((kh, kw, C, blocks * block), w.dtype)
    padded[..., :K] = w
    return padded.reshape(kh, kw // taps, taps, C, blocks, block).transpose(4, 0, 1, 3, 2, 5).reshape(-1)


@functools.cache
def _kernel(pixels, vectors, taps, channels):
    """Compile for a tile of pixels x vectors that meets ``taps`` taps of a filter's row at once.

    With a known number of source channels all pixels of a tile lie at constant distances from one address; otherwise
    (0) each needs an address of its own, and a sliding tile has more of them than the CPU has registers.
    """
    @kernel
    def correlate(source, filters, target, grids, sizes, scratch, corner, first, last):
        C = channels or source.shape[3]
        H = source.shape[1]
        _, target_H, target_W, K = target.shape
        block = corner.shape[1]
        source_step, target_step, top, left, height, width, band, bands = sizes
        ahead = H if bands == 1 else source_step * band
        for item in range(first, last):
            n, start = item // bands, item % bands * band
            copy_with_border(source, n, source_step * start - top, left, scratch, height, width)
            for row, column, rows, columns, grid_top, grid_left, kh, kw, filters_at in grids:
                for k in range(0, K, block):
                    for a in range(start, min(start + band, rows)):
                        if k == 0 and row == column == 0:
                            prefetch_rows(source, n * H + source_step * a + ahead, source_step)
                        for b in range(0, columns, pixels):
                            h, v = row + target_step * a, column + target_step * b
                            to = ((n * target_H + h) * target_W + v) * K + k
                            for p in range(pixels):
                                prefetch(target, to + target_step * K * p, True)
                            tile = zeros(target, pixels, vectors)
                            at = source_step * ((a - start) * width + b) + (top - grid_top) * width + left - grid_left
                            above = grid_top - source_step * a
                            for i in range(max(0, above), min(kh, H + above)):           # other rows meet zeros alone
                                w_at = filters_at + (k * kh + i * block) * kw * C
                                for j in range(0, kw, taps):
                                    for c in range(C):
                                        tile = slide(tile, scratch, (at + i * width + j) * C + c, source_step * C,
                                                     filters, w_at, taps)
                                        w_at += taps * block
                            if b + pixels <= columns and k + block <= K:
                                store(tile, target, to, target_step * K)
                            else:
                                store(tile, corner, 0, block)
                                for p in range(min(pixels, columns - b)):
                                    for q in range(min(block, K - k)):
                                        target[n, h, v + target_step * p, k + q] = corner[p, q]
    return correlate


@kernel
def prefetch_rows(x, first, count):
    """Ask for rows, counted through the batch, that are copied next: `copy_with_border` would wait for every line."""
    N, H, W, C = x.shape
    for place in range(first * W * C, min(first + count, N * H) * W * C, 64 // x.itemsize):
        prefetch(x, place, False)


@kernel
def copy_with_border(x, n, first, left, scratch, height, width):
    """Copy rows first, first + 1, ... of map n, zeros outside of it; column 0 of a row is column -left of the map."""
    _, H, W, C = x.shape
    zero = x.dtype.type(0)
    begin, end = max(0, left), max(0, min(W + left, width))
    for r in range(height):
        to = scratch[r * width * C:(r + 1) * width * C]
        if 0 <= first + r < H and begin < end:
            inner, x_row = to[begin * C:end * C], x[n, first + r].reshape(-1)[(begin - left) * C:]
            for q in range(begin * C):
                to[q] = zero
            for q in range(len(inner)):
                inner[q] = x_row[q]
            border = to[end * C:]
            for q in range(len(border)):
                border[q] = zero
        else:
            for q in range(len(to)):
                to[q] = zero
