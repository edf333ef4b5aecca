"""The squeeze-and-excitation block on the device: equations (2), (3) and (4).

A map is read once for the squeeze and once for the scale; the excitation in between is a few thousand numbers, and one
block of threads computes it for an image without leaving the chip.
"""

from numba import cuda

from npse import reference as book
from npse.cuda.arrays import pixels, replaces
from npse.cuda.device import BLOCK, empty, empty_like, kernel, launch, scalar
from npse.cuda.walk import grid_of_images, grid_of_pixels, place, sum_rows
from npse.reference.arrays import expect


@replaces(book.squeeze)
def squeeze(u):
    expect("squeeze", u=(u, "N H W C"))
    N, H, W, C = u.shape
    z = empty((N, C), u.dtype)
    launch(_squeeze, grid_of_images(u), BLOCK, pixels(u), scalar(1 / (H * W), u), z)
    return z


@kernel
def _squeeze(u, share, z):
    shared = cuda.shared.array(BLOCK, z.dtype)
    R, C = u.shape[1], u.shape[2]
    n, row, step, c = place(C)
    total = z.dtype.type(0)
    if c < C:
        for r in range(row, R, step):
            total += u[n, r, c]
    total = sum_rows(shared, total, C)
    if c < C and row == 0:
        z[n, c] = total * share


@replaces(book.squeeze_backward)
def squeeze_backward(dz, u_shape):
    u_shape = tuple(u_shape)
    expect("squeeze_backward", u_shape=(u_shape, "N H W C"), dz=(dz, "N C"))
    du = empty(u_shape, dz.dtype)
    launch(_squeeze_backward, grid_of_pixels(du), BLOCK, dz, scalar(1 / (u_shape[1] * u_shape[2]), dz), pixels(du))
    return du


@kernel
def _squeeze_backward(dz, share, du):
    R, C = du.shape[1], du.shape[2]
    n, row, step, c = place(C)
    if c < C:
        part = dz[n, c] * share
        for r in range(row, R, step):
            du[n, r, c] = part


@replaces(book.scale)
def scale(u, s):
    expect("scale", u=(u, "N H W C"), s=(s, "N C"))
    y = empty_like(u)
    launch(_scale, grid_of_pixels(u), BLOCK, pixels(u), s, pixels(y))
    return y


@kernel
def _scale(u, s, y):
    R, C = u.shape[1], u.shape[2]
    n, row, step, c = place(C)
    if c < C:
        gate = s[n, c]
        for r in range(row, R, step):
            y[n, r, c] = u[n, r, c] * gate


@replaces(book.scale_backward)
def scale_backward(dy, u, s):
    expect("scale_backward", u=(u, "N H W C"), s=(s, "N C"), dy=(dy, "N H W C"))
    du, ds = empty_like(u), empty_like(s)
    launch(_scale_backward, grid_of_images(u), BLOCK, pixels(dy), pixels(u), s, pixels(du), ds)
    return du, ds


@kernel
def _scale_backward(dy, u, s, du, ds):
    shared = cuda.shared.array(BLOCK, ds.dtype)
    R, C = u.shape[1], u.shape[2]
    n, row, step, c = place(C)
    total = ds.dtype.type(0)
    if c < C:
        gate = s[n, c]
        for r in range(row, R, step):
            du[n, r, c] = dy[n, r, c] * gate
            total += dy[n, r, c] * u[n, r, c]
    total = sum_rows(shared, total, C)
    if c < C and row == 0:
        ds[n, c] = total
