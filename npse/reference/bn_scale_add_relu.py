"""The end of an SE block: batch norm, gates, shortcut and ReLU in one formula.

    y = relu(s * u + r)      u = gamma * xhat + beta      xhat = (x - mean) / sqrt(var + eps)

    x      (N, H, W, C)  output of the branch's last convolution     mean, var  (C,)    its statistics
    r      (N, H, W, C)  shortcut                                    means      (N, C)  its mean over each map
    s      (N, C)        gates, from z, the squeeze of u             R = H*W, B = N*H*W

The formulas are those of `batch_norm`, `scale`, `add`, `relu` and their gradients, multiplied out. The advantage is
that u is never computed: batch norm is affine, so the ops read x instead, and z, the mean of u over a map, is the
batch norm of ``means``.

The backward pass has two ops, because dz, the gradient of the squeeze, is computed from ds by the excitation. The first
op sums g = dy * 1[y > 0] and g * xhat over each map. All other sums follow from these two sums.

In inference mean and var are known beforehand. There the convolution and the gates are part of the op too.
"""

from typing import Any

import numpy as np

from npse.reference.activation import relu, relu_backward
from npse.reference.batch_norm import batch_norm_inference
from npse.reference.contract import op
from npse.reference.conv import products, sizes_of_result
from npse.reference.fused import add_relu, conv2d_batch_norm_inference, scale_add_relu
from npse.reference.numerics import total
from npse.reference.residual import add
from npse.reference.se import excite, scale, squeeze
from npse.types import Array


@op("x: N H W C, r: N H W C, s: N C, gamma: C, beta: C, mean: C, var: C -> y: N H W C",
    backward=("bn_scale_add_relu_backward_s", "bn_scale_add_relu_backward"), kink="relu", flops=6)
def bn_scale_add_relu(x: Array, gamma: Array, beta: Array, mean: Array, var: Array, s: Array,
                      r: Array, eps: float = 1e-5) -> Array:
    """y = relu(s * batch_norm(x) + r) -> y (N, H, W, C).

    Parameters
    ----------
    x, r : arrays (N, H, W, C)
    gamma, beta, mean, var : arrays (C,)
    s : array (N, C)
    eps : float
    """
    return relu(add(scale(batch_norm_inference(x, gamma, beta, mean, var, eps), s), r))


def sizes_with_gates(op: str, letters: dict[str, int], stride: int, padding: int, w1: Array | None, w2: Array | None,
                     b1: Array | None, b2: Array | None) -> dict[str, int]:
    """Check that the excitation is whole, then as `sizes_of_result`."""
    if (w1 is None) != (w2 is None):
        raise ValueError(f"{op}: an excitation has w1 and w2, but {'w1' if w1 is None else 'w2'} is missing")
    if w1 is None and (b1 is not None or b2 is not None):
        raise ValueError(f"{op}: biases of an excitation need w1 and w2")
    return sizes_of_result(op, letters, stride, padding)


def _multiply_adds(x: Array, w: Array, gamma: Array, beta: Array, mean: Array, var: Array, r: Array,
                   w1: Array | None = None, *_: Any, y: Array) -> int:
    gates = 0 if w1 is None else 2 * len(y) * w1.size + 2 * y.size        # of the excitation; squeeze and scaling
    return products(y.shape, w.shape) // 2 + gates


@op("x: N H W Cin, w: kh kw Cin Cout, gamma: Cout, beta: Cout, mean: Cout, var: Cout, r: N Ho Wo Cout, "
    "w1?: M Cout, w2?: Cout M, b1?: M, b2?: Cout -> y: N Ho Wo Cout", backward=None, kink="relu",
    sizes=sizes_with_gates, flops=lambda *given, y: 2 * _multiply_adds(*given, y=y) + 4 * y.size,
    multiply_adds=_multiply_adds)
