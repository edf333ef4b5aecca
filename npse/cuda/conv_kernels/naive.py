"""Convolution, variant 1: each thread computes one element of the result and reads all operands from global memory.

Each product needs two reads, and neighbouring threads read the same elements. The speed depends on the caches.
"""

import functools

from numba import cuda

from npse.cuda.runtime.device import BLOCK_THREADS, blocks_for, empty, kernel, launch


def forward(x, w, g):
    y = empty(g.y_shape, x.dtype)
    launch(_forward, blocks_for(y.size), BLOCK_THREADS, x, w, y, g)
    return y


@kernel
def _forward(x, w, y, g):
    """x (N, H, W, Cin), w (kh, kw, Cin, Cout) -> y (N, Ho, Wo, Cout); each thread computes one element."""
    at = cuda.blockIdx.x * cuda.blockDim.x + cuda.threadIdx.x
    if at >= y.size:
        return
    k, b, a, n = at % g.Cout, at // g.Cout % g.Wo, at // (g.Cout * g.Wo) % g.Ho, at // (g.Cout * g.Wo * g.Ho)
    total = y.dtype.type(0)
    for i in range(g.kh):
        for j in range(g.kw):
            h, v = g.stride * a + i - g.padding, g.stride * b + j - g.padding
            if 0 <= h < g.H and 0 <= v < g.W:
                for c in range(g.Cin):
                    total += x[n, h, v, c] * w[i, j, c, k]
    y[n, a, b, k] = total


def backward_x(dy, w, g, added=None):
    dx = empty(g.x_shape, dy.dtype)
    launch(_backward_x(added is not None), blocks_for(dx.size), BLOCK_THREADS, dy, w, dx if added is None else added,
           dx, g)
    return dx


@functools.cache
def _backward_x(adds):
    @kernel
    def backward_x(dy, w, added, dx, g):
        """dy (N, Ho, Wo, Cout), w (kh, kw, Cin, Cout) -> dx (N, H, W, Cin); each thread computes one element."""
        at = cuda.blockIdx.x * cuda.blockDim.x + cuda.threadIdx.x
        if at >= dx.size:
            return
        c, v, h, n = at % g.Cin, at // g.Cin % g.W, at // (g.Cin * g.W) % g.H, at // (g.Cin * g.W * g.H)
        total = added[n, h, v, c] if adds else dx.dtype.type(0)
        for i in range((h + g.padding) % g.stride, g.kh, g.stride):          # the taps for which a pixel of dy exists
            for j in range((v + g.padding) % g.stride, g.kw, g.stride):
                a, b = (h + g.padding - i) // g.stride, (v + g.padding - j) // g.stride
                if 0 <= a < g.Ho and 0 <= b < g.Wo:
                    for k in range(g.Cout):
                        total += dy[n, a, b, k] * w[i, j, c, k]
        dx[n, h, v, c] = total
    return backward_x


def backward_w(dy, x, g):
    dw = empty(g.w_shape, x.dtype)
    launch(_backward_w, blocks_for(dw.size), BLOCK_THREADS, dy, x, dw, g)
    return dw


@kernel
def _backward_w(dy, x, dw, g):
    """dy (N, Ho, Wo, Cout), x (N, H, W, Cin) -> dw (kh, kw, Cin, Cout); each thread computes one element."""
    at = cuda.blockIdx.x * cuda.blockDim.x + cuda.threadIdx.x
    if at >= dw.size:
        return
    k, c, j, i = at % g.Cout, at // g.Cout % g.Cin, at // (g.Cout * g.Cin) % g.kw, at // (g.Cout * g.Cin * g.kw)
    total = dw.dtype.type(0)
    for n in range(g.N):
        part = dw.dtype.type(0)                # a sum for each image: one long sum over the batch would lose accuracy
        for a in range(g.Ho):
            for b in range(g.Wo):
                h, v = g.stride * a + i - g.padding, g.stride * b + j - g.padding
                if 0 <= h < g.H and 0 <= v < g.W:
                    part += x[n, h, v, c] * dy[n, a, b, k]
        total += part
    dw[i, j, c, k] = total
