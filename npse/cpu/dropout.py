"""Dropout with a given mask, in one pass. Letters: as in the book."""

from functools import partial

import numpy as np

from npse import reference as book
from npse.cpu.runtime.arrays import RANGE, replaces
from npse.cpu.runtime.jit import kernel
from npse.cpu.runtime.memory_pool import empty_like
from npse.cpu.runtime.parallel import parallel_for


@replaces(book.dropout)
def dropout(x, mask, rate):
    y, kept = empty_like(x), mask.astype(np.bool_, copy=False)
    task = partial(_dropout, x.reshape(-1), kept.reshape(-1), x.dtype.type(1 - rate), y.reshape(-1))
    parallel_for(task, x.size, RANGE)
    return y


@replaces(book.dropout_backward)
def dropout_backward(dy, mask, rate):
    return dropout(dy, mask, rate)


@kernel
def _dropout(x, mask, part, y, first, last):
    x, mask, y, zero = x[first:last], mask[first:last], y[first:last], x.dtype.type(0)
    for k in range(len(y)):
        y[k] = x[k] / part if mask[k] else zero
