"""Convolution, equation (1), a ladder of two rungs. Letters: as in the book.

    conv2d_loops, ...   the formula as it reads, compiled: seven nested loops
    conv2d, ...         patches @ filters: what the filter sees at each output pixel is written out as a row of
                        kh*kw*Cin numbers, a few rows of the map at a time so that they stay in cache; BLAS multiplies

The three passes of the second rung are one matrix product each, and `_fold` is the adjoint of `_unfold`:

    y = unfold(x) @ w        dx = fold(dy @ w^T)        dw = unfold(x)^T @ dy
"""

from functools import partial
from math import prod

import numpy as np

from npse import reference as book
from npse.cpu.arrays import replaces
from npse.cpu.compile import kernel
from npse.cpu.threads import blas_on_one_thread, share
from npse.reference.arrays import expect, total
from npse.reference.conv import output_size

PATCHES = 2**19       # bytes of patches at a time: they are written and read once, inside a core's second-level cache
PARTS = 16            # partial sums of dw, whatever the number of threads


@replaces(book.conv2d)
def conv2d_loops(x, w, stride=1, padding=0):
    """The same as `conv2d`, the first rung."""
    y = np.zeros(_output_shape("conv2d_loops", x, w, stride, padding), x.dtype)
    share(partial(_loops, x, w, y, stride, padding), len(x))
    return y


@kernel
def _loops(x, w, y, stride, padding, first, last):
    _, H, W, Cin = x.shape
    kh, kw, _, Cout = w.shape
    for n in range(first, last):
        for a in range(y.shape[1]):
            for b in range(y.shape[2]):
                for i in range(kh):
                    for j in range(kw):
                        h, v = stride * a + i - padding, stride * b + j - padding
                        if 0 <= h < H and 0 <= v < W:
                            for c in range(Cin):
                                for k in range(Cout):
                                    y[n, a, b, k] += x[n, h, v, c] * w[i, j, c, k]


@replaces(book.conv2d)
def conv2d(x, w, stride=1, padding=0):
    y = np.empty(_output_shape("conv2d", x, w, stride, padding), x.dtype)
    N, Ho, Wo, Cout = y.shape
    filters = w.reshape(-1, Cout)
    y_rows = y.reshape(N * Ho, Wo, Cout)

    def task(first, last):
        patches = _patches(x, w.shape, stride, padding, (Ho, Wo), first, last)
        np.matmul(patches, filters, out=y_rows[first:last].reshape(-1, Cout))

    with blas_on_one_thread():
        share(task, N * Ho, _rows_at_a_time(Wo, w.shape, w.dtype))
    return y


@replaces(book.conv2d_backward_x)
def conv2d_backward_x_loops(dy, w, x_shape, stride=1, padding=0):
    """The same as `conv2d_backward_x`, the first rung."""
    dx = np.zeros(_expect_dx("conv2d_backward_x_loops", dy, w, x_shape, stride, padding), dy.dtype)
    share(partial(_loops_backward_x, dy, w, dx, stride, padding), len(dx))
    return dx


@kernel
def _loops_backward_x(dy, w, dx, stride, padding, first, last):
    _, H, W, Cin = dx.shape
    kh, kw, _, Cout = w.shape
    for n in range(first, last):
        for a in range(dy.shape[1]):
            for b in range(dy.shape[2]):
                for i in range(kh):
                    for j in range(kw):
                        h, v = stride * a + i - padding, stride * b + j - padding
                        if 0 <= h < H and 0 <= v < W:
                            for c in range(Cin):
                                for k in range(Cout):
                                    dx[n, h, v, c] += dy[n, a, b, k] * w[i, j, c, k]


