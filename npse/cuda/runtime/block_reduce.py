"""Block reductions: the sum or maximum of the values of all threads of a block, or of one row of it.

The sum over the threads of a channel has two variants:

    sum_rows_by_tree      halves the number of rows until one is left: log2(rows) + 2 barriers
    sum_rows_by_shuffle   adds the rows of a warp with shuffles, then each thread adds the sums of the warps: 2 barriers
    sum_rows              is the second variant on a GPU, the first in the simulator, which has no shuffles

A block is a rectangle of threads, x along channels and y along pixels, as in grid_stride.py.
"""

from numba import cuda

from npse.cuda.runtime.device import SIMULATED, device_function
from npse.cuda.runtime.grid_stride import LANES
from npse.cuda.runtime.vectors import lanewise

WARP = 32                        # lanes of a warp


@device_function
def _add(a, b):
    return a + b


@lanewise
@device_function
def _from_further_lane(value, offset):
    return cuda.shfl_down_sync(0xffffffff, value, offset)


@device_function
def _higher(a, b):
    return a if a > b else b


@lanewise
@device_function
def higher_or_nan(a, b):
    """Return the higher of two numbers; if the first is NaN, NaN."""
    return a if a > b or a != a else b


@device_function
def _lower(a, b):
    return a if a < b else b


def _rows_by_tree(join):
    """Make a device function that combines the values of all threads of a channel. Each of them gets the result.

    ``shared`` is an array in shared memory with one element for each thread. All threads of the block must call.
    """
    @device_function
    def by_tree(shared, value):
        width, rows = cuda.blockDim.x, cuda.blockDim.y
        row = cuda.threadIdx.y
        t = row * width + cuda.threadIdx.x
        shared[t] = value
        cuda.syncthreads()
        while rows > 1:
            half = (rows + 1) // 2
            if row + half < rows:
                shared[t] = join(shared[t], shared[t + half * width])
            cuda.syncthreads()
            rows = half
        result = shared[cuda.threadIdx.x]
        cuda.syncthreads()                             # the next call may write
        return result
    return by_tree


sum_rows_by_tree, max_or_nan_rows, min_rows = map(_rows_by_tree, (_add, higher_or_nan, _lower))


@device_function
def sum_rows_by_shuffle(shared, value):
    """Compute the same as `sum_rows_by_tree`, with shuffles.

    Thread t = y * width + x is lane t % 32 of its warp. Suppose that width divides 32 and that all warps are full. Then
    lane + width has the same channel in the next row, because x = t % width = lane % width. So each lane adds the value
    of the lane ``offset`` further, for each offset 16, 8, ... that is at least width. After that, the first width lanes
    have the sums over the 32 / width rows of their warp. Lanes near the end of the warp read undefined values; nothing
    uses their results. At the end each thread adds the sums of all warps for its channel. For other widths it adds the
    values of all rows.
    """
    width, rows = cuda.blockDim.x, cuda.blockDim.y
    t = cuda.threadIdx.y * width + cuda.threadIdx.x
    if WARP % width == 0 and width * rows % WARP == 0:
        offset = WARP // 2
        while offset >= width:
            value += _from_further_lane(value, offset)
            offset //= 2
        if t % WARP < width:
            shared[t // WARP * width + cuda.threadIdx.x] = value
        rows = width * rows // WARP
    else:
        shared[t] = value
    cuda.syncthreads()
    result = shared[cuda.threadIdx.x]
    for row in range(1, rows):
        result += shared[row * width + cuda.threadIdx.x]
    cuda.syncthreads()                                 # the next call may write
    return result


sum_rows = sum_rows_by_tree if SIMULATED else sum_rows_by_shuffle


def _over_lanes(join):
    """Make a device function that combines the values of the `LANES` threads of a row. Each thread gets the result.

    All threads of the block must call. On a GPU the threads of a row are a warp: lane l combines its value with that of
    lane l xor offset, for the offsets 16, 8, 4, 2, 1. After that each lane has the same result over all 32 lanes. This
    needs no barrier and does not use ``shared``.
    """
    @device_function
    def by_tree(shared, value):
        lane, t = cuda.threadIdx.x, cuda.threadIdx.y * LANES + cuda.threadIdx.x
        shared[t] = value
        cuda.syncthreads()
        half = LANES // 2
        while half > 0:
            if lane < half:
                shared[t] = join(shared[t], shared[t + half])
            cuda.syncthreads()
            half //= 2
        result = shared[t - lane]
        cuda.syncthreads()
        return result

    @device_function
    def by_shuffle(shared, value):
        offset = WARP // 2
        while offset > 0:
            value = join(value, cuda.shfl_xor_sync(0xffffffff, value, offset))
            offset //= 2
        return value

    return by_tree if SIMULATED else by_shuffle


sum_lanes = _over_lanes(_add)
max_lanes = _over_lanes(_higher)
max_or_nan_lanes = _over_lanes(higher_or_nan)
min_lanes = _over_lanes(_lower)
