"""Convolution by the formula: its loops, compiled; also with groups and dilation. Letters: as in the book."""

from functools import partial

import numpy as np

from npse.cpu.runtime.jit import kernel
from npse.cpu.runtime.parallel import parallel_for


def forward(x, w, g):
    """Return y: (N, H, W, Cin), (kh, kw, D, Cout) -> (N, Ho, Wo, Cout)."""
    y = np.zeros(g.y_shape, x.dtype)
    parallel_for(partial(_forward, x, w, y, g.groups, g.stride, g.padding, g.dilation), g.N)
    return y


@kernel
def _forward(x, w, y, groups, stride, padding, dilation, first, last):
    _, H, W, _ = x.shape
    kh, kw, D, Cout = w.shape
    K = Cout // groups
    for n in range(first, last):
        for a in range(y.shape[1]):
            for b in range(y.shape[2]):
                for i in range(kh):
                    for j in range(kw):
                        h, v = stride * a + dilation * i - padding, stride * b + dilation * j - padding
                        if 0 <= h < H and 0 <= v < W:
                            for f in range(groups):
                                for c in range(D):
                                    for k in range(f * K, (f + 1) * K):
                                        y[n, a, b, k] += x[n, h, v, f * D + c] * w[i, j, c, k]


def backward_x(dy, w, g):
    """Return dx: (N, Ho, Wo, Cout), (kh, kw, D, Cout) -> (N, H, W, Cin)."""
    dx = np.zeros(g.x_shape, dy.dtype)
    parallel_for(partial(_backward_x, dy, w, dx, g.groups, g.stride, g.padding, g.dilation), g.N)
    return dx


@kernel
def _backward_x(dy, w, dx, groups, stride, padding, dilation, first, last):
    _, H, W, _ = dx.shape
    kh, kw, D, Cout = w.shape
    K = Cout // groups
    for n in range(first, last):
        for a in range(dy.shape[1]):
            for b in range(dy.shape[2]):
                for i in range(kh):
                    for j in range(kw):
                        h, v = stride * a + dilation * i - padding, stride * b + dilation * j - padding
                        if 0 <= h < H and 0 <= v < W:
                            for f in range(groups):
                                for c in range(D):
                                    for k in range(f * K, (f + 1) * K):
                                        dx[n, h, v, f * D + c] += dy[n, a, b, k] * w[i, j, c, k]


def backward_w(dy, x, g):
    """Return dw: (N, Ho, Wo, Cout), (N, H, W, Cin) -> (kh, kw, D, Cout)."""
    dw = np.zeros(g.w_shape, x.dtype)
    parallel_for(partial(_backward_w, dy, x, dw, g.groups, g.stride, g.padding, g.dilation), g.kh, 1)
    return dw


@kernel
def _backward_w(dy, x, dw, groups, stride, padding, dilation, first, last):
    N, H, W, _ = x.shape
    _, kw, D, Cout = dw.shape
    K = Cout // groups
    for i in range(first, last):
        for n in range(N):
            for a in range(dy.shape[1]):
                for b in range(dy.shape[2]):
                    for j in range(kw):
                        h, v = stride * a + dilation * i - padding, stride * b + dilation * j - padding
                        if 0 <= h < H and 0 <= v < W:
                            for f in range(groups):
                                for c in range(D):
                                    for k in range(f * K, (f + 1) * K):
                                        dw[i, j, c, k] += x[n, h, v, f * D + c] * dy[n, a, b, k]
