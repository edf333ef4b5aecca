"""Batch normalization (arXiv 1502.03167): each channel is brought to mean 0 and variance 1 over the batch.

    x      (N, H, W, C)  input                    gamma, beta  (C,)  learned scale and shift
    mean   (C,)          batch mean               xhat         x, normalized: (x - mean) / sqrt(var + eps)
    var    (C,)          batch variance, biased   B = N*H*W    numbers a channel
    y      (N, H, W, C)  gamma * xhat + beta

The batch is normalized with the biased variance (divided by B). The running variance, which is used at inference, is
unbiased (divided by B - 1).
"""

import numpy as np

from npse.reference.contract import op
from npse.reference.numerics import average, total
from npse.types import Array


@op("x: N H W C, gamma: C, beta: C -> y: N H W C, mean: C, var: C", flops=7)
def batch_norm(x: Array, gamma: Array, beta: Array,
               eps: float = 1e-5) -> tuple[Array, Array, Array]:
    """Normalize with the statistics of this batch: the training mode.

    y[n, i, j, c] = gamma[c] * (x[n, i, j, c] - mean[c]) / sqrt(var[c] + eps) + beta[c]

    Parameters
    ----------
    x : array (N, H, W, C)
    gamma, beta : arrays (C,)
    eps : float

    Returns
    -------
    y (N, H, W, C), mean (C,), var (C,)
        The statistics are returned because the gradient and the running averages need them; var is biased.
    """
    mean = average(x, (0, 1, 2))
    var = average((x - mean) ** 2, (0, 1, 2))
    return gamma * (x - mean) / np.sqrt(var + eps) + beta, mean, var


@op("x: N H W C, dy: N H W C, gamma: C, mean: C, var: C -> dx: N H W C, dgamma: C, dbeta: C", flops=10)
def batch_norm_backward(dy: Array, x: Array, gamma: Array, mean: Array, var: Array,
                        eps: float = 1e-5) -> tuple[Array, Array, Array]:
    """Gradients of `batch_norm`, through the mean and the variance too.

    dbeta[c]  = sum over n, i, j of  dy[n, i, j, c]
    dgamma[c] = sum over n, i, j of  dy[n, i, j, c] * xhat[n, i, j, c]
    dx        = gamma / sqrt(var + eps) * (dy - dbeta / B - xhat * dgamma / B)

    The last two terms are the gradients through the mean and the variance. So dx sums to zero over each channel.

    Parameters
    ----------
    dy, x : arrays (N, H, W, C)
    gamma, mean, var : arrays (C,)
    eps : float, the same as in the forward pass

    Returns
    -------
    dx (N, H, W, C), dgamma (C,), dbeta (C,)
    """
    B = x.size // x.shape[3]
    xhat = (x - mean) / np.sqrt(var + eps)
    dbeta = total(dy, (0, 1, 2))
    dgamma = total(dy * xhat, (0, 1, 2))
    dx = gamma / np.sqrt(var + eps) * (dy - dbeta / B - xhat * (dgamma / B))
    return dx, dgamma, dbeta


@op("x: N H W C -> mean: C, var: C, means: N C", backward=None, flops=4)
def moments(x: Array) -> tuple[Array, Array, Array]:
    """Mean and variance of each channel over the batch, and its mean over each map.

    Returns
    -------
    mean (C,), var (C,), means (N, C)
        ``mean`` and ``var`` are those of `batch_norm`; ``means`` is the squeeze of x, and its average is ``mean``.
    """
    mean = average(x, (0, 1, 2))
    return mean, average((x - mean) ** 2, (0, 1, 2)), average(x, (1, 2))


@op("x: N H W C, gamma: C, beta: C, running_mean: C, running_var: C -> y: N H W C",
    fixed=("running_mean", "running_var"), flops=3)
def batch_norm_inference(x: Array, gamma: Array, beta: Array, running_mean: Array,
                         running_var: Array, eps: float = 1e-5) -> Array:
    """Normalize with the running statistics: y = gamma * (x - running_mean) / sqrt(running_var + eps) + beta."""
    return gamma * (x - running_mean) / np.sqrt(running_var + eps) + beta


@op("x: N H W C, dy: N H W C, gamma: C, running_mean: C, running_var: C -> dx: N H W C, dgamma: C, dbeta: C",
    flops=6)
def batch_norm_inference_backward(dy: Array, x: Array, gamma: Array, running_mean: Array,
                                  running_var: Array,
                                  eps: float = 1e-5) -> tuple[Array, Array, Array]:
    """Gradients of `batch_norm_inference` -> dx, dgamma, dbeta; the statistics are constants with no gradient."""
    xhat = (x - running_mean) / np.sqrt(running_var + eps)
    dx = dy * gamma / np.sqrt(running_var + eps)
    return dx, total(dy * xhat, (0, 1, 2)), total(dy, (0, 1, 2))


def expect_enough(op: str, letters: dict[str, int], count: int) -> None:
    """Raise ValueError for a batch with one element in each channel, which has no unbiased variance."""
    if count < 2:
        raise ValueError(f"{op}: batch norm needs at least 2 elements a channel (N*H*W) in training, "
                         f"but got {count}; use a larger batch or inference mode")


@op("mean: C, var: C, running_mean: C, running_var: C -> new_mean: C, new_var: C", backward=None,
    values=expect_enough, flops=7)
def running_statistics(mean: Array, var: Array, count: int, running_mean: Array, running_var: Array,
                       momentum: float = 0.1) -> tuple[Array, Array]:
    """Return new running averages, moved towards those of this batch; the old arrays stay unchanged.

    running = (1 - momentum) * running + momentum * batch,  with var * B / (B - 1) for the unbiased variance

    Parameters
    ----------
    mean, var : arrays (C,), from `batch_norm`
    count : int, B = N*H*W of that batch; at least 2, because the unbiased variance divides by B - 1
    running_mean, running_var : arrays (C,)
    momentum : float
    """
    unbiased = var * (count / (count - 1))
    return ((1 - momentum) * running_mean + momentum * mean,
            (1 - momentum) * running_var + momentum * unbiased)
