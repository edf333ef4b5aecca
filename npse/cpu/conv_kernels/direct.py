"""Convolution on the register tile: y and the gradient of x. Letters: as in the book.

No patches are written. A tile of outputs, some neighbouring pixels x some channels, stays in registers during the loop
over the filter's taps and channels. Each pass is a correlation of a source with filters that gives a target. For y the
source is x. For dx the source is dy, the filters are mirrored, and their two channel axes are exchanged. For pixel
(a, b) of the target, tap (i, j) is multiplied by the pixel (u, v) of the source for which

    target_step * u = source_step * a + d * i - top     and     target_step * v = source_step * b + d * j - left,

if u and v are whole numbers on the map; d is the dilation. For y source_step is the stride, for dx target_step is the
stride. A tap of dx that falls between two pixels of dy takes no time. If all taps do so, as with 1x1 filters and a
stride, the kernel stores zeros.

Two variants share the kernel. They differ in the number of taps of a filter's row in one update of a tile:

    plain     one: a rank-1 update. For dx with a stride, all taps of the row, because each needs other pixels.
    sliding   all, at stride 1: a pixel is loaded once for all taps of the row

The channels of a tile belong to one group. With a dilation d the pixels of a tile are d pixels apart, as the taps are:
for a row of outputs b, b + d, b + 2d, ... the convolution is one without dilation. Both kinds of steps together, a
target_step and a dilation, are not supported (`fits`).

While a tile is in registers, each of its channels can go through an affine map (``affine``), an array can be added to
it (``plus``), and its pixels can be summed (``sums``).
"""

import functools
from typing import NamedTuple

from npse.cpu.runtime.jit import kernel
from npse.cpu.runtime.memory_pool import empty, empty_together
from npse.cpu.runtime.parallel import get_threads, parallel_for
from npse.cpu.simd.tile import fma, lanes, load, prefetch, relu, slide, store, sum_rows, vector_registers, zeros
from npse.reference.grouped_conv import reach

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


def forward(x, w, g, sums=None, affine=None, *, sliding):
    """Return y; if an array ``sums`` (2, N, Ho, Cout) is given, write the sums of y and of y^2 over each row to it.

    ``affine`` may be a tuple (slope, shift, rectified) with arrays (Cout,): then slope * y + shift is returned, or its
    ReLU if ``rectified``.
    """
    y = empty(g.y_shape, x.dtype)
    _correlate(x, y, w, g, g.stride, 1, g.padding, g.padding, affine, None, sums, sliding)
    return y


def backward_x(dy, w, g, plus=None, *, sliding):
    """Return dx; if an array ``plus`` of its shape is given, return the sum of both."""
    dx = empty(g.x_shape, dy.dtype)
    top, left = (reach(k, g.dilation) - 1 - g.padding for k in (g.kh, g.kw))
    _correlate(dy, dx, mirrored(w, g.groups), g, 1, g.stride, top, left, None, plus, None, sliding)
    return dx


def fits(g):
    """Whether the kernel supports the steps of a convolution in all its passes."""
    return g.stride == 1 or g.dilation == 1


