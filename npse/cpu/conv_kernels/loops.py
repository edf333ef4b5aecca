"""Convolution by the formula: seven loops, compiled. Letters: as in the book."""

from functools import partial

import numpy as np

from npse.cpu.runtime.jit import kernel
from npse.cpu.runtime.parallel import parallel_for


def forward(x, w, g):
    """Return y: (N, H, W, Cin), (kh, kw, Cin, Cout) -> (N, Ho, Wo, Cout)."""
    y = np.zeros(g.y_shape, x.dtype)
    parallel_for(partial(_forward, x, w, y, g.stride, g.padding), g.N)
    return y


@kernel
def _forward(x, w, y, stride, padding, first, last):
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


def backward_x(dy, w, g):
    """Return dx: (N, Ho, Wo, Cout), (kh, kw, Cin, Cout) -> (N, H, W, Cin)."""
    dx = np.zeros(g.x_shape, dy.dtype)
    parallel_for(partial(_backward_x, dy, w, dx, g.stride, g.padding), g.N)
    return dx


@kernel
def _backward_x(dy, w, dx, stride, padding, first, last):
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


def backward_w(dy, x, g):
    """Return dw: (N, Ho, Wo, Cout), (N, H, W, Cin) -> (kh, kw, Cin, Cout)."""
    dw = np.zeros(g.w_shape, x.dtype)
    parallel_for(partial(_backward_w, dy, x, dw, g.stride, g.padding), g.kh, 1)
    return dw


@kernel
def _backward_w(dy, x, dw, stride, padding, first, last):
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
