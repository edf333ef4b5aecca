"""Batch norm of a batch in several processes, with the kernels of batch_norm.py. Letters: as in the book.

The moments of the parts arrive in the memory of the host, so the book's own function merges them.
"""

from npse import reference as book
from npse.cuda.batch_norm import input_gradient, sums
from npse.cuda.runtime.arrays import replaces


@replaces(book.shared_batch_norm_backward_sums)
def shared_batch_norm_backward_sums(dy, x, mean, var, eps=1e-5):
    return sums(dy, x, mean, mean, mean, var, eps, relu=False)    # without a ReLU gamma and beta change nothing


@replaces(book.shared_batch_norm_backward_x)
def shared_batch_norm_backward_x(dy, x, gamma, mean, var, dgamma, dbeta, count, eps=1e-5):
    return input_gradient(dy, x, gamma, gamma, mean, var, dgamma, dbeta, count, eps, relu=False)


@replaces(book.shared_batch_norm_relu_backward_sums)
def shared_batch_norm_relu_backward_sums(dy, x, gamma, beta, mean, var, eps=1e-5):
    return sums(dy, x, gamma, beta, mean, var, eps, relu=True)


@replaces(book.shared_batch_norm_relu_backward_x)
def shared_batch_norm_relu_backward_x(dy, x, gamma, beta, mean, var, dgamma, dbeta, count, eps=1e-5):
    return input_gradient(dy, x, gamma, beta, mean, var, dgamma, dbeta, count, eps, relu=True)
