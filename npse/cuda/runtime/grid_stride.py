"""Grid-stride loops: how maps (H*W pixels, C channels), tables and lists are divided among the threads of a grid.

Channels are next to each other in memory, so neighbouring threads take neighbouring channels, and each access of a
warp is coalesced. A block is a rectangle of threads, x along channels and y along pixels:

    threadIdx.x, y   0, 0   1, 0   ...  width-1, 0 | 0, 1   ...
    channel          0      1      ...  width-1    | 0      ...
    first pixel      0      0      ...  0          | 1      ...

All elements of a thread are of one channel, so the thread keeps the gates, means and sums of this channel in registers.
In arrays of vectors (vectors.py) four channels count as one: C is then the number of vectors of a pixel.
Maps are flat arrays here: a thread takes the elements first, first + step, ... before end (`thread_map`). So the loop
needs no division and no multiplication for the index. Indices are unsigned, because Numba tests whether a signed index
is negative and counts from the end. A table (R, C) is one map of R pixels. It may have millions of columns, so its
blocks are along the x axis of the grid, the only one that is long enough (`column`). Loops have two forms, because the
compiler translates them differently:

    for k in range(first, end, step)     loops that only read: unrolled by four, with four loads in flight
    while k < end                        loops that also write: not unrolled, because a load must not pass a store; they
                                         need fewer registers, so more threads fit on a multiprocessor
"""

import numpy as np
from numba import cuda

from npse.cuda.runtime.device import BLOCK_THREADS, SIMULATED, blocks_for, device_function
from npse.support.arithmetic import ceil_div

WIDTHS = (4, 2) if SIMULATED else (64, 32, 16)         # channels of a block; a smaller width gives more blocks
TABLE_WIDTH = 2 if SIMULATED else 8                    # the same for a table (N, C): 8 elements fill a sector of memory
LANES = 4 if SIMULATED else 32                         # threads that work on one row together: a warp
BLOCKS_TO_FILL_DEVICE = 2 if SIMULATED else 1024       # 8 blocks of 256 threads on each of 128 multiprocessors


def grid_for_maps(x, lanes=1):
    """Return blocks and threads for a kernel that sums over each map of x (N, ..., C): see `thread_map`.

    A thread takes ``lanes`` channels at a time.
    """
    N, C, pixels = _sizes(x, lanes)
    widths = _widths(lanes)
    width = next((width for width in widths if N * ceil_div(C, width) >= BLOCKS_TO_FILL_DEVICE), widths[-1])
    return (N, ceil_div(C, width)), _threads(C, width, pixels)


def grid_for_table(a):
    """Return blocks and threads for a kernel that sums over the rows of a (R, C): see `column`."""
    R, C = a.shape
    return ceil_div(C, TABLE_WIDTH), _threads(C, TABLE_WIDTH, R)


def grid_for_pixels(x, lanes=1):
    """Return blocks and threads for a kernel without sums over pixels: see `thread_map` and `grid_for_maps`.

    Maps are divided among several blocks if the grid has too few blocks.
    """
    N, C, pixels = _sizes(x, lanes)
    threads = width, rows = _threads(C, _widths(lanes)[0], pixels)
    chunks = ceil_div(C, width)
    return (N, chunks, max(1, min(2 * BLOCKS_TO_FILL_DEVICE // (N * chunks), pixels // rows))), threads


def grid_for_rows(x, lanes=1):
    """Return blocks and threads for a kernel that needs the row and the column of a pixel in the maps x (N, H, W, C).

    A block takes one row of the map, so that row and column need no division: see `thread_map_in_row`. A thread takes
    ``lanes`` channels at a time.
    """
    N, H, W, C = x.shape
    return _grid_for_lines(N, H, W, C // lanes, lanes)


def grid_for_columns(x, lanes=1):
    """Return blocks and threads for a kernel that sums over the columns of the maps x (N, H, W, C).

    A block takes one column of the map: in `thread_map_in_row` rows and columns change places.
    """
    N, H, W, C = x.shape
    return _grid_for_lines(N, W, H, C // lanes, lanes)


def _grid_for_lines(N, lines, pixels, C, lanes):
    threads = width, _ = _threads(C, _widths(lanes)[0], pixels)
    return (N, ceil_div(C, width), lines), threads


def grid_for_elements(x):
    """Return blocks and threads for a kernel that computes the same for all elements of x: see `grid_stride`."""
    return min(blocks_for(x.size), 2 * BLOCKS_TO_FILL_DEVICE), BLOCK_THREADS


def grid_for_lists(a):
    """Return blocks and threads for a kernel with `LANES` threads for each row of a (N, K): see `row_of_warp`."""
    rows = BLOCK_THREADS // LANES
    return ceil_div(a.shape[0], rows), (LANES, rows)


def _sizes(x, lanes):
    N, C = x.shape[0], x.shape[x.ndim - 1]             # the simulator's shapes do not allow the index -1
    return N, C // lanes, x.size // (N * C)


def _widths(lanes):
    """Return the possible numbers of threads along the channels."""
    return [max(1, width // lanes) for width in WIDTHS]


def _threads(C, width, pixels):
    width = min(C, width)
    return width, min(BLOCK_THREADS // width, pixels)


@device_function
def thread_map(R, C):
    """Return (n, c, first, end, step) for this thread: its image, its channel, and its elements in maps of R pixels.

    Its elements are x[first], x[first + step], ... before x[end], in a flat view of x. All are of channel c. A thread
    with c >= C has no channel and no elements: it must not read or write memory, but it must reach every barrier.
    """
    n, c = cuda.blockIdx.x, cuda.blockIdx.y * cuda.blockDim.x + cuda.threadIdx.x
    row = cuda.blockIdx.z * cuda.blockDim.y + cuda.threadIdx.y
    end = (n + 1) * R * C
    first = (n * R + row) * C + c if c < C else end
    return n, c, np.uint64(first), np.uint64(end), np.uint64(cuda.blockDim.y * cuda.gridDim.z * C)


@device_function
def column(R, C):
    """Return (c, first, end, step) for this thread: its column and its elements in a table (R, C); see `thread_map`."""
    c, row = cuda.blockIdx.x * cuda.blockDim.x + cuda.threadIdx.x, cuda.threadIdx.y
    end = R * C
    first = row * C + c if c < C else end
    return c, np.uint64(first), np.uint64(end), np.uint64(cuda.blockDim.y * C)


@device_function
def grid_stride(size):
    """Return (first, end, step): the elements of this thread in an array (size,); see `grid_for_elements`."""
    return np.uint64(cuda.grid(1)), np.uint64(size), np.uint64(cuda.gridsize(1))


@device_function
def thread_map_in_row(C):
    """Return (n, i, first, c) for this thread: image, row of the map, first column, channel.

    Its columns are first, first + blockDim.y, ... If the thread has no channel, c is C.
    """
    c = min(cuda.blockIdx.y * cuda.blockDim.x + cuda.threadIdx.x, C)
    return cuda.blockIdx.x, cuda.blockIdx.z, cuda.threadIdx.y, c


@device_function
def row_of_warp():
    """Return the row of a table for this thread, the same for all `LANES` threads. It may be beyond the last row."""
    return cuda.blockIdx.x * cuda.blockDim.y + cuda.threadIdx.y
