"""The end of an SE block in one op, and its gradients. They use the kernels of batch norm. Letters: as in the book."""

from functools import partial

import numpy as np

from npse import reference as book
from npse.cpu.batch_norm import batch_norm_inference, input_gradient, slopes, sums
from npse.cpu.conv import chosen
from npse.cpu.fused import add_relu, conv2d_batch_norm_inference, conv2d_moments, scale_add_relu
from npse.cpu.runtime.arrays import pixels, replaces
from npse.cpu.runtime.memory_pool import empty_like, empty_together
from npse.cpu.runtime.parallel import parallel_for
from npse.cpu.se_kernels.excite import excite, or_zeros
from npse.cpu.simd import channel_sums
from npse.cpu.simd.channel_sums import MASK_BY_Y
from npse.editions.convolution import Geometry
from npse.reference.numerics import total


@replaces(book.bn_scale_add_relu, recordable=True)
def bn_scale_add_relu(x, gamma, beta, mean, var, s, r, eps=1e-5):
    run = channel_sums.in_vectors(x, channel_sums.join)
    if run is None:
        return scale_add_relu(batch_norm_inference(x, gamma, beta, mean, var, eps), s, r)
    y, (slope, _) = empty_like(x), slopes(gamma, var, eps, x.dtype)
    scale, offset = empty_together(x.dtype, s.shape, s.shape)
    parallel_for(partial(channel_sums.gated, s, slope, beta, scale, offset), len(s), len(s))
    parallel_for(partial(run, pixels(x), mean, scale, offset, pixels(r), pixels(y)), len(x))
    return y


@replaces(book.conv2d_se_add_relu_inference, recordable=True)
def conv2d_se_add_relu_inference(x, w, gamma, beta, mean, var, r, w1=None, w2=None, b1=None, b2=None, stride=1,
                                 padding=0, eps=1e-5):
    g = Geometry.of(x.shape, w.shape, stride, padding)
    variant, gated = chosen(g, g.Cout, x.dtype), w1 is not None
    if hasattr(variant, "add_residual") and channel_sums.vectors(r):
        slope, _ = slopes(gamma, var, eps, x.dtype)
        gates = (w1, w2, or_zeros(b1, w1), or_zeros(b2, w2)) if gated else None
        return variant.add_residual(x, w, g, (mean, slope, beta), gates, r)
    if not gated:
        return add_relu(conv2d_batch_norm_inference(x, w, gamma, beta, mean, var, stride, padding, eps), r)
    c, _, _, means = conv2d_moments(x, w, stride, padding)
    # Batch norm is affine for each channel, so the mean of its output is the batch norm of the mean of its input.
    z = batch_norm_inference(means.reshape(g.N, 1, 1, g.Cout), gamma, beta, mean, var, eps).reshape(g.N, g.Cout)
    return bn_scale_add_relu(c, gamma, beta, mean, var, excite(z, w1, w2, b1, b2), r, eps)


@replaces(book.bn_scale_add_relu_backward_s)
def bn_scale_add_relu_backward_s(dy, x, y, gamma, beta, mean, var, eps=1e-5):
    dgammas, dbetas = sums(MASK_BY_Y, dy, x, y, gamma, beta, mean, var, eps)
    ds = gamma * dgammas + beta * dbetas
    return ds.astype(x.dtype), dgammas.astype(x.dtype), dbetas.astype(x.dtype)


@replaces(book.bn_scale_add_relu_backward)
def bn_scale_add_relu_backward(dy, x, y, s, dz, dgammas, dbetas, means, gamma, mean, var, eps=1e-5):
    dgamma = total(s * dgammas + dz * (means - mean) / np.sqrt(var + eps), 0)
    dbeta = total(s * dbetas + dz, 0)
    dx, dr = input_gradient(MASK_BY_Y, dy, x, y, gamma, gamma, mean, var, eps, s, dz, dgamma, dbeta)
    return dx, dgamma, dbeta, dr
