"""How much arithmetic and traffic an op call is. A multiply-add counts as two operations, a comparison as one."""

from math import prod

import numpy as np

# Operations for each number of the largest array, from the formulas of the book, the one-pass ones included.
PER_NUMBER = {
    "relu": 1, "relu_backward": 1, "add": 1, "add_relu": 2, "add_relu_backward": 1, "add_squeeze_backward": 1,
    "scale": 1, "scale_backward": 3, "scale_add_relu": 3, "scale_add_relu_backward": 4,
    "max_pool": 1, "max_pool_backward": 2,
    "squeeze": 1, "squeeze_backward": 1, "global_average_pool": 1, "global_average_pool_backward": 1,
    "batch_norm": 7, "batch_norm_relu": 8, "batch_norm_inference": 3, "batch_norm_inference_relu": 4,
    "moments": 4, "bn_scale_add_relu": 6, "bn_scale_add_relu_backward_s": 6, "bn_scale_add_relu_backward": 8,
    "batch_norm_backward": 10, "batch_norm_relu_backward": 11,
    "sgd": 7, "augment": 3, "normalize": 3,
}


def convolution(y_shape, w_shape):
    """Operations of any pass of a convolution; those on the zeros around the map count, as everywhere in this field."""
    return 2 * prod(y_shape) * prod(w_shape[:3])


# Every op that convolves, and which of the three passes it is.
PASS_OF = {"conv2d": "conv2d", "conv2d_moments": "conv2d",
           "conv2d_backward_x": "conv2d_backward_x", "conv2d_backward_x_add": "conv2d_backward_x",
           "conv2d_backward_w": "conv2d_backward_w"}


def _orthogonalize(u):
    """Operations of the Gram matrix, of nine products of its size, and of the result."""
    K = min(u.size // u.shape[-1], u.shape[-1])
    return 4 * u.size * K + 18 * K**3


# What an op of matrix products costs, from its arguments and its results.
PRODUCTS = {
    "conv2d": lambda x, w, *_, y: convolution(y.shape, w.shape),
    "conv2d_backward_x": lambda dy, w, *_, y: convolution(dy.shape, w.shape),
    "conv2d_moments": lambda x, w, *_, y: convolution(y[0].shape, w.shape) + 4 * y[0].size,
    "conv2d_backward_x_add": lambda dy, w, dx, *_, y: convolution(dy.shape, w.shape) + dx.size,
    "conv2d_backward_w": lambda dy, x, w_shape, *_, y: convolution(dy.shape, w_shape),
    "dense": lambda x, w, *_, y: 2 * len(x) * w.size,
    "dense_backward": lambda dy, x, w, *_, y: 4 * len(x) * w.size,
    "excite": lambda z, w1, w2, *_, y: 2 * len(z) * (w1.size + w2.size),
    "orthogonalize": lambda u, *_, y: _orthogonalize(u),
    "muon": lambda w, *_, y: _orthogonalize(w) + 9 * w.size,
    "excite_backward": lambda ds, z, s, w1, w2, *_, y: 2 * len(z) * (3 * w1.size + 2 * w2.size),
}


def flops(op, arguments, result):
    """Return the floating-point operations of a call, or None for an op without a rule.

    It is the arithmetic of the formula: an algorithm that needs less of it (Winograd) comes out faster, not smaller.
    """
    if op in PRODUCTS:
        return PRODUCTS[op](*arguments, y=result)
    if op in PER_NUMBER:
        return PER_NUMBER[op] * max(array.size for array in arrays(arguments, result))
    return None


def traffic(arguments, result):
    """Return the bytes of all arrays that go in and come out, each counted once."""
    return sum(array.nbytes for array in {id(array): array for array in arrays(arguments, result)}.values())


def arrays(arguments, result):
    """The arrays among the arguments and results of an op."""
    results = result if isinstance(result, tuple) else (result,)
    return [value for value in (*arguments, *results) if is_array(value)]


def is_array(value):
    """Whether a value is an array, on the host or on a device."""
    return isinstance(value, np.ndarray) or hasattr(value, "copy_to_host")
