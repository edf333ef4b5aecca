"""The fused ops on the device. Each takes as few passes over memory as batch norm or the scaling alone.

Letters: as in the book.
"""

import numpy as np
from numba import cuda

from npse import reference as book
from npse.cuda.activation import at_least, relu_backward
from npse.cuda.batch_norm import gradients, moments, normalize, statistics
from npse.cuda.conv import chosen
from npse.cuda.runtime.arrays import area, replaces
from npse.cuda.runtime.block_reduce import sum_rows
from npse.cuda.runtime.device import BLOCK_THREADS, empty_like, kernel, scalar
from npse.cuda.runtime.grid_stride import grid_for_maps, grid_for_pixels, grid_stride, thread_map
from npse.cuda.runtime.vectors import launch_over_elements, launch_over_maps, where
from npse.cuda.se import scale_backward
from npse.editions.convolution import Geometry


@replaces(book.batch_norm_relu)
def batch_norm_relu(x, gamma, beta, eps=1e-5):
    mean, var, _ = statistics(x)
    return normalize(x, gamma, beta, mean, var, eps, 0), mean, var


@replaces(book.batch_norm_relu_backward)
def batch_norm_relu_backward(dy, x, gamma, beta, mean, var, eps=1e-5):
    return gradients(dy, x, gamma, beta, mean, var, eps, relu=True)


@replaces(book.batch_norm_inference_relu)
def batch_norm_inference_relu(x, gamma, beta, mean, var, eps=1e-5):
    return normalize(x, gamma, beta, mean, var, eps, 0)


@replaces(book.add_relu)
def add_relu(f, x):
    y = empty_like(x)
    launch_over_elements(_add_relu, f, x, y)
    return y


@kernel
def _add_relu(f, x, y):
    zero = x.dtype.type(0)
    k, end, step = grid_stride(y.size)
    while k < end:
        y[k] = at_least(f[k] + x[k], zero)
        k += step


@replaces(book.add_relu_backward)
def add_relu_backward(dy, y):
    df = relu_backward(dy, y)
    return df, df


@replaces(book.scale_add)
def scale_add(u, s, x):
    y = empty_like(u)
    launch_over_maps(_scale_add, grid_for_pixels, u, area(u), s, x, y)
    return y


@kernel
def _scale_add(u, R, s, x, y):
    n, c, k, end, step = thread_map(R, s.shape[1])
    if c < s.shape[1]:
        gate = s[n, c]
        while k < end:
            y[k] = u[k] * gate + x[k]
            k += step


@replaces(book.scale_add_backward)
def scale_add_backward(dy, u, s):
    return *scale_backward(dy, u, s), dy


@replaces(book.scale_add_relu)
def scale_add_relu(u, s, x):
    y = empty_like(u)
    launch_over_maps(_scale_add_relu, grid_for_pixels, u, area(u), s, x, y)
    return y


@kernel
def _scale_add_relu(u, R, s, x, y):
    n, c, k, end, step = thread_map(R, s.shape[1])
    zero = u.dtype.type(0)
    if c < s.shape[1]:
        gate = s[n, c]
        while k < end:
            y[k] = at_least(u[k] * gate + x[k], zero)
            k += step


@replaces(book.scale_add_relu_backward)
def scale_add_relu_backward(dy, u, s, y):
    du, ds, dx = empty_like(u), empty_like(s), empty_like(u)
    launch_over_maps(_scale_add_relu_backward, grid_for_maps, dy, u, area(u), s, y, du, ds, dx)
    return du, ds, dx


@kernel
def _scale_add_relu_backward(dy, u, R, s, y, du, ds, dx):
    shared = cuda.shared.array(BLOCK_THREADS, ds.dtype)
    n, c, k, end, step = thread_map(R, s.shape[1])
    zero = ds.dtype.type(0)
    total = zero
    if c < s.shape[1]:
        gate = s[n, c]
        while k < end:
            branch = u[k]
            g = where(y[k] > zero, dy[k], zero)
            total += g * branch
            dx[k] = g
            du[k] = g * gate
            k += step
    total = sum_rows(shared, total)
    if c < s.shape[1] and cuda.threadIdx.y == 0:
        ds[n, c] = total


@replaces(book.add_squeeze_backward)
def add_squeeze_backward(du, dz):
    both = empty_like(du)
    launch_over_maps(_add_squeeze_backward, grid_for_pixels, du, area(du), dz, scalar(1 / area(du), du), both)
    return both


@kernel
def _add_squeeze_backward(du, R, dz, share, both):
    n, c, k, end, step = thread_map(R, dz.shape[1])
    if c < dz.shape[1]:
        part = dz[n, c] * share
        while k < end:
            both[k] = du[k] + part
            k += step


@replaces(book.conv2d_batch_norm_inference)
def conv2d_batch_norm_inference(x, w, gamma, beta, mean, var, stride=1, padding=0, eps=1e-5):
    return _conv2d_normalized(x, w, gamma, beta, mean, var, stride, padding, eps, -np.inf)


@replaces(book.conv2d_batch_norm_inference_relu)
def conv2d_batch_norm_inference_relu(x, w, gamma, beta, mean, var, stride=1, padding=0, eps=1e-5):
    return _conv2d_normalized(x, w, gamma, beta, mean, var, stride, padding, eps, 0)


def _conv2d_normalized(x, w, gamma, beta, mean, var, stride, padding, eps, floor):
    g = Geometry.of(x.shape, w.shape, stride, padding)
    return normalize(chosen(g, g.Cout, x.dtype).forward(x, w, g), gamma, beta, mean, var, eps, floor)


@replaces(book.conv2d_moments)
def conv2d_moments(x, w, stride=1, padding=0):
    g = Geometry.of(x.shape, w.shape, stride, padding)
    y = chosen(g, g.Cout, x.dtype).forward(x, w, g)
    return y, *moments(y)


@replaces(book.conv2d_backward_x_add)
def conv2d_backward_x_add(dy, w, dx, stride=1, padding=0):
    g = Geometry.of(dx.shape, w.shape, stride, padding)
    return chosen(g, g.Cin, dy.dtype).backward_x(dy, w, g, dx)
