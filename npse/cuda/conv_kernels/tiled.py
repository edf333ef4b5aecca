"""Convolution, variant 2: an implicit matrix product, tiled in shared memory.

The patches of x (im2col) are the rows of a matrix that is not stored. A block of SIDE x SIDE threads computes SIDE
pixels of SIDE channels. For each tap it loads a square tile of patches and one of filters into shared memory, where
each element is used SIDE times. A thread still reads two elements from shared memory for each product. In one cycle a
multiprocessor computes 128 products but reads 32 elements, so this variant reaches at most about 1/8 of the peak.
"""

import functools

from numba import cuda

from npse.cuda.conv_kernels.phases import seen_by_dx, seen_by_y
from npse.cuda.runtime.device import SIMULATED, empty, kernel, launch
from npse.cuda.runtime.partial_sums import add_rows, parts_for
from npse.support.arithmetic import ceil_div

SIDE = 4 if SIMULATED else 16
SQUARE = (SIDE, SIDE)
PADDED = (SIDE, SIDE + 1)                  # the elements of a row are in different banks, and those of a column too


def forward(x, w, g):
    y = empty(g.y_shape, x.dtype)
    launch(_correlate(False, False), (*_squares(g.N * g.Ho * g.Wo, g.Cout), 1), SQUARE, x, w, y, y, g)
    return y


def backward_x(dy, w, g, added=None):
    dx, s = empty(g.x_shape, dy.dtype), g.stride
    grid = *_squares(g.N * ceil_div(g.H, s) * ceil_div(g.W, s), g.Cin), s * s
    launch(_correlate(True, added is not None), grid, SQUARE, dy, w, dx if added is None else added, dx, g)
    return dx


def _squares(*sizes):
    return tuple(ceil_div(size, SIDE) for size in sizes)


@functools.cache
def _correlate(backward, adds):
    """Make the kernel for y or, if ``backward``, for dx, where x is dy and filters are flipped.

    x (N, H, W, C), w (kh, kw, Cin, Cout) -> y (N, H', W', K). If ``adds``, the kernel adds ``added``, shaped like y.
    """
    seen = seen_by_dx if backward else seen_by_y

    @kernel
    def correlate(x, w, added, y, g):
        patches = cuda.shared.array(SQUARE, x.dtype)
        filters = cuda.shared.array(PADDED, x.dtype)
        tx, ty = cuda.threadIdx.x, cuda.threadIdx.y
        zero = x.dtype.type(0)
        H, W, C, K = x.shape[1], x.shape[2], x.shape[3], y.shape[3]
        s = g.stride
        first_h, step, taps_h, tap_h, tap_step, out_h, out_step = seen(cuda.blockIdx.z // s, g.kh, s, g.padding)
        first_w, step, taps_w, tap_w, tap_step, out_w, out_step = seen(cuda.blockIdx.z % s, g.kw, s, g.padding)

        # The pixel of this thread; the last pixels of a phase may be beyond the map
        rows, columns = (y.shape[1] + out_step - 1) // out_step, (y.shape[2] + out_step - 1) // out_step
        pixel = cuda.blockIdx.x * SIDE + ty
        n, a, b = pixel // (rows * columns), pixel // columns % rows, pixel % columns
        h, v, k0 = out_h + a * out_step, out_w + b * out_step, cuda.blockIdx.y * SIDE
        live = n < y.shape[0] and h < y.shape[1] and v < y.shape[2]
        mine = live and k0 + tx < K

        total = added[n, h, v, k0 + tx] if adds and mine else zero
        for i in range(taps_h):
            for j in range(taps_w):
                row, column = first_h + a * step + i, first_w + b * step + j
                inside = live and 0 <= row < H and 0 <= column < W
                filter_h, filter_w = tap_h + i * tap_step, tap_w + j * tap_step
                for c0 in range(0, C, SIDE):
                    patches[ty, tx] = x[n, row, column, c0 + tx] if inside and c0 + tx < C else zero
                    if backward:               # transposed: read in memory order
                        filters[tx, ty] = (w[filter_h, filter_w, k0 + ty, c0 + tx]
                                           if c0 + tx < C and k0 + ty < K else zero)
                    else:
                        filters[ty, tx] = (w[filter_h, filter_w, c0 + ty, k0 + tx]
                                           if c0 + ty < C and k0 + tx < K else zero)
                    cuda.syncthreads()
                    for c in range(SIDE):
                        total += patches[ty, c] * filters[c, tx]
                    cuda.syncthreads()
        if mine:
            y[n, h, v, k0 + tx] = total
    return correlate


def backward_w(dy, x, g):
    squares_c, squares_k = _squares(g.Cin, g.Cout)
    parts = parts_for(g.N, g.kh * g.kw * squares_c * squares_k)
    dw = empty((parts, *g.w_shape), x.dtype)
    launch(_backward_w, (squares_c * squares_k, g.kh * g.kw, parts), SQUARE, dy, x, dw, g)
    return add_rows(dw.reshape(parts, dw.size // parts)).reshape(g.w_shape)


@kernel
def _backward_w(dy, x, dw, g):
    """dy (N, Ho, Wo, Cout), x (N, H, W, Cin) -> dw (parts, kh, kw, Cin, Cout).

    A block computes one tap of SIDE x SIDE channels over the images of its part, SIDE pixels of a row at a time.
    """
    pixels = cuda.shared.array(SQUARE, x.dtype)
    gradients = cuda.shared.array(SQUARE, x.dtype)
    tx, ty = cuda.threadIdx.x, cuda.threadIdx.y
    zero = x.dtype.type(0)
    squares_k = (g.Cout + SIDE - 1) // SIDE
    c0, k0 = cuda.blockIdx.x // squares_k * SIDE, cuda.blockIdx.x % squares_k * SIDE
    i, j = cuda.blockIdx.y // g.kw, cuda.blockIdx.y % g.kw

    total = zero
    for n in range(cuda.blockIdx.z, g.N, cuda.gridDim.z):
        for a in range(g.Ho):
            h = g.stride * a + i - g.padding
            if 0 <= h < g.H:
                for b0 in range(0, g.Wo, SIDE):
                    b = b0 + ty
                    v = g.stride * b + j - g.padding
                    live = b < g.Wo and 0 <= v < g.W
                    pixels[ty, tx] = x[n, h, v, c0 + tx] if live and c0 + tx < g.Cin else zero
                    gradients[ty, tx] = dy[n, a, b, k0 + tx] if live and k0 + tx < g.Cout else zero
                    cuda.syncthreads()
                    for r in range(SIDE):
                        total += pixels[r, ty] * gradients[r, tx]
                    cuda.syncthreads()
    if c0 + ty < g.Cin and k0 + tx < g.Cout:
        dw[cuda.blockIdx.z, i, j, c0 + ty, k0 + tx] = total
