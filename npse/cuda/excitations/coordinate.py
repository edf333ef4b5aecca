"""Coordinate attention on the device. Letters: as in the book.

A squeeze computes the means: a row is a map of W pixels, and the columns are the channels of a map of H pixels.
"""

from numba import cuda

from npse import reference as book
from npse.cuda.runtime.arrays import replaces
from npse.cuda.runtime.block_reduce import sum_rows
from npse.cuda.runtime.device import BLOCK_THREADS, empty, empty_like, kernel, launch, scalar
from npse.cuda.runtime.grid_stride import grid_for_columns, grid_for_rows, thread_map_in_row
from npse.cuda.runtime.vectors import launch_over_rows
from npse.cuda.se import squeeze
from npse.support.arithmetic import ceil_div


@replaces(book.axis_means)
def axis_means(u):
    N, H, W, C = u.shape
    rows, columns = squeeze(u.reshape(N * H, W, 1, C)), squeeze(u.reshape(N, H, 1, W * C))
    return rows.reshape(N, H, C), columns.reshape(N, W, C)


@replaces(book.axis_means_backward)
def axis_means_backward(dzh, dzw):
    (N, H, C), W = dzh.shape, dzw.shape[1]
    du = empty((N, H, W, C), dzh.dtype)
    launch_over_rows(_axis_means_backward, grid_for_rows, dzh, dzw, scalar(1 / W, dzh), scalar(1 / H, dzh), du)
    return du


@kernel
def _axis_means_backward(dzh, dzw, share_of_row, share_of_column, du):
    n, i, first, c = thread_map_in_row(du.shape[3])
    if c < du.shape[3]:
        part = dzh[n, i, c] * share_of_row
        for j in range(first, du.shape[2], cuda.blockDim.y):
            du[n, i, j, c] = part + dzw[n, j, c] * share_of_column


@replaces(book.join_rows)
def join_rows(zh, zw):
    (N, H, C), W = zh.shape, zw.shape[1]
    z = empty((N, H + W, 1, C), zh.dtype)
    launch(_join, *_grid_for_images(z), _images(zh), _images(zw), _images(z))
    return z


@kernel
def _join(zh, zw, z):
    n, rows = cuda.blockIdx.x, zh.shape[1]
    for k in range(cuda.blockIdx.y * cuda.blockDim.x + cuda.threadIdx.x, z.shape[1], cuda.gridDim.y * cuda.blockDim.x):
        z[n, k] = zh[n, k] if k < rows else zw[n, k - rows]


@replaces(book.split_rows)
def split_rows(z, height):
    N, L, _, C = z.shape
    zh, zw = empty((N, int(height), C), z.dtype), empty((N, L - int(height), C), z.dtype)
    launch(_split, *_grid_for_images(z), _images(z), _images(zh), _images(zw))
    return zh, zw


@kernel
def _split(z, zh, zw):
    n, rows = cuda.blockIdx.x, zh.shape[1]
    for k in range(cuda.blockIdx.y * cuda.blockDim.x + cuda.threadIdx.x, z.shape[1], cuda.gridDim.y * cuda.blockDim.x):
        if k < rows:
            zh[n, k] = z[n, k]
        else:
            zw[n, k - rows] = z[n, k]


def _images(z):
    """Return a view (N, elements of an image)."""
    return z.reshape(z.shape[0], z.size // z.shape[0])


def _grid_for_images(z):
    elements = z.size // z.shape[0]
    return (z.shape[0], min(ceil_div(elements, BLOCK_THREADS), 64)), BLOCK_THREADS


@replaces(book.scale_axes)
def scale_axes(u, sh, sw):
    y = empty_like(u)
    launch_over_rows(_scale_axes, grid_for_rows, u, sh, sw, y)
    return y


@kernel
def _scale_axes(u, sh, sw, y):
    n, i, first, c = thread_map_in_row(u.shape[3])
    if c < u.shape[3]:
        gate = sh[n, i, c]
        for j in range(first, u.shape[2], cuda.blockDim.y):
            y[n, i, j, c] = u[n, i, j, c] * (gate * sw[n, j, c])


@replaces(book.scale_axes_backward)
def scale_axes_backward(dy, u, sh, sw):
    du, dsh, dsw = empty_like(u), empty_like(sh), empty_like(sw)
    launch_over_rows(_gradients_of_rows, grid_for_rows, dy, u, sh, sw, du, dsh)
    launch_over_rows(_gradients_of_columns, grid_for_columns, dy, u, sh, dsw)
    return du, dsh, dsw


@kernel
def _gradients_of_rows(dy, u, sh, sw, du, dsh):
    shared = cuda.shared.array(BLOCK_THREADS, u.dtype)
    n, i, first, c = thread_map_in_row(u.shape[3])
    total = u.dtype.type(0)
    if c < u.shape[3]:
        gate = sh[n, i, c]
        for j in range(first, u.shape[2], cuda.blockDim.y):
            g, other = dy[n, i, j, c], sw[n, j, c]
            total += g * u[n, i, j, c] * other
            du[n, i, j, c] = g * (gate * other)
    total = sum_rows(shared, total)
    if c < u.shape[3] and cuda.threadIdx.y == 0:
        dsh[n, i, c] = total


@kernel
def _gradients_of_columns(dy, u, sh, dsw):
    shared = cuda.shared.array(BLOCK_THREADS, u.dtype)
    n, j, first, c = thread_map_in_row(u.shape[3])
    total = u.dtype.type(0)
    if c < u.shape[3]:
        for i in range(first, u.shape[1], cuda.blockDim.y):
            total += dy[n, i, j, c] * u[n, i, j, c] * sh[n, i, c]
    total = sum_rows(shared, total)
    if c < u.shape[3] and cuda.threadIdx.y == 0:
        dsw[n, j, c] = total
