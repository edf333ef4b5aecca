"""The squeeze-and-excitation block, equations (2) to (4). Each op makes one pass over maps. Letters: as in the book."""

from functools import partial

from npse import reference as book
from npse.cpu.runtime.arrays import image_sums, pixels, replaces, rounded, zeros
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


@replaces(book.squeeze_backward, recordable=True)
def squeeze_backward(dz, u_shape):
    _, H, W, _ = u_shape
    du = empty(u_shape, dz.dtype)
    parallel_for(partial(_spread, dz, dz.dtype.type(H * W), pixels(du)), len(du))
    return du


@kernel
def _spread(dz, R, du, first, last):
    for n in range(first, last):
        share = dz[n] / R
        for r in range(du.shape[1]):
            for c in range(du.shape[2]):
                du[n, r, c] = share[c]


def with_squeeze_backward(du, dz):
    """Return the sum of du (N, H, W, C) and the gradient of the squeeze, whose result has the gradient dz (N, C)."""
    _, H, W, _ = du.shape
    both = empty_like(du)
    parallel_for(partial(_add_to_map, pixels(du), dz, dz.dtype.type(H * W), pixels(both)), len(du))
    return both


@kernel
def _add_to_map(du, dz, R, both, first, last):
    for n in range(first, last):
        share = dz[n] / R
        for r in range(du.shape[1]):
            for c in range(du.shape[2]):
                both[n, r, c] = du[n, r, c] + share[c]


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


@replaces(book.scale_backward, recordable=True)
def scale_backward(dy, u, s):
    du, ds = empty_like(u), zeros(s.shape)
    parallel_for(partial(_scale_backward, pixels(dy), pixels(u), s, pixels(du), ds), len(u))
    return du, rounded(ds, s.dtype)


@kernel
def _scale_backward(dy, u, s, du, ds, first, last):
    for n in range(first, last):
        for r in range(u.shape[1]):
            for c in range(u.shape[2]):
                du[n, r, c] = dy[n, r, c] * s[n, c]
                ds[n, c] += dy[n, r, c] * u[n, r, c]


@replaces(book.se, recordable=True)
def se(u, w1, w2, b1=None, b2=None):
    return scale(u, excite(squeeze(u), w1, w2, b1, b2))


@replaces(book.se_backward, recordable=True)
def se_backward(dy, u, w1, w2, b1=None, b2=None):
    z = squeeze(u)
    s = excite(z, w1, w2, b1, b2)
    du, ds = scale_backward(dy, u, s)
    dz, dw1, dw2, db1, db2 = excite_backward(ds, z, s, w1, w2, b1)
    return with_squeeze_backward(du, dz), dw1, dw2, db1, db2      # the second path to u, through the squeeze
