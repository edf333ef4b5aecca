"""Block reductions: how the threads of a block, or of one row of it, add up their values.

The sum over the threads of a channel has two variants:

    sum_rows_by_tree      halves the rows until one is left: log2(rows) + 2 barriers
    sum_rows_by_shuffle   rows of one warp through registers, the few sums of warps by everyone: 2 barriers
    sum_rows              the fastest that runs here; the simulator has no shuffles

A block is a rectangle of threads, x across channels and y across pixels, as in grid_stride.py.
"""

from numba import cuda

from npse.cuda.runtime.device import SIMULATED, device_function
from npse.cuda.runtime.grid_stride import LANES

WARP = 32


@device_function
def sum_rows_by_tree(shared, value):
    """Add the values of all threads of a channel; the sum is returned to every thread of the channel.

    ``shared`` has one element for each thread. All threads of the block must call.
    """
    width, rows = cuda.blockDim.x, cuda.blockDim.y
    row = cuda.threadIdx.y
    t = row * width + cuda.threadIdx.x
    shared[t] = value
    cuda.syncthreads()
    while rows > 1:
        half = (rows + 1) // 2
        if row + half < rows:
            shared[t] += shared[t + half * width]
        cuda.syncthreads()
        rows = half
    result = shared[cuda.threadIdx.x]
    cuda.syncthreads()                                 # the next call may write
    return result


@device_function
def sum_rows_by_shuffle(shared, value):
    """The same as `sum_rows_by_tree`.

    Thread t = y * width + x is lane t % 32 of its warp. If width divides 32, and warps are full, lane + width is the
    same channel, one row on: x = t % width = lane % width. So a lane takes in the values of the lanes ``offset``
    further, for each offset 16, 8, ... that is a multiple of width, and the first width lanes end with the sums over
    their warp's 32 / width rows. (Lanes too near the end of the warp read undefined values that are never used.)
    The few sums that are left, one for each warp and channel, are added as the rows of other widths are.
    """
    width, rows = cuda.blockDim.x, cuda.blockDim.y
    t = cuda.threadIdx.y * width + cuda.threadIdx.x
    if WARP % width == 0 and width * rows % WARP == 0:
        offset = WARP // 2
        while offset >= width:
            value += cuda.shfl_down_sync(0xffffffff, value, offset)
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


@device_function
def _add(a, b):
    return a + b


@device_function
def _higher(a, b):
    return a if a > b else b


def _over_lanes(join):
    """A device function that joins the values of the `LANES` threads of a row, and returns the result to all of them.

    All threads of the block must call. On hardware the threads of a row are a warp: lane l combines its value with that
    of lane l xor offset, for offsets 16, 8, 4, 2, 1. Then each has the result over all 32 lanes, the same in each lane.
    Nothing is written to ``shared``, and no barrier is needed.
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
