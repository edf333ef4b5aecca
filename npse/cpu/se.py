"""The squeeze-and-excitation block, equations (2) to (4). Each op makes one pass over maps. Letters: as in the book."""

from functools import partial

import numpy as np

from npse import reference as book
from npse.cpu.runtime.arrays import image_sums, pixels, replaces
from npse.cpu.runtime.jit import kernel
from npse.cpu.runtime.memory_pool import empty, empty_like
from npse.cpu.runtime.parallel import parallel_for
from npse.cpu.se_kernels.excite import excite, excite_backward


@replaces(book.squeeze, recordable=True)
def squeeze(u):
    _, H, W, _ = u.shape
    z = empty((u.shape[0], u.shape[3]), u.dtype)
    parallel_for(partial(_divided, image_sums(u), H * W, z), len(u), len(u))
    return z


@kernel
def _divided(sums, count, z, first, last):
    for n in range(first, last):
        for c in range(z.shape[1]):
            z[n, c] = sums[n, c] / count


@replaces(book.squeeze_backward)
def squeeze_backward(dz, u_shape):
    _, H, W, _ = u_shape
    du = empty(u_shape, dz.dtype)
    parallel_for(partial(_spread, dz / (H * W), pixels(du)), len(du))
    return du


@kernel
def _spread(share_of_dz, du, first, last):
    for n in range(first, last):
        for r in range(du.shape[1]):
            for c in range(du.shape[2]):
                du[n, r, c] = share_of_dz[n, c]


@replaces(book.scale, recordable=True)
def scale(u, s):
    y = empty_like(u)
    parallel_for(partial(_scale, pixels(u), s, pixels(y)), len(u))
    return y


@kernel
def _scale(u, s, y, first, last):
    for n in range(first, last):
        for r in range(u.shape[1]):
            for c in range(u.shape[2]):
                y[n, r, c] = u[n, r, c] * s[n, c]


@replaces(book.scale_backward)
def scale_backward(dy, u, s):
    du, ds = empty_like(u), np.zeros(s.shape)
    parallel_for(partial(_scale_backward, pixels(dy), pixels(u), s, pixels(du), ds), len(u))
    return du, ds.astype(s.dtype)


@kernel
def _scale_backward(dy, u, s, du, ds, first, last):
    for n in range(first, last):
        for r in range(u.shape[1]):
            for c in range(u.shape[2]):
                du[n, r, c] = dy[n, r, c] * s[n, c]
                ds[n, c] += dy[n, r, c] * u[n, r, c]


@replaces(book.se)
def se(u, w1, w2, b1=None, b2=None):
    return scale(u, excite(squeeze(u), w1, w2, b1, b2))


@replaces(book.se_backward)
def se_backward(dy, u, w1, w2, b1=None, b2=None):
    z = squeeze(u)
    s = excite(z, w1, w2, b1, b2)
    du, ds = scale_backward(dy, u, s)
    dz, dw1, dw2, db1, db2 = excite_backward(ds, z, s, w1, w2, b1)
    _, H, W, _ = u.shape
    du += (dz / (H * W))[:, None, None, :]                        # the second path to u, through the squeeze
    return du, dw1, dw2, db1, db2
