"""Convolution by im2col: patches @ filters. Letters: as in the book.

The patch of each output pixel is written as a row of kh*kw*Cin elements, a few rows of the map at a time, so that they
stay in cache. The BLAS library multiplies them by the filters. Each of the three passes is one matrix product; `col2im`
is the adjoint of `im2col`:

    y = im2col(x) @ w        dx = col2im(dy @ w^T)        dw = im2col(x)^T @ dy
"""

import numpy as np

from npse.cpu.runtime.jit import kernel
from npse.cpu.runtime.memory_pool import empty
from npse.cpu.runtime.parallel import blas_on_one_thread, run_on_threads
from npse.reference.numerics import total
from npse.support.arithmetic import ceil_div

PATCH_BYTES = 2**19   # bytes of patches at a time: they fit into a core's second-level cache
PARTS = 16            # partial sums of dw, for any number of threads


def forward(x, w, g):
    """Return y: (N, H, W, Cin), (kh, kw, Cin, Cout) -> (N, Ho, Wo, Cout)."""
    y = empty(g.y_shape, x.dtype)
    filters, y_rows = w.reshape(-1, g.Cout), y.reshape(g.N * g.Ho, g.Wo, g.Cout)

    def task(first, last):
        np.matmul(_patches(x, g, first, last), filters, out=y_rows[first:last].reshape(-1, g.Cout))

    with blas_on_one_thread():
        run_on_threads(task, g.N * g.Ho, _rows_at_a_time(g, x.dtype))
    return y


def backward_x(dy, w, g):
    """Return dx: (N, Ho, Wo, Cout), (kh, kw, Cin, Cout) -> (N, H, W, Cin)."""
    dx = empty(g.x_shape, dy.dtype)
    filters, step = w.reshape(-1, g.Cout).T, _rows_at_a_time(g, dy.dtype)
    dy_rows, dx_rows = dy.reshape(g.N * g.Ho, g.Wo, g.Cout), dx.reshape(g.N * g.H, g.W * g.Cin)

    def task(first, last):                                        # whole images, because windows of an image overlap
        dx[first:last] = 0
        for row in range(first * g.Ho, last * g.Ho, step):
            end = min(row + step, last * g.Ho)
            if _sees_pixels(g):
                np.matmul(dy_rows[row:end].reshape(-1, g.Cout), filters, out=dx_rows[row:end].reshape(-1, g.Cin))
                continue
            dpatches = (dy_rows[row:end].reshape(-1, g.Cout) @ filters).reshape(-1, g.Wo, g.kh, g.kw * g.Cin)
            col2im(dpatches, dx_rows, g.H, g.W, g.stride, g.padding, g.Ho, row, end)

    with blas_on_one_thread():
        run_on_threads(task, g.N, max(1, step // g.Ho))
    return dx


def backward_w(dy, x, g):
    """Return dw: (N, Ho, Wo, Cout), (N, H, W, Cin) -> (kh, kw, Cin, Cout)."""
    rows, step = g.N * g.Ho, _rows_at_a_time(g, x.dtype)
    dy_rows = dy.reshape(rows, g.Wo, g.Cout)
    part = ceil_div(rows, PARTS)                                  # rows of a part
    parts = np.zeros((ceil_div(rows, part), *g.w_shape), x.dtype)

    def task(first, last):
        for p in range(first, last):
            for row in range(p * part, min((p + 1) * part, rows), step):
                end = min(row + step, (p + 1) * part, rows)
                parts[p] += (_patches(x, g, row, end).T @ dy_rows[row:end].reshape(-1, g.Cout)).reshape(g.w_shape)

    with blas_on_one_thread():
        run_on_threads(task, len(parts), 1)
    return total(parts, 0)


def _rows_at_a_time(g, dtype):
    """Return how many output rows have patches of PATCH_BYTES together, at least one."""
    return max(1, PATCH_BYTES // (g.Wo * g.kh * g.kw * g.Cin * dtype.itemsize))


def _patches(x, g, first, last):
    """Return the patches of output rows first .. last of the whole batch: (N, H, W, Cin) -> (pixels, kh*kw*Cin)."""
    if _sees_pixels(g):
        return x.reshape(-1, g.W, g.Cin)[first:last].reshape(-1, g.Cin)
    patches = empty((last - first, g.Wo, g.kh, g.kw * g.Cin), x.dtype)
    im2col(x.reshape(g.N * g.H, g.W * g.Cin), patches, g.H, g.W, g.stride, g.padding, g.Ho, first, last)
    return patches.reshape(-1, g.kh * g.kw * g.Cin)


def _sees_pixels(g):
    """Whether each patch is one pixel of x, so that x itself holds the patches."""
    return g.kh == g.kw == g.stride == 1 and g.padding == 0


# In the next two kernels a row of the filter covers kw*Cin consecutive elements of a row of x, from ``start`` on. The
# index is unsigned: for a signed index Numba tests whether it is negative, and the loop takes four times as long.

@kernel
def im2col(x, patches, H, W, stride, padding, Ho, first, last):
    """Copy the patches of output rows first .. last: (N*H, W*Cin) -> patches (last - first, Wo, kh, kw*Cin)."""
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
def col2im(dpatches, dx, H, W, stride, padding, Ho, first, last):
    """Add the patches of output rows first .. last to dx: (last - first, Wo, kh, kw*Cin) -> (N*H, W*Cin)."""
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
