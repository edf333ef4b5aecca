"""The Numba edition: the ops of the book, those that touch whole maps compiled and run on every core.

Names, arguments, results and errors are the book's. What is not compiled here, since it is small or NumPy is as fast,
is the book's own function. `set_threads` says how many cores to use, `cache_folder` where compiled kernels are kept.
"""

from npse.reference import *  # noqa: F403  the whole book; the imports below replace its ops

# isort: split
from npse.cpu.activation import relu, relu_backward
from npse.cpu.augment import augment, normalize
from npse.cpu.batch_norm import batch_norm, batch_norm_backward, batch_norm_inference, moments
from npse.cpu.bn_scale_add_relu import bn_scale_add_relu, bn_scale_add_relu_backward, bn_scale_add_relu_backward_s
from npse.cpu.conv import conv2d, conv2d_backward_w, conv2d_backward_x, conv2d_backward_x_add, conv2d_moments
from npse.cpu.dense import dense, dense_backward
from npse.cpu.fused import (
    add_relu,
    add_relu_backward,
    add_squeeze_backward,
    batch_norm_inference_relu,
    batch_norm_relu,
    batch_norm_relu_backward,
    scale_add_relu,
    scale_add_relu_backward,
)
from npse.cpu.muon import muon, orthogonalize
from npse.cpu.pool import average_pool, average_pool_backward, max_pool, max_pool_backward
from npse.cpu.residual import add
from npse.cpu.runtime.jit import cache_folder
from npse.cpu.runtime.parallel import get_threads, set_threads
from npse.cpu.se import scale, scale_backward, se, se_backward, squeeze, squeeze_backward
from npse.cpu.se_kernels.excite import excite, excite_backward
from npse.cpu.sgd import sgd

global_average_pool, global_average_pool_backward = squeeze, squeeze_backward
