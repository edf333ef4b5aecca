"""Sums over rows: a gradient that many blocks computed in parts, and the gradient of a bias.

The shape alone decides the order of the additions, so the same input gives the same bits. Atomics would not.
"""

from numba import cuda

from npse.cuda.runtime.arrays import flat
from npse.cuda.runtime.block_reduce import sum_rows
from npse.cuda.runtime.device import BLOCK_THREADS, SIMULATED, device_function, empty, kernel, launch
from npse.cuda.runtime.grid_stride import column, grid_for_table
from npse.support.arithmetic import ceil_div

BLOCKS_TO_FILL_DEVICE = 4 if SIMULATED else 264     # while they compute parts: two on each of 132 processors


def parts_for(pieces, tiles):
    """Number of parts into which to cut a sum over ``pieces``, with ``tiles`` blocks at work on each part."""
    parts = max(1, min(pieces, BLOCKS_TO_FILL_DEVICE // tiles))
    return ceil_div(pieces, ceil_div(pieces, parts))           # fewer if none then has more pieces than before


def add_rows(rows):
    """Add up the rows (R, C) -> (C,)."""
    return _added(_add_rows, rows)


def add_squares(rows):
    """Add up the squares of the rows (R, C) -> (C,)."""
    return _added(_add_squares, rows)


def _added(add, rows):
    sums = empty(rows.shape[1:], rows.dtype)
    launch(add, *grid_for_table(rows), flat(rows), rows.shape[0], sums)
    return sums


def _sums(of):
    @kernel
    def sums(rows, R, sums):
        shared = cuda.shared.array(BLOCK_THREADS, rows.dtype)
        c, first, end, step = column(R, sums.size)
        total = rows.dtype.type(0)
        for k in range(first, end, step):
            total += of(rows[k])
        total = sum_rows(shared, total)
        if c < sums.size and cuda.threadIdx.y == 0:
            sums[c] = total
    return sums


_add_rows = _sums(device_function(lambda number: number))
_add_squares = _sums(device_function(lambda number: number * number))
