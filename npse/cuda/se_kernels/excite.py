"""The excitation on the device, equation (3), for any C and M. Letters: as in the book.

One block computes both small matrix products of an image in one launch. A row of `LANES` threads works together, so
that both directions read the weights in the order of memory:

    w1[m] . z        a row of threads for each m, its lanes along c          `_product`
    da2 . w2[:, m]   a lane for each m, the rows of threads along c          `_product_of_columns`
"""

import functools

from numba import cuda

from npse import reference as book
from npse.cuda.activation import at_least, logistic
from npse.cuda.runtime.arrays import flat, replaces
from npse.cuda.runtime.block_reduce import sum_lanes, sum_rows
from npse.cuda.runtime.device import BLOCK_THREADS, device_function, empty, empty_like, kernel, launch
from npse.cuda.runtime.grid_stride import LANES
from npse.support.arithmetic import ceil_div

SQUARE = LANES, BLOCK_THREADS // LANES    # threads of a block


@replaces(book.excite)
def excite(z, w1, w2, b1=None, b2=None):
    h, s = empty((z.shape[0], w1.shape[0]), z.dtype), empty_like(z)
    launch(_excite(b1 is not None, b2 is not None), z.shape[0], SQUARE, z, w1, w2, _or_any(b1, z), _or_any(b2, z), h, s)
    return s


@functools.cache
def _excite(has_b1, has_b2):
    @kernel
    def excite(z, w1, w2, b1, b2, h, s):
        shared = cuda.shared.array(BLOCK_THREADS, z.dtype)
        n, zero, one = cuda.blockIdx.x, z.dtype.type(0), z.dtype.type(1)
        for first in range(0, h.shape[1], cuda.blockDim.y):
            m = first + cuda.threadIdx.y
            a = _product(shared, w1, m, z, n, zero)
            if m < h.shape[1] and cuda.threadIdx.x == 0:
                h[n, m] = at_least(a + b1[m] if has_b1 else a, zero)
        cuda.syncthreads()
        for first in range(0, s.shape[1], cuda.blockDim.y):
            c = first + cuda.threadIdx.y
            a = _product(shared, w2, c, h, n, zero)
            if c < s.shape[1] and cuda.threadIdx.x == 0:
                s[n, c] = logistic(a + b2[c] if has_b2 else a, one)
    return excite


@replaces(book.excite_backward)
def excite_backward(ds, z, s, w1, w2, b1=None):
    N, (M, C) = z.shape[0], w1.shape
    h, da1, da2, dz = empty((N, M), z.dtype), empty((N, M), z.dtype), empty_like(z), empty_like(z)
    launch(_excite_backward(b1 is not None), N, SQUARE, ds, z, s, w1, w2, _or_any(b1, z), h, da1, da2, dz)
    dw1, dw2, db1, db2 = empty_like(w1), empty_like(w2), empty((M,), z.dtype), empty((C,), z.dtype)
    pieces = min(ceil_div(max(M, C) + 1, LANES), 4)                          # blocks for each row
    launch(_weight_gradients, (M + C, pieces), SQUARE, da1, z, dw1, db1, da2, h, dw2, db2)
    return dz, dw1, dw2, db1, db2


@functools.cache
def _excite_backward(has_b1):
    @kernel
    def excite_backward(ds, z, s, w1, w2, b1, h, da1, da2, dz):
        shared = cuda.shared.array(BLOCK_THREADS, z.dtype)
        n, zero, one = cuda.blockIdx.x, z.dtype.type(0), z.dtype.type(1)
        M, C = w1.shape
        lane, row, rows = cuda.threadIdx.x, cuda.threadIdx.y, cuda.blockDim.y
        for c in range(row * LANES + lane, C, rows * LANES):
            da2[n, c] = ds[n, c] * s[n, c] * (one - s[n, c])
        for first in range(0, M, rows):
            m = first + row
            a = _product(shared, w1, m, z, n, zero)
            if m < M and lane == 0:
                h[n, m] = at_least(a + b1[m] if has_b1 else a, zero)
        cuda.syncthreads()
        for first in range(0, M, LANES):
            m = first + lane
            dh = _product_of_columns(shared, da2, n, w2, m, zero)
            if m < M and row == 0:
                da1[n, m] = dh if h[n, m] > zero else zero
        cuda.syncthreads()
        for first in range(0, C, LANES):
            c = first + lane
            total = _product_of_columns(shared, da1, n, w1, c, zero)
            if c < C and row == 0:
                dz[n, c] = total
    return excite_backward


@kernel
def _weight_gradients(da1, z, dw1, db1, da2, h, dw2, db2):
    """Compute the gradients of weights and biases. The first M blocks take the rows of w1, the others those of w2."""
    shared = cuda.shared.array(BLOCK_THREADS, z.dtype)
    k, M = cuda.blockIdx.x, dw1.shape[0]
    if k < M:
        _row_of_gradients(shared, da1, z, k, dw1, db1)
    else:
        _row_of_gradients(shared, da2, h, k - M, dw2, db2)


@device_function
def _product(shared, w, k, x, n, zero):
    """Return w[k] . x[n] to the threads of a row; 0 if w has no row k. All threads of the block must call."""
    total = zero
    if k < w.shape[0]:
        for i in range(cuda.threadIdx.x, w.shape[1], LANES):
            total += w[k, i] * x[n, i]
    return sum_lanes(shared, total)


@device_function
def _product_of_columns(shared, x, n, w, i, zero):
    """Return x[n] . w[:, i] to the threads of a lane; 0 if w has no column i. All threads of the block must call."""
    total = zero
    if i < w.shape[1]:
        for k in range(cuda.threadIdx.y, w.shape[0], cuda.blockDim.y):
            total += x[n, k] * w[k, i]
    return sum_rows(shared, total)


@device_function
def _row_of_gradients(shared, dy, x, k, dw, db):
    """Write dw[k, i] = sum over n of dy[n, k] * x[n, i]. The bias is the weight of one more input that is always 1."""
    zero, one = dw.dtype.type(0), dw.dtype.type(1)
    inputs = dw.shape[1]
    for first in range(cuda.blockIdx.y * LANES, inputs + 1, cuda.gridDim.y * LANES):
        i = first + cuda.threadIdx.x
        total = zero
        if i <= inputs:
            for n in range(cuda.threadIdx.y, dy.shape[0], cuda.blockDim.y):
                total += dy[n, k] * (x[n, i] if i < inputs else one)
        total = sum_rows(shared, total)
        if cuda.threadIdx.y == 0:
            if i < inputs:
                dw[k, i] = total
            elif i == inputs:
                db[k] = total


def _or_any(bias, z):
    """Return the bias. If there is none, return any array of one axis, for a kernel that does not use it."""
    return flat(z) if bias is None else bias
