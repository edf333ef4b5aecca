"""Grid-stride loops: how maps (H*W pixels, C channels), tables and lists are divided among the threads of a grid.

Channels lie next to each other in memory, so neighbouring threads take neighbouring channels, and each access of a
warp is coalesced. A block is a rectangle of threads, x across channels and y across pixels:

    threadIdx.x, y   0, 0   1, 0   ...  width-1, 0 | 0, 1   ...
    channel          0      1      ...  width-1    | 0      ...
    first pixel      0      0      ...  0          | 1      ...

A thread stays with its channel, so gates, means and sums of that channel live in its registers. Maps are flat here:
a thread takes the elements first, first + step, ... before end (`thread_map`), so that no index is divided and none
multiplied in the loop. Positions are unsigned, or every access would first ask whether to count from the end.
A table (R, C) is one map of R pixels, and may have millions of columns, so its blocks lie along the axis of the grid
that is long enough for them (`column`). Loops come in two forms, for what the compiler makes of them:

    for k in range(first, end, step)     reads only: unrolled by four, with four loads under way at once
    while k < end                        writes too, and a write must not overtake a read: lean, so more threads fit
"""

import numpy as np
from numba import cuda

from npse.cuda.runtime.device import BLOCK_THREADS, SIMULATED, blocks_for, device_function
from npse.support.arithmetic import ceil_div

WIDTHS = (4, 2) if SIMULATED else (64, 32, 16)         # most channels of a block; fewer if there are too few blocks
TABLE_WIDTH = 2 if SIMULATED else 8                    # the same for a table (N, C): 8 elements fill a sector of memory
LANES = 4 if SIMULATED else 32                         # threads that work on a row together: a warp
BLOCKS_TO_FILL_DEVICE = 2 if SIMULATED else 1024      # 8 blocks of 256 threads on each of 128 processors


def grid_for_maps(x):
    """Blocks and threads for a kernel that sums over each map of x (N, H, W, C) or (N, R, C)."""
    N, C, pixels = _sizes(x)
    width = next((width for width in WIDTHS if N * ceil_div(C, width) >= BLOCKS_TO_FILL_DEVICE), WIDTHS[-1])
    return (N, ceil_div(C, width)), _threads(C, width, pixels)


def grid_for_table(a):
    """Blocks and threads for a kernel that sums over the rows of a (R, C): see `column`."""
    R, C = a.shape
    return ceil_div(C, TABLE_WIDTH), _threads(C, TABLE_WIDTH, R)


def grid_for_pixels(x):
    """Blocks and threads for a kernel that works pixel by pixel: maps are split until there are enough blocks."""
    N, C, pixels = _sizes(x)
    threads = width, rows = _threads(C, WIDTHS[0], pixels)
    chunks = ceil_div(C, width)
    return (N, chunks, max(1, min(2 * BLOCKS_TO_FILL_DEVICE // (N * chunks), pixels // rows))), threads


def grid_for_rows(x):
    """Blocks and threads for a kernel that needs to know where in the map x (N, H, W, C) a pixel lies.

    A block takes one row of the map, so that a pixel's row and column need no division: see `thread_map_in_row`.
    """
    N, H, W, C = x.shape
    return (N, ceil_div(C, WIDTHS[0]), H), _threads(C, WIDTHS[0], W)


def grid_for_elements(x):
    """Blocks and threads for a kernel that treats all elements of x alike."""
    return min(blocks_for(x.size), 2 * BLOCKS_TO_FILL_DEVICE), BLOCK_THREADS


def grid_for_lists(a):
    """Blocks and threads for a kernel that works on the rows of a (N, K), `LANES` threads a row: see `row_of_warp`."""
    rows = BLOCK_THREADS // LANES
    return ceil_div(a.shape[0], rows), (LANES, rows)


def _sizes(x):
    N, C = x.shape[0], x.shape[x.ndim - 1]             # the simulator's shapes refuse an index of -1
    return N, C, x.size // (N * C)


def _threads(C, width, pixels):
    width = min(C, width)
    return width, min(BLOCK_THREADS // width, pixels)


@device_function
def thread_map(R, C):
    """Return (n, c, first, end, step) of this thread: its image, its channel, its elements in maps of R pixels.

    Its elements are x[first], x[first + step], ... before x[end], in a flat view of x; they are of channel c. A thread
    with c >= C has no channel and no elements: it must not touch memory (but must reach every barrier).
    """
    n, c = cuda.blockIdx.x, cuda.blockIdx.y * cuda.blockDim.x + cuda.threadIdx.x
    row = cuda.blockIdx.z * cuda.blockDim.y + cuda.threadIdx.y
    end = (n + 1) * R * C
    first = (n * R + row) * C + c if c < C else end
    return n, c, np.uint64(first), np.uint64(end), np.uint64(cuda.blockDim.y * cuda.gridDim.z * C)


@device_function
def column(R, C):
    """Return (c, first, end, step) of this thread: its column, and its elements in a table (R, C); see `thread_map`."""
    c, row = cuda.blockIdx.x * cuda.blockDim.x + cuda.threadIdx.x, cuda.threadIdx.y
    end = R * C
    first = row * C + c if c < C else end
    return c, np.uint64(first), np.uint64(end), np.uint64(cuda.blockDim.y * C)


@device_function
def grid_stride(size):
    """Return (first, end, step): the elements of this thread, in a list of ``size``; see `grid_for_elements`."""
    return np.uint64(cuda.grid(1)), np.uint64(size), np.uint64(cuda.gridsize(1))


@device_function
def thread_map_in_row(C):
    """Return (n, i, first, c) of this thread: image, row of the map, first column, channel; C if it has none.

    Its columns are first, first + blockDim.y, ...
    """
    c = min(cuda.blockIdx.y * cuda.blockDim.x + cuda.threadIdx.x, C)
    return cuda.blockIdx.x, cuda.blockIdx.z, cuda.threadIdx.y, c


@device_function
def row_of_warp():
    """Return the row of a table that this thread works on with `LANES` - 1 others; it may lie beyond the last."""
    return cuda.blockIdx.x * cuda.blockDim.y + cuda.threadIdx.y
