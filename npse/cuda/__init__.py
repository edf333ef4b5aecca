"""The CUDA edition: the ops of the book as hand-written kernels on numba.cuda, by the same names.

An op takes device arrays or NumPy arrays, which it copies to the device, and leaves its results on the device:
`to_device` and `to_host` move arrays. What has no kernel runs by the book, on the host.
"""

from npse.cuda.runtime.fallback import *  # noqa: F403  the whole book; the imports below replace its ops

# isort: split
from npse.cuda.activation import relu, relu_backward, sigmoid, sigmoid_backward
from npse.cuda.augment import augment, normalize
from npse.cuda.batch_norm import (
    batch_norm,
    batch_norm_backward,
    batch_norm_inference,
    batch_norm_inference_backward,
    moments,
    running_statistics,
)
from npse.cuda.bn_scale_add_relu import bn_scale_add_relu, bn_scale_add_relu_backward, bn_scale_add_relu_backward_s
from npse.cuda.conv import conv2d, conv2d_backward_w, conv2d_backward_x, conv2d_backward_x_add, conv2d_moments
from npse.cuda.dense import dense, dense_backward
from npse.cuda.fused import (
    add_relu,
    add_relu_backward,
    add_squeeze_backward,
    batch_norm_inference_relu,
    batch_norm_relu,
    batch_norm_relu_backward,
    scale_add_relu,
    scale_add_relu_backward,
)
from npse.cuda.loss import softmax, softmax_backward, softmax_cross_entropy, softmax_cross_entropy_backward
from npse.cuda.muon import muon, orthogonalize
from npse.cuda.pool import average_pool, average_pool_backward, max_pool, max_pool_backward
from npse.cuda.residual import add, add_backward
from npse.cuda.runtime.copies import copy, rows
from npse.cuda.runtime.device import empty_like, record, synchronize, to_device, to_host, why_unavailable
from npse.cuda.se import (
    excite,
    excite_backward,
    scale,
    scale_backward,
    se,
    se_backward,
    squeeze,
    squeeze_backward,
)
from npse.cuda.sgd import sgd

global_average_pool, global_average_pool_backward = squeeze, squeeze_backward
