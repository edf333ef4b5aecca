"""Convolution in small groups: a vector register holds several groups of channels, a depthwise convolution one in each
lane. Letters: as in the book.

A group has D channels of x and as many of y, and D is a divisor of the lanes of a vector. A tile of y, some
neighbouring pixels x one vector of channels, stays in registers during the loop over the filter's rows. One update
covers the taps of a row (`npse.cpu.simd.tile_groups`). As in `direct`, dx is a correlation of dy with mirrored filters.
The map is read in place. Tiles at the left and right border of the map read zeros for the pixels outside.

A tile takes little time, so memory decides. With each tile go requests for a portion of what comes next: the rows of
the source that the next row of the target is the first to read, and that row of the target.

If the channels are not a whole number of vectors, the last vector overlaps the one before, and both write the same
numbers.
"""

import functools

import numpy as np

from npse.cpu.conv_kernels.direct import mirrored
from npse.cpu.runtime.jit import kernel
from npse.cpu.runtime.memory_pool import empty
from npse.cpu.runtime.parallel import get_threads, parallel_for
from npse.cpu.runtime.recorder import call_as_one
from npse.cpu.simd.tile import lanes, load, prefetch, store, vector_registers, zeros
from npse.cpu.simd.tile_groups import outer_groups, slide_groups, sum_parts
from npse.reference.grouped_conv import reach
from npse.reference.numerics import total

BAND_BYTES = 2**17    # about so many bytes of the target in an item of work
DW_BAND_BYTES = 2**14 # about so many bytes of dy for which the sums of a vector stay in registers
PARTS = 16            # partial sums of dw, for any number of threads


def fits(g, dtype):
    """Whether vectors hold whole groups, and more than one."""
    return g.D == g.K and g.D < lanes(dtype) <= g.Cin and lanes(dtype) % g.D == 0 and g.kw <= 7


def forward(x, w, g):
    """Return y: (N, H, W, C), (kh, kw, D, C) -> (N, Ho, Wo, C)."""
    y = empty(g.y_shape, x.dtype)
    _correlate(x, y, w, g, g.stride, 1, g.padding, g.padding)
    return y


def backward_x(dy, w, g):
    """Return dx: (N, Ho, Wo, C), (kh, kw, D, C) -> (N, H, W, C)."""
    dx = empty(g.x_shape, dy.dtype)
    top, left = (reach(k, g.dilation) - 1 - g.padding for k in (g.kh, g.kw))
    _correlate(dy, dx, mirrored(w, g.groups), g, 1, g.stride, top, left)
    return dx


