"""The fused ops: each makes one pass over its maps, where the book makes several. Letters: as in the book."""

from functools import partial

import numpy as np

from npse import reference as book
from npse.cpu.activation import relu_backward
from npse.cpu.batch_norm import gradients, line, normalize
from npse.cpu.conv import chosen
from npse.cpu.norm_kernels.moments import moments_from, statistics
from npse.cpu.residual import add
from npse.cpu.runtime.arrays import RANGE, pixels, replaces, rounded, zeros
from npse.cpu.runtime.jit import kernel
from npse.cpu.runtime.memory_pool import empty, empty_like
from npse.cpu.runtime.parallel import parallel_for
from npse.cpu.se import scale_backward, with_squeeze_backward
from npse.cpu.simd import channel_sums
from npse.cpu.simd.channel_sums import MASK_BY_X
from npse.editions.convolution import Geometry


@replaces(book.batch_norm_relu, recordable=True)
def batch_norm_relu(x, gamma, beta, eps=1e-5):
    mean, var, _ = statistics(x)
    return normalize(x, gamma, beta, mean, var, eps, 0), mean, var


@replaces(book.batch_norm_relu_backward, recordable=True)
def batch_norm_relu_backward(dy, x, gamma, beta, mean, var, eps=1e-5):
    return gradients(MASK_BY_X, dy, x, gamma, beta, mean, var, eps)


@replaces(book.batch_norm_inference_relu, recordable=True)
def batch_norm_inference_relu(x, gamma, beta, mean, var, eps=1e-5):
    return normalize(x, gamma, beta, mean, var, eps, 0)


@replaces(book.add_relu, recordable=True)
def add_relu(f, x):
    y = empty_like(f)
    parallel_for(partial(_add_relu, f.reshape(-1), x.reshape(-1), y.reshape(-1)), f.size, RANGE)
    return y


@kernel
def _add_relu(f, x, y, first, last):
    f, x, y, zero = f[first:last], x[first:last], y[first:last], f.dtype.type(0)
    for k in range(len(y)):
        v = f[k] + x[k]
        y[k] = zero if v < zero else v


@replaces(book.add_relu_backward, recordable=True)
def add_relu_backward(dy, y):
    return book.add_backward(relu_backward(dy, y))


@replaces(book.add_squeeze_backward, recordable=True)
def add_squeeze_backward(du, dz):
    return with_squeeze_backward(du, dz)


@replaces(book.scale_add, recordable=True)
def scale_add(u, s, x):
    y = empty_like(u)
    parallel_for(partial(_scale_add, pixels(u), s, pixels(x), pixels(y)), len(u))
    return y


@kernel
def _scale_add(u, s, x, y, first, last):
    for n in range(first, last):
        for r in range(u.shape[1]):
            for c in range(u.shape[2]):
                y[n, r, c] = u[n, r, c] * s[n, c] + x[n, r, c]


@replaces(book.scale_add_backward, recordable=True)
def scale_add_backward(dy, u, s):
    return *scale_backward(dy, u, s), dy


@replaces(book.scale_add_relu, recordable=True)
def scale_add_relu(u, s, x):
    y = empty_like(u)
    parallel_for(partial(_scale_add_relu, pixels(u), s, pixels(x), pixels(y)), len(u))
    return y


@kernel
def _scale_add_relu(u, s, x, y, first, last):
    zero = u.dtype.type(0)
    for n in range(first, last):
        for r in range(u.shape[1]):
            for c in range(u.shape[2]):
                v = u[n, r, c] * s[n, c] + x[n, r, c]
                y[n, r, c] = zero if v < zero else v


@replaces(book.scale_add_relu_backward, recordable=True)
def scale_add_relu_backward(dy, u, s, y):
    du, dx, ds = empty_like(u), empty_like(u), zeros(s.shape)
    maps = pixels(dy), pixels(u), s, pixels(y), pixels(du), pixels(dx), ds
    task = channel_sums.in_vectors(u, channel_sums.scale_add_relu_gradients) or _scale_add_relu_backward
    parallel_for(partial(task, *maps), len(u))
    return du, rounded(ds, s.dtype), dx


@kernel
def _scale_add_relu_backward(dy, u, s, y, du, dx, ds, first, last):
    zero = dy.dtype.type(0)
    for n in range(first, last):
        for r in range(u.shape[1]):
            for c in range(u.shape[2]):
                dx[n, r, c] = dy[n, r, c] if y[n, r, c] > zero else zero
            for c in range(u.shape[2]):       # a second loop: with more arrays in one, the compiler does not vectorize
                du[n, r, c] = dx[n, r, c] * s[n, c]
                ds[n, c] += dx[n, r, c] * u[n, r, c]


@replaces(book.conv2d_batch_norm_inference, recordable=True)
def conv2d_batch_norm_inference(x, w, gamma, beta, mean, var, stride=1, padding=0, eps=1e-5):
    return _conv2d_normalized(x, w, gamma, beta, mean, var, stride, padding, eps, rectified=False)


@replaces(book.conv2d_batch_norm_inference_relu, recordable=True)
def conv2d_batch_norm_inference_relu(x, w, gamma, beta, mean, var, stride=1, padding=0, eps=1e-5):
    return _conv2d_normalized(x, w, gamma, beta, mean, var, stride, padding, eps, rectified=True)


def _conv2d_normalized(x, w, gamma, beta, mean, var, stride, padding, eps, rectified):
    g = Geometry.of(x.shape, w.shape, stride, padding)
    variant = chosen(g, g.Cout, x.dtype)
    if not hasattr(variant, "parts"):
        return normalize(variant.forward(x, w, g), gamma, beta, mean, var, eps, 0 if rectified else -np.inf)
    return variant.forward(x, w, g, affine=(*line(gamma, beta, mean, var, eps, x.dtype), rectified))


@replaces(book.conv2d_moments, recordable=True)
def conv2d_moments(x, w, stride=1, padding=0):
    g = Geometry.of(x.shape, w.shape, stride, padding)
    variant = chosen(g, g.Cout, x.dtype)
    if not hasattr(variant, "parts"):
        y = variant.forward(x, w, g)
        return y, *statistics(y)
    sums = empty((2, g.N, variant.parts(g), g.Cout), x.dtype)
    y = variant.forward(x, w, g, sums)
    return y, *moments_from(sums, y)


@replaces(book.conv2d_backward_x_add, recordable=True)
def conv2d_backward_x_add(dy, w, dx, stride=1, padding=0):
    g = Geometry.of(dx.shape, w.shape, stride, padding)
    variant = chosen(g, g.Cin, w.dtype)
    return variant.backward_x(dy, w, g, dx) if hasattr(variant, "parts") else add(dx, variant.backward_x(dy, w, g))
