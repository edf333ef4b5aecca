"""Sums over rows: a gradient that many blocks computed in parts, and the gradient of a bias.

The order of the additions depends on the shape alone, so the same numbers give the same bits; atomics would not.
"""

from numba import cuda

from npse.cuda.device import BLOCK, SIMULATED, empty, kernel, launch

COLUMNS = 4 if SIMULATED else 16           # of a block; its threads take BLOCK // COLUMNS rows at once
ENOUGH = 4 if SIMULATED else 264           # blocks that keep a device busy while they compute parts: two on each of 132


def parts_for(pieces, tiles):
    """Number of parts into which to cut a sum over ``pieces``, with ``tiles`` blocks at work on each part."""
    parts = max(1, min(pieces, ENOUGH // tiles))
    return -(-pieces // -(-pieces // parts))           # fewer if none then has more pieces than before


def sum_rows(rows):
    """Add up the rows (R, C) -> (C,)."""
    sums = empty(rows.shape[1:], rows.dtype)
    launch(_sum_rows, -(-rows.shape[1] // COLUMNS), BLOCK, rows, sums)
    return sums


@kernel
def _sum_rows(rows, sums):
    shared = cuda.shared.array(BLOCK, rows.dtype)
    t = cuda.threadIdx.x
    c = cuda.blockIdx.x * COLUMNS + t % COLUMNS
    total = rows.dtype.type(0)
    if c < rows.shape[1]:
        for r in range(t // COLUMNS, rows.shape[0], BLOCK // COLUMNS):
            total += rows[r, c]
    shared[t] = total
    cuda.syncthreads()
    half = BLOCK // 2
    while half >= COLUMNS:
        if t < half:
            shared[t] += shared[t + half]
        cuda.syncthreads()
        half //= 2
    if t < COLUMNS and c < rows.shape[1]:
        sums[c] = shared[t]
