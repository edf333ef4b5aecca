"""Sums over rows: for a gradient of which many blocks computed parts, and for the gradient of a bias.

Only the shape decides the order of the additions, so the same input gives the same bits. Atomic additions would not.
"""

from numba import cuda

from npse.cuda.runtime.arrays import flat
from npse.cuda.runtime.block_reduce import sum_rows
from npse.cuda.runtime.device import BLOCK_THREADS, SIMULATED, device_function, empty, kernel, launch
from npse.cuda.runtime.grid_stride import column, grid_for_table
from npse.support.arithmetic import ceil_div

BLOCKS_TO_FILL_DEVICE = 4 if SIMULATED else 264     # two blocks on each of 132 multiprocessors


def parts_for(pieces, tiles):
    """Return the number of parts into which to divide a sum over ``pieces``, if ``tiles`` blocks compute each part."""
    parts = max(1, min(pieces, BLOCKS_TO_FILL_DEVICE // tiles))
    return ceil_div(pieces, ceil_div(pieces, parts))           # fewer, if the largest part stays the same


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
