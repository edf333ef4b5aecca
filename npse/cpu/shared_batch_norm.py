"""Batch norm of a batch in several processes, with the kernels of batch_norm.py. Letters: as in the book."""

import numpy as np

from npse import reference as book
from npse.cpu.batch_norm import input_gradient, sums
from npse.cpu.runtime.arrays import replaces, sum_of_images
from npse.cpu.simd.channel_sums import MASK_BY_X, NO_MASK


@replaces(book.shared_batch_norm_backward_sums)
def shared_batch_norm_backward_sums(dy, x, mean, var, eps=1e-5):
    return _sums(NO_MASK, dy, x, mean, mean, mean, var, eps)      # without a mask gamma and beta are not read


@replaces(book.shared_batch_norm_backward_x)
def shared_batch_norm_backward_x(dy, x, gamma, mean, var, dgamma, dbeta, count, eps=1e-5):
    return _input_gradient(NO_MASK, dy, x, gamma, gamma, mean, var, dgamma, dbeta, count, eps)


@replaces(book.shared_batch_norm_relu_backward_sums)
def shared_batch_norm_relu_backward_sums(dy, x, gamma, beta, mean, var, eps=1e-5):
    return _sums(MASK_BY_X, dy, x, gamma, beta, mean, var, eps)


@replaces(book.shared_batch_norm_relu_backward_x)
def shared_batch_norm_relu_backward_x(dy, x, gamma, beta, mean, var, dgamma, dbeta, count, eps=1e-5):
    return _input_gradient(MASK_BY_X, dy, x, gamma, beta, mean, var, dgamma, dbeta, count, eps)


def _sums(mask, dy, x, gamma, beta, mean, var, eps):
    return tuple(sum_of_images(each, x.dtype) for each in sums(mask, dy, x, x, gamma, beta, mean, var, eps))


def _input_gradient(mask, dy, x, gamma, beta, mean, var, dgamma, dbeta, count, eps):
    N, H, W, C = x.shape
    part = x.dtype.type(N * H * W / count)                        # the kernel divides the sums by N*H*W
    one, zero = np.ones((N, C), x.dtype), np.zeros((N, C), x.dtype)
    dx, _ = input_gradient(mask, dy, x, x, gamma, beta, mean, var, eps, one, zero, dgamma * part, dbeta * part)
    return dx