def _correlate(source, target, w, g, source_step, target_step, top, left):
    lane, (N, rows, columns, C) = lanes(target.dtype), target.shape
    pixels = _tile_pixels(columns, target_step)
    band = max(1, min(rows, BAND_BYTES // (columns * C * target.itemsize)))
    run = _kernel(pixels, g.D, g.kw, g.dilation, source_step, target_step, left % target_step)
    sizes = g.kh, top, left, band, -(-rows // band)
    corner = empty((get_threads(), pixels, lane), target.dtype)
    filters, border = call_as_one(_packed, w, lane), np.zeros(lane, target.dtype)
    task = functools.partial(run, source, filters, target, border, corner, sizes)
    parallel_for(task, N * -(-rows // band), threads=len(corner), pass_thread=True)


def _tile_pixels(columns, multiple):
    """Return the pixels of a tile: so many that few are beyond the map; sums take at most half of the registers."""
    most = max(1, vector_registers()[1] // 2 // multiple)
    units = -(-columns // multiple)
    return multiple * min(range(max(1, most // 2), most + 1), key=lambda unit: (-(-units // unit) * unit, -unit))


def _starts(channels, lane):
    """Return the first channel of each vector."""
    return np.minimum(np.arange(0, channels, lane), channels - lane)


def _packed(w, lane):
    """Return w (kh, kw, D, C) as vectors in the order of their use, flat: (vector, kh, kw, D, lane)."""
    channels = _starts(w.shape[3], lane)[:, None] + np.arange(lane)
    return np.ascontiguousarray(w[..., channels].transpose(3, 0, 1, 2, 4)).reshape(-1)


@functools.cache
def _kernel(pixels, depth, taps, dilation, source_step, target_step, phase):
    """Make the kernel for a tile of ``pixels``; ``taps`` is the width of a filter, depth its channels D.

    A tile at the border of the map usually has at most ``edge`` pixels outside, at each end.
    """
    last_pixel = (source_step * (pixels - 1) + dilation * (taps - 1) - phase) // target_step
    edge, every = -(-dilation * (taps - 1) // target_step), last_pixel + 1

    @kernel
    def correlate(source, filters, target, border, corners, sizes, thread, first, last):
        corner = corners[thread]
        _, H, W, C = source.shape
        _, rows, columns, _ = target.shape
        lane = len(border)
        kh, top, left, band, bands = sizes
        line, turns = 64 // source.itemsize, -(-columns // pixels) * -(-C // lane)       # turns: tiles of a row
        of_row, fresh = columns * C, -(-source_step // target_step) * W * C
        target_portion, source_portion = (-(-of_row // (turns * line)) * line, -(-fresh // (turns * kh * line)) * line)
        for item in range(first, last):
            n, start = item // bands, item % bands * band
            for a in range(start, min(start + band, rows)):
                unread = n * H + (source_step * (a + 1) + dilation * (kh - 1) - top) // target_step
                next_source, next_target = unread * W * C, (n * rows + a + 1) * of_row
                source_end, target_end = min(next_source + fresh, source.size), min(next_target + of_row, target.size)
                for b in range(0, columns, pixels):
                    column = source_step * b // target_step - left // target_step
                    outside = max(-column, column + last_pixel - (W - 1))          # pixels of the tile, at one end
                    for number in range(-(-C // lane)):
                        k = min(number * lane, C - lane)
                        to = ((n * rows + a) * columns + b) * C + k
                        for place in range(next_target, min(next_target + target_portion, target_end), line):
                            prefetch(target, place, True)
                        next_target += target_portion
                        tile = zeros(target, pixels, 1)
                        for i in range(kh):
                            for place in range(next_source, min(next_source + source_portion, source_end), line):
                                prefetch(source, place, False)
                            next_source += source_portion
                            u = (source_step * a + dilation * i - top) // target_step
                            if 0 <= u < H and u * target_step == source_step * a + dilation * i - top:
                                at = ((n * H + u) * W + column) * C + k
                                w_at = (number * kh + i) * taps * depth * lane
                                if outside <= 0:
                                    tile = slide_groups(tile, source, at, C, column, W, border, filters, w_at, depth,
                                                        taps, dilation, source_step, target_step, phase, 0)
                                elif outside <= edge:
                                    tile = slide_groups(tile, source, at, C, column, W, border, filters, w_at, depth,
                                                        taps, dilation, source_step, target_step, phase, edge)
                                else:
                                    tile = slide_groups(tile, source, at, C, column, W, border, filters, w_at, depth,
                                                        taps, dilation, source_step, target_step, phase, every)
                        if b + pixels <= columns:
                            store(tile, target, to, C)
                        else:
                            store(tile, corner, 0, lane)
                            for p in range(columns - b):
                                store(load(corner, p * lane, 0, 1, 1), target, to + p * C, 0)
    return correlate


def backward_w(dy, x, g):
    """Return dw: (N, Ho, Wo, C), (N, H, W, C) -> (kh, kw, D, C). Parts of the images are summed, then the parts."""
    lane, starts = lanes(x.dtype), _starts(g.Cin, lanes(x.dtype))
    rows = g.kw * g.D
    chains = max(1, min(4, vector_registers()[1] // 2 // rows))
    pixels = 8 if g.Wo % 7 else 7
    band = max(1, min(g.Ho, DW_BAND_BYTES // (g.Wo * g.Cin * x.itemsize)))
    items = g.N * -(-g.Ho // band)
    items_of_part = -(-items // PARTS)
    parts = np.zeros((-(-items // items_of_part), len(starts), g.kh, rows, lane), x.dtype)
    sizes = g.stride, g.padding, band, -(-g.Ho // band), items_of_part
    run = _gradient(pixels, g.D, g.kw, g.dilation, g.stride, chains)
    parallel_for(functools.partial(run, dy, x, parts, np.zeros(lane, x.dtype), sizes), len(parts), 1)
    summed = total(parts, 0).reshape(len(starts), g.kh, g.kw, g.D, lane)
    dw = empty(g.w_shape, x.dtype)
    for start, filters in zip(starts, summed, strict=True):
        dw[..., start:start + lane] = filters
    return dw


@functools.cache
def _gradient(pixels, depth, taps, dilation, stride, chains):
    """Make the kernel that writes parts (parts, vectors, kh, taps * depth, lane)."""
    rows, last_pixel = taps * depth, stride * (pixels - 1) + dilation * (taps - 1)
    chained, edge, every = chains * rows, dilation * (taps - 1), last_pixel + 1
    alone = dilation * (taps - 1) + 1                             # pixels of x for one pixel of dy

    @kernel
    def gradient(dy, x, parts, border, sizes, first, last):
        N, H, W, C = x.shape
        _, Ho, Wo, _ = dy.shape
        _, vectors, kh, _, lane = parts.shape
        step, padding, band, bands, items_of_part = sizes
        line, turns = 64 // x.itemsize, vectors * kh * band * max(1, Wo // pixels)       # turns: tiles of an item
        x_fresh, dy_fresh = step * band * W * C, band * Wo * C
        x_portion, dy_portion = -(-x_fresh // (turns * line)) * line, -(-dy_fresh // (turns * line)) * line
        for part in range(first, last):
            for item in range(part * items_of_part, min((part + 1) * items_of_part, N * bands)):
                n, start = item // bands, item % bands * band
                next_x = (n * H + step * (start + band - 1) + dilation * (kh - 1) - padding + 1) * W * C
                next_dy = (n * Ho + min(start + band, Ho)) * Wo * C
                x_end, dy_end = min(next_x + x_fresh, x.size), min(next_dy + dy_fresh, dy.size)
                for number in range(vectors):
                    k = min(number * lane, C - lane)
                    for i in range(kh):
                        sums = zeros(dy, chained, 1)
                        for a in range(start, min(start + band, Ho)):
                            u = step * a + dilation * i - padding
                            if 0 <= u < H:
                                for b in range(0, Wo - pixels + 1, pixels):
                                    for place in range(next_x, min(next_x + x_portion, x_end), line):
                                        prefetch(x, place, False)
                                    for place in range(next_dy, min(next_dy + dy_portion, dy_end), line):
                                        prefetch(dy, place, False)
                                    next_x += x_portion
                                    next_dy += dy_portion
                                    column = step * b - padding
                                    outside = max(-column, column + last_pixel - (W - 1))
                                    at = ((n * H + u) * W + column) * C + k
                                    dy_at = ((n * Ho + a) * Wo + b) * C + k
                                    if outside <= 0:
                                        sums = outer_groups(sums, x, at, C, column, W, border, dy, dy_at, C,
                                                            pixels, depth, taps, dilation, stride, 0)
                                    elif outside <= edge:
                                        sums = outer_groups(sums, x, at, C, column, W, border, dy, dy_at, C,
                                                            pixels, depth, taps, dilation, stride, edge)
                                    else:
                                        sums = outer_groups(sums, x, at, C, column, W, border, dy, dy_at, C,
                                                            pixels, depth, taps, dilation, stride, every)
                                for b in range(Wo - Wo % pixels, Wo):
                                    column = step * b - padding
                                    at = ((n * H + u) * W + column) * C + k
                                    dy_at = ((n * Ho + a) * Wo + b) * C + k
                                    sums = outer_groups(sums, x, at, C, column, W, border, dy, dy_at, C,
                                                        1, depth, taps, dilation, stride, alone)
                        to = ((part * vectors + number) * kh + i) * rows * lane
                        store(sum_parts(sums, chains) + load(parts, to, lane, rows, 1), parts, to, lane)
    return gradient
