"""Channels put together, taken apart and shuffled: copies on all cores. Letters: as in the book."""

from functools import partial

from npse import reference as book
from npse.cpu.runtime.arrays import RANGE, replaces
from npse.cpu.runtime.jit import kernel
from npse.cpu.runtime.memory_pool import empty, empty_like
from npse.cpu.runtime.parallel import parallel_for


@replaces(book.concat, recordable=True)
def concat(a, b, c=None, d=None):
    parts = [part for part in (a, b, c, d) if part is not None]
    y, start = empty((*a.shape[:3], sum(part.shape[3] for part in parts)), a.dtype), 0
    for part in parts:
        _over_pixels(_copy, part, 0, y, start, part.shape[3])
        start += part.shape[3]
    return y


@replaces(book.split, recordable=True)
def split(x, widths):
    parts, start = [], 0
    for width in map(int, widths):
        parts.append(empty((*x.shape[:3], width), x.dtype))
        _over_pixels(_copy, x, start, parts[-1], 0, width)
        start += width
    return tuple(parts)


concat_backward, split_backward = split, concat


@kernel
def _copy(source, source_at, target, target_at, width, first, last):
    for r in range(first, last):
        for c in range(width):
            target[r, target_at + c] = source[r, source_at + c]


@replaces(book.channel_shuffle, recordable=True)
def channel_shuffle(x, groups):
    y = empty_like(x)
    _over_pixels(_shuffle, x, y, int(groups))
    return y


@replaces(book.channel_shuffle_backward, recordable=True)
def channel_shuffle_backward(dy, groups):
    return channel_shuffle(dy, dy.shape[3] // int(groups))


@kernel
def _shuffle(x, y, groups, first, last):
    size = x.shape[1] // groups
    for r in range(first, last):
        for j in range(size):
            for g in range(groups):
                y[r, j * groups + g] = x[r, g * size + j]


def _over_pixels(task, *values):
    """Run a kernel over the pixels of all maps among ``values``: a map (N, H, W, C) is given as (N*H*W, C)."""
    rows = [value.reshape(-1, value.shape[3]) if hasattr(value, "shape") else value for value in values]
    parallel_for(partial(task, *rows), len(rows[0]), max(1, RANGE // values[0].shape[3]))
