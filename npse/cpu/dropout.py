"""Dropout with a given mask, in one pass. Letters: as in the book."""

from functools import partial

import numpy as np

from npse import reference as book
from npse.cpu.runtime.arrays import RANGE, replaces
from npse.cpu.runtime.jit import kernel
from npse.cpu.runtime.memory_pool import empty_like
from npse.cpu.runtime.parallel import parallel_for
from npse.cpu.runtime.recorder import call_as_one


@replaces(book.dropout, recordable=True)
def dropout(x, mask, rate):
    y, kept = empty_like(x), mask if mask.dtype == np.bool_ else call_as_one(mask.astype, np.bool_)
    task = partial(_dropout, x.reshape(-1), kept.reshape(-1), x.dtype.type(1 - rate), y.reshape(-1))
    parallel_for(task, x.size, RANGE)
    return y


@replaces(book.dropout_backward, recordable=True)
def dropout_backward(dy, mask, rate):
    return dropout(dy, mask, rate)


@kernel
def _dropout(x, mask, part, y, first, last):
    x, mask, y, zero = x[first:last], mask[first:last], y[first:last], x.dtype.type(0)
    for k in range(len(y)):
        y[k] = x[k] / part if mask[k] else zero