def mirrored(w, groups):
    """Return the filters of dx (kh, kw, K, Cin), of w (kh, kw, D, Cout): mirrored, channels exchanged in each group."""
    kh, kw, D, Cout = w.shape
    turned = empty((kh, kw, Cout // groups, groups * D), w.dtype)
    parallel_for(functools.partial(_mirror, w, groups, turned), kh * kw)
    return turned


@kernel
def _mirror(w, groups, turned, first, last):
    kh, kw, D, Cout = w.shape
    of_group = Cout // groups
    for tap in range(first, last):
        i, j = tap // kw, tap % kw
        for k in range(of_group):
            for group in range(groups):
                for d in range(D):
                    turned[i, j, k, group * D + d] = w[kh - 1 - i, kw - 1 - j, d, group * of_group + k]


def _correlate(source, target, w, g, source_step, target_step, top, left, affine, plus, sums, sliding):
    """Write target (N, rows, columns, K), the correlation of source (N, H, W, C) with w (kh, kw, C / groups, K)."""
    if sliding and source_step * target_step > 1:
        raise ValueError(f"the sliding tile is for stride 1, but the stride is {source_step * target_step}")
    N, _, W, C = source.shape
    _, rows, columns, K = target.shape
    kh, kw = w.shape[:2]
    groups, dilation = g.groups, g.dilation
    taps = kw if sliding or target_step > 1 else 1
    pixels, vectors = _tile_shape(K // groups, -(-columns // dilation), taps, target_step, target.dtype)
    block = vectors * lanes(target.dtype)
    filters = _packed(w, groups, block, taps)
    if affine:
        *lines, rectified = affine
        affine = *(_packed(line.reshape(1, 1, 1, K), groups, block, 1) for line in lines), rectified

    span = dilation * pixels
    covered = -(-columns // span) * span                          # columns of the target, rounded up to whole tiles
    end = (source_step * (covered - 1) + dilation * (kw - 1) - left) // target_step + 1
    layout = Layout.of(max(0, left // target_step), end, W)

    def height(band):
        return (source_step * (band - 1) + dilation * (kh - 1)) // target_step + 1

    band = rows_in_scratch(rows, lambda band: height(band) * layout.width * C * source.itemsize)
    bands = -(-rows // band)
    threads = get_threads()
    scratch, corner = empty_together(source.dtype, (threads, height(band) * layout.width * C if layout.copied else 0),
                                     (threads, max(2, pixels), block))
    run = _kernel(pixels, vectors, taps, target_step, left % target_step, dilation * C if taps > 1 else 0)
    sizes = kh, kw, groups, dilation, source_step, top, left, band, bands
    task = functools.partial(run, source, filters, target, affine, plus, sums, sizes, tuple(layout), scratch, corner)
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


def _packed(w, groups, block, taps):
    """Return w (kh, kw, C, K) in the order of its use, flat: (channel block, kh, kw / taps, channel, tap, block).

    The blocks of a group follow each other; the last one is filled with zeros.
    """
    kh, kw, C, K = w.shape
    blocks = groups * -(-K // groups // block)
    packed = empty((blocks, kh, kw // taps, C, taps, block), w.dtype)
    task = functools.partial(_pack, w, K // groups, blocks // groups, packed)
    parallel_for(task, blocks)
    return packed.reshape(-1)


@kernel
def _pack(w, of_group, blocks, packed, first, last):
    _, rows, columns, C, taps, block = packed.shape
    for number in range(first, last):
        k = number % blocks * block                               # the first channel of the block in its group
        inside, start = min(block, of_group - k), number // blocks * of_group + k
        for i in range(rows):
            for j in range(columns):
                for c in range(C):
                    for tap in range(taps):
                        for q in range(inside):
                            packed[number, i, j, c, tap, q] = w[i, j * taps + tap, c, start + q]
                        packed[number, i, j, c, tap, inside:] = 0


@functools.cache
def _kernel(pixels, vectors, taps, target_step, phase, distance):
    """Make the kernel for a tile of pixels x vectors; one update covers ``taps`` taps of a filter's row.

    ``distance`` is that of two pixels of the source in a tile, in numbers. If it is known, which needs a source_step of
    1, all pixels of a tile have constant distances from one address. If it is 0 (unknown), each pixel needs its own
    address, and a tile of several taps needs more addresses than the CPU has registers. A tile at the edge of the
    target goes through ``corner``.
    """
    @kernel
    def correlate(source, filters, target, affine, plus, sums, sizes, layout, scratches, corners, thread, first, last):
        scratch, corner = scratches[thread], corners[thread]
        _, H, W, C = source.shape
        _, rows, columns, K = target.shape
        block, line = corner.shape[1], 64 // source.itemsize
        kh, kw, groups, dilation, source_step, top, left, band, bands = sizes
        D, of_group, pixel_step = C // groups, K // groups, dilation * K       # of_group: target channels of a group
        blocks = -(-of_group // block)
        copied, border, width = layout
        ahead = H if bands == 1 else source_step * band // target_step         # rows from one item to the next
        # The numbers that a row of the target is the first to read; rows that are read in place the CPU prefetches.
        fresh = min(source_step, kh) * W * C if copied or source_step > 1 else 0
        tiles = -(-columns // (dilation * pixels))                # of a row, for each of ``dilation`` first pixels
        portion = -(-fresh // (dilation * tiles * max(1, kh // target_step)))
        for item in range(first, last):
            n, start = item // bands, item % bands * band
            stop = min(start + band, rows)
            low = max(0, -((top - source_step * start) // target_step))
            high = min(H, (source_step * (stop - 1) + dilation * (kh - 1) - top) // target_step + 1)
            memory, origin = laid_out(source, n, low, high, layout, scratch)
            origin += (border - left // target_step) * C
            for number in range(groups * blocks):
                group = number // blocks
                k = group * of_group + number % blocks * block    # the first channel of the tile
                width_of_tile = min(block, (group + 1) * of_group - k)
                for a in range(start, stop):
                    next_place = (n * H + source_step * a // target_step + ahead) * W * C
                    next_end = next_place + fresh if number == 0 else 0
                    row_sum = row_squares = zeros(target, 1, vectors)
                    for turn in range(dilation * tiles):
                        b = turn // tiles + turn % tiles * dilation * pixels
                        inside = min(pixels, -((b - columns) // dilation))     # pixels of the tile on the target
                        to = ((n * rows + a) * columns + b) * K + k
                        for p in range(pixels):
                            prefetch(target, to + pixel_step * p, True)
                            if plus is not None:
                                prefetch(plus, to + pixel_step * p, False)
                        tile = zeros(target, pixels, vectors)
                        for i in range((top - source_step * a) % target_step, kh, target_step):
                            u = (source_step * a + dilation * i - top) // target_step
                            if 0 <= u < H:                        # other rows are only zeros
                                for place in range(next_place, min(next_place + portion, next_end), line):
                                    prefetch(source, place, False)             # a few at a time: CPUs drop some of many
                                next_place += portion
                                at = origin + (u * width + source_step * b // target_step) * C + group * D
                                w_at = (number * kh + i) * kw * D * block
                                for j in range(0, kw, taps):
                                    for c in range(D):
                                        tile = slide(tile, memory, at + j * dilation * C + c,
                                                     distance or source_step * dilation * C,
                                                     filters, w_at, taps, target_step, phase)
                                        w_at += taps * block
                        if affine is not None:
                            slope, shift, rectified = affine
                            tile = fma(tile, load(slope, number * block, 0, pixels, vectors),
                                       load(shift, number * block, 0, pixels, vectors))
                            if rectified:
                                tile = relu(tile)
                        if inside == pixels and width_of_tile == block:
                            if plus is not None:
                                tile = tile + load(plus, to, pixel_step, pixels, vectors)
                            store(tile, target, to, pixel_step)
                        else:
                            store(tile, corner, 0, block)
                            for p in range(inside):
                                for q in range(width_of_tile):
                                    if plus is not None:
                                        corner[p, q] += plus[n, a, b + p * dilation, k + q]
                                    target[n, a, b + p * dilation, k + q] = corner[p, q]
                            corner[max(0, inside):] = 0                        # not pixels: they must not be summed
                            tile = load(corner, 0, block, pixels, vectors)
                        if sums is not None:
                            row_sum, row_squares = row_sum + sum_rows(tile), row_squares + sum_rows(tile * tile)
                    if sums is not None:
                        store(row_sum, corner, 0, 0)
                        store(row_squares, corner, block, 0)
                        for q in range(width_of_tile):
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
