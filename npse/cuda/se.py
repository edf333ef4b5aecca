"""The squeeze-and-excitation block on the device: equations (2), (3) and (4).

A map is read once for the squeeze and once for the scale. The excitation, which has only a few thousand elements, is in
se_kernels/excite.py. Letters: as in the book.

The squeeze has three variants, `SQUEEZES`. The other files use the reductions of the last two:

    alone     one thread sums one channel of a map: accesses are coalesced, but N * C threads do not fill a GPU
    tree      a block sums up to 64 channels of a map; its threads add their sums as a tree
    shuffle   the same with warp shuffles, where the rows of a block share a warp; not in the simulator
"""

from numba import cuda

from npse import reference as book
from npse.cuda.runtime.arrays import area, replaces
from npse.cuda.runtime.block_reduce import sum_rows, sum_rows_by_shuffle, sum_rows_by_tree
from npse.cuda.runtime.device import BLOCK_THREADS, SIMULATED, empty, empty_like, kernel, launch, scalar
from npse.cuda.runtime.grid_stride import grid_for_elements, grid_for_maps, grid_for_pixels, thread_map
from npse.cuda.runtime.vectors import launch_over_maps
from npse.cuda.se_kernels.excite import excite, excite_backward


@replaces(book.squeeze)
def squeeze(u):
    return SQUEEZES["tree" if SIMULATED else "shuffle"](u)


def _squeeze_alone(u):
    N, H, W, C = u.shape
    z = empty((N, C), u.dtype)
    launch(_mean_alone, *grid_for_elements(z), u.reshape(N, H * W, C), scalar(1 / (H * W), u), z)
    return z


@kernel
def _mean_alone(u, share, z):
    N, R, C = u.shape
    for k in range(cuda.grid(1), N * C, cuda.gridsize(1)):
        n, c = k // C, k % C
        total = z.dtype.type(0)
        for r in range(R):
            total += u[n, r, c]
        z[n, c] = total * share


def _squeeze_by(add_up):
    @kernel
    def mean_of_maps(u, R, share, z):
        shared = cuda.shared.array(BLOCK_THREADS, z.dtype)
        n, c, first, end, step = thread_map(R, z.shape[1])
        total = z.dtype.type(0)
        for k in range(first, end, step):
            total += u[k]
        total = add_up(shared, total)
        if c < z.shape[1] and cuda.threadIdx.y == 0:
            z[n, c] = total * share

    def squeeze(u):
        N, H, W, C = u.shape
        z = empty((N, C), u.dtype)
        launch_over_maps(mean_of_maps, grid_for_maps, u, H * W, scalar(1 / (H * W), u), z)
        return z
    return squeeze


SQUEEZES = {"alone": _squeeze_alone, "tree": _squeeze_by(sum_rows_by_tree), "shuffle": _squeeze_by(sum_rows_by_shuffle)}


@replaces(book.squeeze_backward)
def squeeze_backward(dz, u_shape):
    du = empty(u_shape, dz.dtype)
    launch_over_maps(_squeeze_backward, grid_for_pixels, dz, area(du), scalar(1 / area(du), du), du)
    return du


@kernel
def _squeeze_backward(dz, R, share, du):
    n, c, k, end, step = thread_map(R, dz.shape[1])
    if c < dz.shape[1]:
        part = dz[n, c] * share
        while k < end:
            du[k] = part
            k += step


@replaces(book.scale)
def scale(u, s):
    y = empty_like(u)
    launch_over_maps(_scale, grid_for_pixels, u, area(u), s, y)
    return y


@kernel
def _scale(u, R, s, y):
    n, c, k, end, step = thread_map(R, s.shape[1])
    if c < s.shape[1]:
        gate = s[n, c]
        while k < end:
            y[k] = u[k] * gate
            k += step


@replaces(book.scale_backward)
def scale_backward(dy, u, s):
    du, ds = empty_like(u), empty_like(s)
    launch_over_maps(_scale_backward, grid_for_maps, dy, u, area(u), s, du, ds)
    return du, ds


@kernel
def _scale_backward(dy, u, R, s, du, ds):
    shared = cuda.shared.array(BLOCK_THREADS, ds.dtype)
    n, c, k, end, step = thread_map(R, s.shape[1])
    total = ds.dtype.type(0)
    if c < s.shape[1]:
        gate = s[n, c]
        while k < end:
            g = dy[k]
            total += g * u[k]
            du[k] = g * gate
            k += step
    total = sum_rows(shared, total)
    if c < s.shape[1] and cuda.threadIdx.y == 0:
        ds[n, c] = total


@replaces(book.se)
def se(u, w1, w2, b1=None, b2=None):
    return scale(u, excite(squeeze(u), w1, w2, b1, b2))


@replaces(book.se_backward)
def se_backward(dy, u, w1, w2, b1=None, b2=None):
    R, share, shape = area(u), scalar(1 / area(u), u), (u.shape[0], u.shape[3])
    z, ds, du = empty(shape, u.dtype), empty(shape, u.dtype), empty_like(u)
    launch_over_maps(_squeezed_and_ds, grid_for_maps, dy, u, R, share, z, ds)          # ds does not depend on the gates
    s = excite(z, w1, w2, b1, b2)
    dz, *dw = excite_backward(ds, z, s, w1, w2, b1)
    launch_over_maps(_both_paths, grid_for_pixels, dy, R, s, dz, share, du)
    return du, *dw


@kernel
def _squeezed_and_ds(dy, u, R, share, z, ds):
    shared = cuda.shared.array(BLOCK_THREADS, z.dtype)
    n, c, first, end, step = thread_map(R, z.shape[1])
    total = product = z.dtype.type(0)
    for k in range(first, end, step):
        total += u[k]
        product += dy[k] * u[k]
    total = sum_rows(shared, total)
    product = sum_rows(shared, product)
    if c < z.shape[1] and cuda.threadIdx.y == 0:
        z[n, c] = total * share
        ds[n, c] = product


@kernel
def _both_paths(dy, R, s, dz, share, du):
    n, c, k, end, step = thread_map(R, s.shape[1])
    if c < s.shape[1]:
        gate, part = s[n, c], dz[n, c] * share
        while k < end:
            du[k] = dy[k] * gate + part
            k += step
