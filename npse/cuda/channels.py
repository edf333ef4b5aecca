"""Channels put together, taken apart and shuffled on the device. Letters: as in the book.

A map is read as a table (pixels of the batch, channels) and a thread keeps its channel, as in grid_stride.py.
"""

from npse import reference as book
from npse.cuda.runtime.arrays import area, flat, replaces
from npse.cuda.runtime.device import empty, empty_like, kernel, launch
from npse.cuda.runtime.grid_stride import grid_for_pixels, thread_map


@replaces(book.concat)
def concat(a, b, c=None, d=None):
    parts = [part for part in (a, b, c, d) if part is not None]
    y, start = empty((*a.shape[:3], sum(part.shape[3] for part in parts)), a.dtype), 0
    for part in parts:
        launch(_put, *grid_for_pixels(part), flat(part), area(part), part.shape[3], flat(y), y.shape[3], start)
        start += part.shape[3]
    return y


@kernel
def _put(part, R, width, y, C, start):
    _, c, k, end, step = thread_map(R, width)
    if c < width:
        at, distance = k // width * C + start + c, step // width * C
        while k < end:
            y[at] = part[k]
            k += step
            at += distance


@replaces(book.split)
def split(x, widths):
    parts, start = [], 0
    for width in map(int, widths):
        part = empty((*x.shape[:3], width), x.dtype)
        launch(_take, *grid_for_pixels(part), flat(x), x.shape[3], start, area(part), width, flat(part))
        parts.append(part)
        start += width
    return tuple(parts)


@kernel
def _take(x, C, start, R, width, part):
    _, c, k, end, step = thread_map(R, width)
    if c < width:
        at, distance = k // width * C + start + c, step // width * C
        while k < end:
            part[k] = x[at]
            k += step
            at += distance


concat_backward, split_backward = split, concat


@replaces(book.channel_shuffle)
def channel_shuffle(x, groups):
    y, groups = empty_like(x), int(groups)
    launch(_shuffle, *grid_for_pixels(x), flat(x), area(x), x.shape[3], groups, flat(y))
    return y


@kernel
def _shuffle(x, R, C, groups, y):
    _, c, k, end, step = thread_map(R, C)
    if c < C:
        source = c % groups * (C // groups) + c // groups         # the channel that comes to c
        at = k - c + source
        while k < end:
            y[k] = x[at]
            k += step
            at += step


@replaces(book.channel_shuffle_backward)
def channel_shuffle_backward(dy, groups):
    return channel_shuffle(dy, dy.shape[3] // int(groups))
