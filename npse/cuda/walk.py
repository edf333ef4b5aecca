"""How a block walks over a map (H*W pixels, C channels), and how its threads add up.

Channels lie next to each other in memory, so neighbouring threads take neighbouring channels, and one access of a warp
is one piece of memory. A block takes one image and up to `WIDTH` channels of it:

    thread        0    1   ...  width-1 | width ...              width = min(C, WIDTH) channels
    channel       0    1   ...  width-1 | 0     ...              rows  = BLOCK // width pixels at once
    first pixel   0    0   ...  0       | 1     ...

A thread stays with its channel, so gates, means and sums of that channel live in its registers, and no index is ever
divided. Its pixels are row, row + step, row + 2*step, ...
"""

from numba import cuda

from npse.cuda.device import BLOCK, SIMULATED, device_function

WIDTH = 4 if SIMULATED else 64            # channels of a block, at most
ENOUGH = 2 if SIMULATED else 2048         # blocks that keep a device busy


def grid_of_images(x):
    """Blocks for a kernel that sums over each map of x (N, H, W, C) or (N, R, C): one for (image, channels)."""
    return x.shape[0], -(-x.shape[x.ndim - 1] // WIDTH)         # the simulator's shapes refuse an index of -1


def grid_of_pixels(x):
    """Blocks for a kernel that works pixel by pixel: maps are cut into pieces too, until there are enough blocks."""
    N, chunks = grid_of_images(x)
    C = x.shape[x.ndim - 1]
    rows = BLOCK // min(C, WIDTH)
    pixels = x.size // (N * C)
    pieces = max(1, min(ENOUGH // (N * chunks), pixels // rows))
    return N, chunks, pieces


@device_function
def place(C):
    """Return (n, row, step, c) of this thread: image, first pixel, distance to the next, channel.

    c = C says that this thread has no channel and must not touch memory (but must reach every barrier).
    """
    width = min(C, WIDTH)
    rows = cuda.blockDim.x // width
    row = cuda.threadIdx.x // width
    c = cuda.blockIdx.y * width + cuda.threadIdx.x % width
    if row >= rows or c > C:
        c = C
    return cuda.blockIdx.x, cuda.blockIdx.z * rows + row, rows * cuda.gridDim.z, c


@device_function
def sum_rows(shared, value, C):
    """Add the values of all threads of a channel, as a tree; the sum is returned to every thread of the channel.

    ``shared`` has room for a number of each thread. All threads of the block must call.
    """
    width = min(C, WIDTH)
    t = cuda.threadIdx.x
    shared[t] = value
    cuda.syncthreads()
    rows = cuda.blockDim.x // width
    while rows > 1:
        half = (rows + 1) // 2
        if t + half * width < rows * width:
            shared[t] += shared[t + half * width]
        cuda.syncthreads()
        rows = half
    result = shared[t % width]
    cuda.syncthreads()                    # the next call may write
    return result
