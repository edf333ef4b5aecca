"""The book: every op of npse in plain NumPy, each backward under its forward. This edition is the contract:
another edition may lack an op, but never differs in name, argument, result or convention.

`OPS` lists the contract; the chapters are the modules.
"""

from npse.reference.activation import relu, relu_backward, sigmoid, sigmoid_backward
from npse.reference.augment import augment, normalize
from npse.reference.batch_norm import (
    batch_norm,
    batch_norm_backward,
    batch_norm_inference,
    batch_norm_inference_backward,
    moments,
    running_statistics,
)
from npse.reference.bn_scale_add_relu import bn_scale_add_relu, bn_scale_add_relu_backward, bn_scale_add_relu_backward_s
from npse.reference.conv import conv2d, conv2d_backward_w, conv2d_backward_x
from npse.reference.dense import dense, dense_backward
from npse.reference.fused import (
    add_relu,
    add_relu_backward,
    add_squeeze_backward,
    batch_norm_inference_relu,
    batch_norm_relu,
    batch_norm_relu_backward,
    conv2d_backward_x_add,
    conv2d_moments,
    scale_add_relu,
    scale_add_relu_backward,
)
from npse.reference.loss import (
    softmax,
    softmax_backward,
    softmax_cross_entropy,
    softmax_cross_entropy_backward,
)
from npse.reference.muon import muon, orthogonalize
from npse.reference.pool import (
    average_pool,
    average_pool_backward,
    global_average_pool,
    global_average_pool_backward,
    max_pool,
    max_pool_backward,
)
from npse.reference.residual import add, add_backward
from npse.reference.se import (
    excite,
    excite_backward,
    scale,
    scale_backward,
    se,
    se_backward,
    squeeze,
    squeeze_backward,
)
from npse.reference.sgd import sgd
from npse.reference.staged import batch_norm_backward_staged, se_backward_staged

OPS = (
    "conv2d", "conv2d_backward_x", "conv2d_backward_w",
    "squeeze", "squeeze_backward", "excite", "excite_backward", "scale", "scale_backward", "se", "se_backward",
    "batch_norm", "batch_norm_backward", "batch_norm_inference", "batch_norm_inference_backward",
    "moments", "running_statistics",
    "relu", "relu_backward", "sigmoid", "sigmoid_backward",
    "dense", "dense_backward",
    "global_average_pool", "global_average_pool_backward",
    "average_pool", "average_pool_backward", "max_pool", "max_pool_backward",
    "add", "add_backward",
    "batch_norm_relu", "batch_norm_relu_backward", "add_relu", "add_relu_backward",
    "scale_add_relu", "scale_add_relu_backward", "add_squeeze_backward",
    "batch_norm_inference_relu", "conv2d_moments", "conv2d_backward_x_add",
    "bn_scale_add_relu", "bn_scale_add_relu_backward_s", "bn_scale_add_relu_backward",
    "softmax", "softmax_backward", "softmax_cross_entropy", "softmax_cross_entropy_backward",
    "sgd", "muon", "orthogonalize", "augment", "normalize",
    "batch_norm_backward_staged", "se_backward_staged",
)

__all__ = [*OPS, "OPS"]
