"""The mixture of two branches, on all cores. Letters: as in the book."""

from functools import partial

from npse import reference as book
from npse.cpu.runtime.arrays import replaces
from npse.cpu.runtime.jit import kernel
from npse.cpu.runtime.memory_pool import empty_like
from npse.cpu.runtime.parallel import parallel_for


@replaces(book.shake, recordable=True)
def shake(a, b, alpha):
    y = empty_like(a)
    parallel_for(partial(_shake, _rows(a), _rows(b), alpha, _rows(y)), len(a))
    return y


@kernel
def _shake(a, b, alpha, y, first, last):
    for n in range(first, last):
        share, rest = alpha[n], alpha.dtype.type(1) - alpha[n]
        for k in range(a.shape[1]):
            y[n, k] = share * a[n, k] + rest * b[n, k]


@replaces(book.shake_backward, recordable=True)
def shake_backward(dy, beta):
    da, db = empty_like(dy), empty_like(dy)
    parallel_for(partial(_shake_backward, _rows(dy), beta, _rows(da), _rows(db)), len(dy))
    return da, db


@kernel
def _shake_backward(dy, beta, da, db, first, last):
    for n in range(first, last):
        share, rest = beta[n], beta.dtype.type(1) - beta[n]
        for k in range(dy.shape[1]):
            da[n, k] = share * dy[n, k]
            db[n, k] = rest * dy[n, k]


def _rows(x):
    """View of maps (N, H, W, C) as (N, H*W*C)."""
    return x.reshape(len(x), -1)
