"""Convolution with groups and dilation: each thread computes one element and reads its operands from global memory.

Neighbouring threads have neighbouring channels. In a depthwise convolution all their reads are coalesced, and an
element needs few of them: kh * kw * D for y. For the gradient of w the rows of all images are divided into parts; a
second kernel adds the parts. Letters: as in the book.
"""

import math

from numba import cuda

from npse.cuda.runtime.device import BLOCK_THREADS, blocks_for, empty, kernel, launch
from npse.cuda.runtime.partial_sums import add_rows, parts_for
from npse.support.arithmetic import ceil_div


def forward(x, w, g):
    """Return y: (N, H, W, Cin), (kh, kw, D, Cout) -> (N, Ho, Wo, Cout)."""
    y = empty(g.y_shape, x.dtype)
    launch(_forward, blocks_for(y.size), BLOCK_THREADS, x, w, y, g)
    return y


@kernel
def _forward(x, w, y, g):
    at = cuda.blockIdx.x * cuda.blockDim.x + cuda.threadIdx.x
    if at >= y.size:
        return
    k, b, a, n = at % g.Cout, at // g.Cout % g.Wo, at // (g.Cout * g.Wo) % g.Ho, at // (g.Cout * g.Wo * g.Ho)
    D = g.Cin // g.groups
    first = k // (g.Cout // g.groups) * D                         # the first channel of the group of k
    total = y.dtype.type(0)
    for i in range(g.kh):
        for j in range(g.kw):
            h, v = g.stride * a + g.dilation * i - g.padding, g.stride * b + g.dilation * j - g.padding
            if 0 <= h < g.H and 0 <= v < g.W:
                for c in range(D):
                    total += x[n, h, v, first + c] * w[i, j, c, k]
    y[n, a, b, k] = total


def backward_x(dy, w, g):
    """Return dx: (N, Ho, Wo, Cout), (kh, kw, D, Cout) -> (N, H, W, Cin)."""
    dx = empty(g.x_shape, dy.dtype)
    launch(_backward_x, blocks_for(dx.size), BLOCK_THREADS, dy, w, dx, g)
    return dx


@kernel
def _backward_x(dy, w, dx, g):
    at = cuda.blockIdx.x * cuda.blockDim.x + cuda.threadIdx.x
    if at >= dx.size:
        return
    c, v, h, n = at % g.Cin, at // g.Cin % g.W, at // (g.Cin * g.W) % g.H, at // (g.Cin * g.W * g.H)
    D, K = g.Cin // g.groups, g.Cout // g.groups
    first = c // D * K                                            # the first channel of y in the group of c
    total = dx.dtype.type(0)
    for i in range(g.kh):
        for j in range(g.kw):
            down, right = h + g.padding - g.dilation * i, v + g.padding - g.dilation * j
            if down >= 0 and right >= 0 and down % g.stride == 0 and right % g.stride == 0:
                a, b = down // g.stride, right // g.stride
                if a < g.Ho and b < g.Wo:
                    for k in range(first, first + K):
                        total += dy[n, a, b, k] * w[i, j, c % D, k]
    dx[n, h, v, c] = total


def backward_w(dy, x, g):
    """Return dw: (N, Ho, Wo, Cout), (N, H, W, Cin) -> (kh, kw, D, Cout)."""
    size, rows = math.prod(g.w_shape), g.N * g.Ho
    parts = parts_for(rows, blocks_for(size))
    sums = empty((parts, size), x.dtype)
    launch(_backward_w, (blocks_for(size), parts), BLOCK_THREADS, dy, x, sums, ceil_div(rows, parts), g)
    return add_rows(sums).reshape(g.w_shape)


@kernel
def _backward_w(dy, x, sums, rows_of_part, g):
    """Each thread sums one element of dw over some rows of the outputs: row n * Ho + a of a batch."""
    at, part = cuda.blockIdx.x * cuda.blockDim.x + cuda.threadIdx.x, cuda.blockIdx.y
    D = g.Cin // g.groups
    if at >= g.kh * g.kw * D * g.Cout:
        return
    k, c, j, i = at % g.Cout, at // g.Cout % D, at // (g.Cout * D) % g.kw, at // (g.Cout * D * g.kw)
    c += k // (g.Cout // g.groups) * D
    total = x.dtype.type(0)
    for row in range(part * rows_of_part, min((part + 1) * rows_of_part, g.N * g.Ho)):
        n, a = row // g.Ho, row % g.Ho
        h = g.stride * a + g.dilation * i - g.padding
        if 0 <= h < g.H:
            in_row = x.dtype.type(0)           # a sum for each row: one long sum would lose accuracy
            for b in range(g.Wo):
                v = g.stride * b + g.dilation * j - g.padding
                if 0 <= v < g.W:
                    in_row += x[n, h, v, c] * dy[n, a, b, k]
            total += in_row
    sums[part, at] = total
