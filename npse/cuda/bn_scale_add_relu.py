"""The end of an SE block on the device: one pass over memory forwards, two backwards. Letters: as in the book."""

import math

from numba import cuda

from npse import reference as book
from npse.cuda.activation import at_least
from npse.cuda.batch_norm import batch_norm_inference
from npse.cuda.conv import chosen
from npse.cuda.runtime.arrays import area, flat, replaces
from npse.cuda.runtime.block_reduce import sum_rows
from npse.cuda.runtime.device import BLOCK_THREADS, empty, empty_like, kernel, launch, scalar
from npse.cuda.runtime.grid_stride import (
    column,
    grid_for_elements,
    grid_for_maps,
    grid_for_pixels,
    grid_for_table,
    grid_stride,
    thread_map,
)
from npse.cuda.runtime.vectors import launch_over_maps, sqrt, where
from npse.cuda.se import squeeze
from npse.cuda.se_kernels.excite import excite
from npse.editions.convolution import Geometry


@replaces(book.bn_scale_add_relu)
def bn_scale_add_relu(x, gamma, beta, mean, var, s, r, eps=1e-5):
    y = empty_like(x)
    launch_over_maps(_bn_scale_add_relu, grid_for_pixels, x, area(x), gamma, beta, mean, var, scalar(eps, x), s, r, y)
    return y


@kernel
def _bn_scale_add_relu(x, R, gamma, beta, mean, var, eps, s, r, y):
    n, c, k, end, step = thread_map(R, s.shape[1])
    zero = x.dtype.type(0)
    if c < s.shape[1]:
        centre, gate = mean[c], s[n, c]
        slope, shift = gate * gamma[c] / sqrt(var[c] + eps), gate * beta[c]
        while k < end:
            y[k] = at_least((x[k] - centre) * slope + shift + r[k], zero)
            k += step


@replaces(book.conv2d_se_add_relu_inference)
def conv2d_se_add_relu_inference(x, w, gamma, beta, mean, var, r, w1=None, w2=None, b1=None, b2=None, stride=1,
                                 padding=0, eps=1e-5):
    g = Geometry.of(x.shape, w.shape, stride, padding)
    c = chosen(g, g.Cout, x.dtype).forward(x, w, g)
    if w1 is None:
        s = empty((g.N, g.Cout), x.dtype)
        launch(_ones, *grid_for_elements(s), flat(s))
    else:
        # Batch norm is affine for each channel, so the mean of its output is the batch norm of the mean of its input.
        z = batch_norm_inference(squeeze(c).reshape((g.N, 1, 1, g.Cout)), gamma, beta, mean, var, eps)
        s = excite(z.reshape((g.N, g.Cout)), w1, w2, b1, b2)
    return bn_scale_add_relu(c, gamma, beta, mean, var, s, r, eps)


@kernel
def _ones(s):
    k, end, step = grid_stride(s.size)
    while k < end:
        s[k] = s.dtype.type(1)
        k += step


@replaces(book.bn_scale_add_relu_backward_s)
def bn_scale_add_relu_backward_s(dy, x, y, gamma, beta, mean, var, eps=1e-5):
    sums = tuple(empty((x.shape[0], x.shape[3]), x.dtype) for _ in range(3))
    launch_over_maps(_bn_scale_add_relu_backward_s, grid_for_maps, dy, x, y, area(x), gamma, beta, mean, var,
                     scalar(eps, x), *sums)
    return sums


@kernel
def _bn_scale_add_relu_backward_s(dy, x, y, R, gamma, beta, mean, var, eps, ds, dgammas, dbetas):
    shared = cuda.shared.array(BLOCK_THREADS, x.dtype)
    n, c, first, end, step = thread_map(R, gamma.size)
    zero = x.dtype.type(0)
    dgamma = dbeta = zero
    if c < gamma.size:
        centre = mean[c]
        for k in range(first, end, step):
            g = where(y[k] > zero, dy[k], zero)
            dgamma += g * (x[k] - centre)
            dbeta += g
    dgamma = sum_rows(shared, dgamma)
    dbeta = sum_rows(shared, dbeta)
    if c < gamma.size and cuda.threadIdx.y == 0:
        dgamma /= sqrt(var[c] + eps)
        ds[n, c] = gamma[c] * dgamma + beta[c] * dbeta
        dgammas[n, c] = dgamma
        dbetas[n, c] = dbeta


@replaces(book.bn_scale_add_relu_backward)
def bn_scale_add_relu_backward(dy, x, y, s, dz, dgammas, dbetas, means, gamma, mean, var, eps=1e-5):
    B, R = x.size // x.shape[3], area(x)
    eps, dgamma, dbeta, dx, dr = scalar(eps, x), empty_like(gamma), empty_like(gamma), empty_like(x), empty_like(x)
    tables = map(flat, (s, dz, dgammas, dbetas, means))
    launch(_batch_gradients, *grid_for_table(s), *tables, len(s), mean, var, eps, dgamma, dbeta)
    launch_over_maps(_input_gradients, grid_for_pixels, dy, x, y, R, s, dz, gamma, mean, var, eps, dgamma, dbeta,
                     scalar(1 / R, x), scalar(1 / B, x), dx, dr)
    return dx, dgamma, dbeta, dr


@kernel
def _batch_gradients(s, dz, dgammas, dbetas, means, N, mean, var, eps, dgamma, dbeta):
    shared = cuda.shared.array(BLOCK_THREADS, s.dtype)
    c, first, end, step = column(N, mean.size)
    scaled = shifted = s.dtype.type(0)
    if c < mean.size:
        centre, inverse = mean[c], s.dtype.type(1) / math.sqrt(var[c] + eps)
        for k in range(first, end, step):
            scaled += s[k] * dgammas[k] + dz[k] * ((means[k] - centre) * inverse)
            shifted += s[k] * dbetas[k] + dz[k]
    scaled = sum_rows(shared, scaled)
    shifted = sum_rows(shared, shifted)
    if c < mean.size and cuda.threadIdx.y == 0:
        dgamma[c] = scaled
        dbeta[c] = shifted


@kernel
def _input_gradients(dy, x, y, R, s, dz, gamma, mean, var, eps, dgamma, dbeta, share, share_of_batch, dx, dr):
    n, c, k, end, step = thread_map(R, gamma.size)
    zero = x.dtype.type(0)
    if c < gamma.size:
        centre, inverse = mean[c], x.dtype.type(1) / sqrt(var[c] + eps)
        slope = gamma[c] * inverse
        gate = slope * s[n, c]
        shift = slope * (dz[n, c] * share - dbeta[c] * share_of_batch)
        tilt = slope * inverse * dgamma[c] * share_of_batch
        while k < end:
            d = x[k] - centre
            g = where(y[k] > zero, dy[k], zero)
            dr[k] = g
            dx[k] = gate * g + shift - d * tilt
            k += step
