"""Sums over rows: a gradient that many blocks computed in parts, and the gradient of a bias.

The order of the additions depends on the shape alone, so the same numbers give the same bits; atomics would not.
"""

from numba import cuda

from npse.cuda.arrays import flat
from npse.cuda.device import BLOCK, SIMULATED, empty, kernel, launch
from npse.cuda.walk import over_table, place, sum_rows

ENOUGH = 4 if SIMULATED else 264           # blocks that keep a device busy while they compute parts: two on each of 132


def parts_for(pieces, tiles):
    """Number of parts into which to cut a sum over ``pieces``, with ``tiles`` blocks at work on each part."""
    parts = max(1, min(pieces, ENOUGH // tiles))
    return -(-pieces // -(-pieces // parts))           # fewer if none then has more pieces than before


def add_rows(rows):
    """Add up the rows (R, C) -> (C,)."""
    sums = empty(rows.shape[1:], rows.dtype)
    launch(_add_rows, *over_table(rows), flat(rows), rows.shape[0], sums)
    return sums


@kernel
def _add_rows(rows, R, sums):
    shared = cuda.shared.array(BLOCK, rows.dtype)
    _, c, first, end, step = place(R, sums.size)
    total = rows.dtype.type(0)
    for k in range(first, end, step):
        total += rows[k]
    total = sum_rows(shared, total)
    if c < sums.size and cuda.threadIdx.y == 0:
        sums[c] = total