def conv2d_se_add_relu_inference(x: Array, w: Array, gamma: Array, beta: Array, mean: Array, var: Array, r: Array,
                                 w1: Array | None = None, w2: Array | None = None, b1: Array | None = None,
                                 b2: Array | None = None, stride: int = 1, padding: int = 0,
                                 eps: float = 1e-5) -> Array:
    """y = relu(s * u + r), the end of an SE block in inference: (N, H, W, Cin), r (N, Ho, Wo, Cout) -> like r.

    u = batch_norm_inference(conv2d(x, w)), and s = excite(squeeze(u), w1, w2, b1, b2). Without w1 and w2 s is 1.
    """
    u = conv2d_batch_norm_inference(x, w, gamma, beta, mean, var, stride, padding, eps)
    return add_relu(u, r) if w1 is None or w2 is None else scale_add_relu(u, excite(squeeze(u), w1, w2, b1, b2), r)


@op("x: N H W C, y: N H W C, dy: N H W C, gamma: C, beta: C, mean: C, var: C -> ds: N C, dgammas: N C, dbetas: N C",
    flops=6)
def bn_scale_add_relu_backward_s(dy: Array, x: Array, y: Array, gamma: Array, beta: Array,
                                 mean: Array, var: Array,
                                 eps: float = 1e-5) -> tuple[Array, Array, Array]:
    """Gradient of the gates, and the two sums over each map from which it follows.

    dgammas[n, c] = sum over i, j of  g * xhat          what dgamma and dbeta would be for one image without gates
    dbetas[n, c]  = sum over i, j of  g
    ds            = sum over i, j of  g * u  =  gamma * dgammas + beta * dbetas

    Returns
    -------
    ds, dgammas, dbetas : arrays (N, C)
    """
    g = relu_backward(dy, y)
    dgammas = total(g * (x - mean) / np.sqrt(var + eps), (1, 2))
    dbetas = total(g, (1, 2))
    return gamma * dgammas + beta * dbetas, dgammas, dbetas


@op("x: N H W C, y: N H W C, dy: N H W C, s: N C, dz: N C, dgammas: N C, dbetas: N C, means: N C, gamma: C, mean: C, "
    "var: C -> dx: N H W C, dgamma: C, dbeta: C, dr: N H W C", flops=8)
def bn_scale_add_relu_backward(dy: Array, x: Array, y: Array, s: Array, dz: Array, dgammas: Array,
                               dbetas: Array, means: Array, gamma: Array, mean: Array, var: Array,
                               eps: float = 1e-5) -> tuple[Array, Array, Array, Array]:
    """All other gradients of `bn_scale_add_relu`, with the paths through the statistics.

    du     = s * g + dz / R                             both paths into u: the gated one, and the squeeze
    dgamma = sum over n of  s * dgammas + dz * (means - mean) / sqrt(var + eps)         the sums of du * xhat
    dbeta  = sum over n of  s * dbetas + dz                                             and of du
    dx     = gamma / sqrt(var + eps) * (du - dbeta / B - xhat * dgamma / B)
    dr     = g

    Parameters
    ----------
    dy, x, y : arrays (N, H, W, C), where y is the output
    s, dz, means : arrays (N, C)
    dgammas, dbetas : arrays (N, C), from `bn_scale_add_relu_backward_s`
    gamma, mean, var : arrays (C,)
    eps : float

    Returns
    -------
    dx (N, H, W, C), dgamma (C,), dbeta (C,), dr (N, H, W, C)
    """
    N, H, W, _ = x.shape
    B, deviation = N * H * W, np.sqrt(var + eps)
    dgamma = total(s * dgammas + dz * (means - mean) / deviation, 0)
    dbeta = total(s * dbetas + dz, 0)
    g = relu_backward(dy, y)
    du = s[:, None, None, :] * g + (dz / (H * W))[:, None, None, :]
    xhat = (x - mean) / deviation
    dx = gamma / deviation * (du - dbeta / B - xhat * (dgamma / B))
    return dx, dgamma, dbeta, g
