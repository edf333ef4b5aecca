"""The mixture of two branches, on the device. Letters: as in the book."""

from npse import reference as book
from npse.cuda.runtime.arrays import area, flat, replaces
from npse.cuda.runtime.device import empty_like, kernel, launch
from npse.cuda.runtime.grid_stride import grid_for_pixels, thread_map


@replaces(book.shake)
def shake(a, b, alpha):
    y = empty_like(a)
    launch(_shake, *grid_for_pixels(a), flat(a), flat(b), area(a), a.shape[3], alpha, flat(y))
    return y


@kernel
def _shake(a, b, R, C, alpha, y):
    n, c, k, end, step = thread_map(R, C)
    if c < C:
        share = alpha[n]
        rest = alpha.dtype.type(1) - share
        while k < end:
            y[k] = share * a[k] + rest * b[k]
            k += step


@replaces(book.shake_backward)
def shake_backward(dy, beta):
    da, db = empty_like(dy), empty_like(dy)
    launch(_shake_backward, *grid_for_pixels(dy), flat(dy), area(dy), dy.shape[3], beta, flat(da), flat(db))
    return da, db


@kernel
def _shake_backward(dy, R, C, beta, da, db):
    n, c, k, end, step = thread_map(R, C)
    if c < C:
        share = beta[n]
        rest = beta.dtype.type(1) - share
        while k < end:
            upstream = dy[k]
            da[k] = share * upstream
            db[k] = rest * upstream
            k += step
