"""The end of an SE block in one op, and its gradients. They use the kernels of batch norm. Letters: as in the book."""

from functools import partial

import numpy as np

from npse import reference as book
from npse.cpu.batch_norm import batch_norm_inference, input_gradient, slopes, sums
from npse.cpu.conv import chosen
from npse.cpu.fused import add_relu, conv2d_batch_norm_inference, conv2d_moments, scale_add_relu
from npse.cpu.runtime.arrays import pixels, replaces
from npse.cpu.runtime.jit import kernel
from npse.cpu.runtime.memory_pool import empty_like, empty_together
from npse.cpu.runtime.parallel import parallel_for
from npse.cpu.se_kernels.excite import excite, or_zeros
from npse.cpu.simd import channel_sums
from npse.cpu.simd.channel_sums import MASK_BY_Y
from npse.editions.convolution import Geometry


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


@replaces(book.bn_scale_add_relu_backward_s, recordable=True)
def bn_scale_add_relu_backward_s(dy, x, y, gamma, beta, mean, var, eps=1e-5):
    both = sums(MASK_BY_Y, dy, x, y, gamma, beta, mean, var, eps)
    ds, dgammas, dbetas = empty_together(x.dtype, *[both[0].shape] * 3)
    parallel_for(partial(_gate_gradient, *both, gamma, beta, ds, dgammas, dbetas), len(x), len(x))
    return ds, dgammas, dbetas


@kernel
def _gate_gradient(gamma_sums, beta_sums, gamma, beta, ds, dgammas, dbetas, first, last):
    """Write ds = gamma * dgammas + beta * dbetas, and the sums as dgammas, dbetas: (N, C), for images first .. last."""
    for n in range(first, last):
        for c in range(len(gamma)):
            ds[n, c] = gamma[c] * gamma_sums[n, c] + beta[c] * beta_sums[n, c]
            dgammas[n, c], dbetas[n, c] = gamma_sums[n, c], beta_sums[n, c]


@replaces(book.bn_scale_add_relu_backward, recordable=True)
def bn_scale_add_relu_backward(dy, x, y, s, dz, dgammas, dbetas, means, gamma, mean, var, eps=1e-5):
    dgamma, dbeta = empty_together(x.dtype, gamma.shape, gamma.shape)
    _, inverse = slopes(gamma, var, eps, x.dtype)
    parallel_for(partial(_parameter_gradients, s, dz, dgammas, dbetas, means, mean, inverse, dgamma, dbeta),
                 len(gamma), len(gamma))
    dx, dr = input_gradient(MASK_BY_Y, dy, x, y, gamma, gamma, mean, var, eps, s, dz, dgamma, dbeta)
    return dx, dgamma, dbeta, dr


@kernel
def _parameter_gradients(s, dz, dgammas, dbetas, means, mean, inverse, dgamma, dbeta, first, last):
    """Write dgamma, dbeta (C,) for channels first .. last.

    They are the sums over the images of s * dgammas + dz * (means - mean) * inverse and of s * dbetas + dz.
    """
    total = np.zeros((2, last - first))
    for n in range(len(s)):
        for c in range(first, last):
            total[0, c - first] += s[n, c] * dgammas[n, c] + dz[n, c] * (means[n, c] - mean[c]) * inverse[c]
            total[1, c - first] += s[n, c] * dbetas[n, c] + dz[n, c]
    for c in range(first, last):
        dgamma[c], dbeta[c] = total[0, c - first], total[1, c - first]