@replaces(book.conv2d_backward_x)
def conv2d_backward_x(dy, w, x_shape, stride=1, padding=0):
    dx = np.zeros(_expect_dx("conv2d_backward_x", dy, w, x_shape, stride, padding), dy.dtype)
    N, Ho, Wo, Cout = dy.shape
    _, H, W, Cin = dx.shape
    kh, kw = w.shape[:2]
    filters = w.reshape(-1, Cout).T
    dy_rows, dx_rows = dy.reshape(N * Ho, Wo, Cout), dx.reshape(N * H, W * Cin)
    step = _rows_at_a_time(Wo, w.shape, w.dtype)

    def task(first, last):                                        # images, since windows of one image overlap
        for row in range(first * Ho, last * Ho, step):
            end = min(row + step, last * Ho)
            dpatches = dy_rows[row:end].reshape(-1, Cout) @ filters
            _fold(dpatches.reshape(-1, Wo, kh, kw * Cin), dx_rows, H, W, stride, padding, Ho, row, end)

    with blas_on_one_thread():
        share(task, N, max(1, step // Ho))
    return dx


@replaces(book.conv2d_backward_w)
def conv2d_backward_w_loops(dy, x, w_shape, stride=1, padding=0):
    """The same as `conv2d_backward_w`, the first rung."""
    dw = np.zeros(_expect_dw("conv2d_backward_w_loops", dy, x, w_shape, stride, padding), x.dtype)
    share(partial(_loops_backward_w, dy, x, dw, stride, padding), len(dw), 1)
    return dw


@kernel
def _loops_backward_w(dy, x, dw, stride, padding, first, last):
    N, H, W, Cin = x.shape
    _, kw, _, Cout = dw.shape
    for i in range(first, last):
        for n in range(N):
            for a in range(dy.shape[1]):
                for b in range(dy.shape[2]):
                    for j in range(kw):
                        h, v = stride * a + i - padding, stride * b + j - padding
                        if 0 <= h < H and 0 <= v < W:
                            for c in range(Cin):
                                for k in range(Cout):
                                    dw[i, j, c, k] += x[n, h, v, c] * dy[n, a, b, k]


@replaces(book.conv2d_backward_w)
def conv2d_backward_w(dy, x, w_shape, stride=1, padding=0):
    w_shape = _expect_dw("conv2d_backward_w", dy, x, w_shape, stride, padding)
    N, Ho, Wo, Cout = dy.shape
    dy_rows = dy.reshape(N * Ho, Wo, Cout)
    step = _rows_at_a_time(Wo, w_shape, x.dtype)
    part = -(-N * Ho // PARTS)                                    # rows of a part
    parts = np.zeros((-(-N * Ho // part), *w_shape), x.dtype)

    def task(first, last):
        for p in range(first, last):
            for row in range(p * part, min((p + 1) * part, N * Ho), step):
                end = min(row + step, (p + 1) * part, N * Ho)
                patches = _patches(x, w_shape, stride, padding, (Ho, Wo), row, end)
                parts[p] += (patches.T @ dy_rows[row:end].reshape(-1, Cout)).reshape(w_shape)

    with blas_on_one_thread():
        share(task, len(parts), 1)
    return total(parts, 0)


def _patches(x, w_shape, stride, padding, output, first, last):
    """What the filter sees at output rows first .. last, counted through the batch: (pixels, kh*kw*Cin)."""
    N, H, W, Cin = x.shape
    kh, kw = w_shape[:2]
    Ho, Wo = output
    patches = np.empty((last - first, Wo, kh, kw * Cin), x.dtype)
    _unfold(x.reshape(N * H, W * Cin), patches, H, W, stride, padding, Ho, first, last)
    return patches.reshape(-1, kh * kw * Cin)


# In the next two kernels a row of the filter meets one run of kw*Cin neighbours in a row of x, the first at ``start``.
# Numba tests each index that might be negative, and the loop runs four times slower, unless it is unsigned.

@kernel
def _unfold(x, patches, H, W, stride, padding, Ho, first, last):
    _, Wo, kh, run = patches.shape
    length = x.shape[1]
    zero = x.dtype.type(0)
    for row in range(first, last):
        n, a = row // Ho, row % Ho
        for i in range(kh):
            h = stride * a + i - padding
            inside = 0 <= h < H
            source = x[n * H + h if inside else 0]
            for b in range(Wo):
                start = (stride * b - padding) * (length // W)
                patch = patches[row - first, b, i]
                for q in range(run):
                    patch[q] = source[np.uint64(start + q)] if inside and 0 <= start + q < length else zero


@kernel
def _fold(dpatches, dx, H, W, stride, padding, Ho, first, last):
    _, Wo, kh, run = dpatches.shape
    length = dx.shape[1]
    for row in range(first, last):
        n, a = row // Ho, row % Ho
        for i in range(kh):
            h = stride * a + i - padding
            if 0 <= h < H:
                target = dx[n * H + h]
                for b in range(Wo):
                    start = (stride * b - padding) * (length // W)
                    dpatch = dpatches[row - first, b, i]
                    for q in range(run):
                        if 0 <= start + q < length:
                            target[np.uint64(start + q)] += dpatch[q]


def _rows_at_a_time(Wo, w_shape, dtype):
    return max(1, PATCHES // (Wo * prod(w_shape[:3]) * dtype.itemsize))


def _output_shape(op, x, w, stride, padding):
    expect(op, x=(x, "N H W Cin"), w=(w, "kh kw Cin Cout"))
    return (len(x), *output_size(op, x.shape, w.shape, stride, padding), w.shape[3])


def _expect_dx(op, dy, w, x_shape, stride, padding):
    x_shape = tuple(x_shape)
    expect(op, x_shape=(x_shape, "N H W Cin"), w=(w, "kh kw Cin Cout"))
    Ho, Wo = output_size(op, x_shape, w.shape, stride, padding)
    expect(op, w=(w, "kh kw Cin Cout"), dy=(dy, f"{x_shape[0]} {Ho} {Wo} Cout"))
    return x_shape


def _expect_dw(op, dy, x, w_shape, stride, padding):
    w_shape = tuple(w_shape)
    expect(op, x=(x, "N H W Cin"), w_shape=(w_shape, "kh kw Cin Cout"))
    Ho, Wo = output_size(op, x.shape, w_shape, stride, padding)
    expect(op, x=(x, "N H W Cin"), dy=(dy, f"N {Ho} {Wo} {w_shape[3]}"))
    return w_shape
