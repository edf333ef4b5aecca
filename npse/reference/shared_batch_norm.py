"""Batch norm of a batch whose images lie in several processes: synchronized batch norm.

    R                     processes, each with its own part of the batch
    means, variances      (R, C)  the statistics of the parts, see `moments`
    counts                (R,)    numbers a channel in each part, N*H*W
    x, dy                 (N, H, W, C)  input of one process, and the gradient of its output
    mean, var             (C,)    the statistics of the whole batch
    count                 B, numbers a channel in the whole batch

The forward pass of a process is `moments` of its part, `merged_moments` of all parts, and `batch_norm_inference`. The
backward pass sums dgamma and dbeta over its part. Both are added over the processes, and then give dx.
"""

import numpy as np

from npse.reference.activation import relu_backward
from npse.reference.batch_norm import batch_norm_inference
from npse.reference.contract import op
from npse.reference.numerics import total
from npse.types import Array


@op("means: R C, variances: R C, counts: R int -> mean: C, var: C", backward=None, flops=7)
def merged_moments(means: Array, variances: Array, counts: Array) -> tuple[Array, Array]:
    """Mean and variance of a batch, from those of its parts.

    mean = sum over r of  counts[r] / B * means[r]
    var  = sum over r of  counts[r] / B * (variances[r] + (means[r] - mean)^2)

    The squares of the distances between means are added, and no large numbers are subtracted. So no digits are lost
    (T. F. Chan, G. H. Golub, R. J. LeVeque: Updating formulae and a pairwise algorithm, 1979).

    Parameters
    ----------
    means, variances : arrays (R, C)
        The variances are biased.
    counts : integer array (R,)

    Returns
    -------
    mean (C,), var (C,), biased
    """
    share = (counts / counts.sum())[:, None]
    mean = total(means * share, 0).astype(means.dtype)
    return mean, total((variances + (means - mean) ** 2) * share, 0).astype(means.dtype)


@op("x: N H W C, dy: N H W C, mean: C, var: C -> dgamma: C, dbeta: C", flops=5)
def shared_batch_norm_backward_sums(dy: Array, x: Array, mean: Array, var: Array,
                                    eps: float = 1e-5) -> tuple[Array, Array]:
    """Sum over one part what `batch_norm_backward` sums over the batch.

    dgamma[c] = sum over n, i, j of  dy * xhat          xhat = (x - mean) / sqrt(var + eps)
    dbeta[c]  = sum over n, i, j of  dy
    """
    xhat = (x - mean) / np.sqrt(var + eps)
    return total(dy * xhat, (0, 1, 2)), total(dy, (0, 1, 2))


@op("x: N H W C, dy: N H W C, gamma: C, mean: C, var: C, dgamma: C, dbeta: C -> dx: N H W C", flops=6)
def shared_batch_norm_backward_x(dy: Array, x: Array, gamma: Array, mean: Array, var: Array, dgamma: Array,
                                 dbeta: Array, count: int, eps: float = 1e-5) -> Array:
    """Gradient of the part x, from the sums dgamma and dbeta over all parts.

    dx = gamma / sqrt(var + eps) * (dy - dbeta / B - xhat * dgamma / B)
    """
    xhat = (x - mean) / np.sqrt(var + eps)
    return gamma / np.sqrt(var + eps) * (dy - dbeta / count - xhat * (dgamma / count))


@op("x: N H W C, dy: N H W C, gamma: C, beta: C, mean: C, var: C -> dgamma: C, dbeta: C", flops=9)
def shared_batch_norm_relu_backward_sums(dy: Array, x: Array, gamma: Array, beta: Array, mean: Array, var: Array,
                                         eps: float = 1e-5) -> tuple[Array, Array]:
    """The sums when a ReLU follows: its mask is computed from x, as in `batch_norm_relu_backward`."""
    y = batch_norm_inference(x, gamma, beta, mean, var, eps)
    return shared_batch_norm_backward_sums(relu_backward(dy, y), x, mean, var, eps)


@op("x: N H W C, dy: N H W C, gamma: C, beta: C, mean: C, var: C, dgamma: C, dbeta: C -> dx: N H W C", flops=10)
def shared_batch_norm_relu_backward_x(dy: Array, x: Array, gamma: Array, beta: Array, mean: Array, var: Array,
                                      dgamma: Array, dbeta: Array, count: int, eps: float = 1e-5) -> Array:
    """Gradient of the part x when a ReLU follows."""
    y = batch_norm_inference(x, gamma, beta, mean, var, eps)
    return shared_batch_norm_backward_x(relu_backward(dy, y), x, gamma, mean, var, dgamma, dbeta, count, eps)
