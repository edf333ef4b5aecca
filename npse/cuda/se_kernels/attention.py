"""The attention squeeze on the device: `LANES` threads compute the score of a pixel. Letters: as in the book."""

from numba import cuda

from npse import reference as book
from npse.cuda.loss import softmax
from npse.cuda.runtime.arrays import flat, replaces
from npse.cuda.runtime.block_reduce import sum_lanes, sum_rows
from npse.cuda.runtime.device import BLOCK_THREADS, empty, empty_like, kernel, launch
from npse.cuda.runtime.grid_stride import LANES, grid_for_lists, grid_for_maps, row_of_warp, thread_map
from npse.cuda.runtime.partial_sums import add_rows


@replaces(book.attention_squeeze)
def attention_squeeze(u, k):
    N, H, W, C = u.shape
    pixels, scores = u.reshape(N * H * W, C), empty((N, H * W), u.dtype)
    launch(_scores, *grid_for_lists(pixels), pixels, k, flat(scores))
    p = softmax(scores)
    return _sums_of_pixels(u, p), p.reshape(N, H, W)


@kernel
def _scores(u, k, scores):
    shared = cuda.shared.array(BLOCK_THREADS, u.dtype)
    R, C = u.shape
    r = row_of_warp()
    row = min(r, R - 1)
    total = u.dtype.type(0)
    for c in range(cuda.threadIdx.x, C, LANES):
        total += u[row, c] * k[c]
    total = sum_lanes(shared, total)
    if r < R and cuda.threadIdx.x == 0:
        scores[r] = total


def _sums_of_pixels(u, a):
    """Return the sums over the pixels of a * u: (N, H, W, C), (N, H*W) -> (N, C)."""
    sums = empty((u.shape[0], u.shape[3]), u.dtype)
    launch(_add_pixels, *grid_for_maps(u), flat(u), a, sums)
    return sums


@kernel
def _add_pixels(u, a, sums):
    shared = cuda.shared.array(BLOCK_THREADS, sums.dtype)
    n, c, first, end, step = thread_map(a.shape[1], sums.shape[1])
    total, r = sums.dtype.type(0), cuda.threadIdx.y
    for k in range(first, end, step):
        total += a[n, r] * u[k]
        r += cuda.blockDim.y
    total = sum_rows(shared, total)
    if c < sums.shape[1] and cuda.threadIdx.y == 0:
        sums[n, c] = total


@replaces(book.attention_squeeze_backward)
def attention_squeeze_backward(dz, u, k, z, p):
    N, H, W, C = u.shape
    du, da = empty_like(u), empty((N, H * W), u.dtype)
    pixels = u.reshape(N * H * W, C)
    launch(_attention_backward, *grid_for_lists(pixels), dz, pixels, k, z, flat(p), du.reshape(N * H * W, C), flat(da))
    return du, add_rows(_sums_of_pixels(u, da))


@kernel
def _attention_backward(dz, u, k, z, p, du, da):
    """`LANES` threads compute da and du of a pixel. da = p * (dz . u - dz . z) is p times dz . (u - z)."""
    shared = cuda.shared.array(BLOCK_THREADS, u.dtype)
    R, C = u.shape
    r = row_of_warp()
    row = min(r, R - 1)
    n = row // (R // dz.shape[0])
    total = u.dtype.type(0)
    for c in range(cuda.threadIdx.x, C, LANES):
        total += dz[n, c] * (u[row, c] - z[n, c])
    slope = p[row] * sum_lanes(shared, total)
    if r < R:
        for c in range(cuda.threadIdx.x, C, LANES):
            du[r, c] = p[r] * dz[n, c] + slope * k[c]
        if cuda.threadIdx.x == 0:
            da[r] = slope
