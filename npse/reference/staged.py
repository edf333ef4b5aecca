"""The two hardest gradients once more, one step of the computational graph at a time.

Each line of the forward pass is an elementary function. The backward pass has the same lines from last to first, each
with its derivative. The gradients of a variable that is used twice are added. Nothing is simplified, on purpose. The
closed forms are `batch_norm_backward` and `se_backward`; a test checks that both agree.
"""

import numpy as np

from npse.reference.contract import op
from npse.reference.numerics import total
from npse.types import Array


@op("x: N H W C, dy: N H W C, gamma: C, mean: C, var: C -> dx: N H W C, dgamma: C, dbeta: C")
def batch_norm_backward_staged(dy: Array, x: Array, gamma: Array, mean: Array, var: Array,
                               eps: float = 1e-5) -> tuple[Array, Array, Array]:
    """The arguments and results are those of `batch_norm_backward`. Letters as in batch_norm.py."""
    B = x.size // x.shape[3]
    over = (0, 1, 2)

    # forward                                   # mean = sum(x) / B
    centred = x - mean                          # var = sum(centred**2) / B
    std = np.sqrt(var + eps)
    inverse = 1 / std
    xhat = centred * inverse                    # y = gamma * xhat + beta

    # backward, from the last line to the first
    dbeta = total(dy, over)
    dgamma = total(dy * xhat, over)
    dxhat = dy * gamma
    dcentred = dxhat * inverse                  # first use of centred
    dinverse = total(dxhat * centred, over)
    dstd = -dinverse / std**2
    dvar = dstd / (2 * std)
    dcentred = dcentred + 2 * centred * dvar / B      # second use of centred: in the variance
    dmean = -total(dcentred, over)
    dx = dcentred + dmean / B                   # two uses of x: itself, and in the mean
    return dx, dgamma, dbeta


@op("u: N H W C, dy: N H W C, w1: M C, w2: C M, b1?: M, b2?: C "
    "-> du: N H W C, dw1: M C, dw2: C M, db1: M, db2: C")
def se_backward_staged(dy: Array, u: Array, w1: Array, w2: Array, b1: Array | None = None,
                       b2: Array | None = None) -> tuple[Array, Array, Array, Array, Array]:
    """The arguments and results are those of `se_backward`. Letters as in se.py."""
    _, H, W, _ = u.shape

    # forward
    z = total(u, (1, 2)) / (H * W)              # (N, C)  squeeze
    a1 = z @ w1.T                               # (N, M)
    a1 = a1 if b1 is None else a1 + b1
    h = np.maximum(a1, 0)                       # (N, M)
    a2 = h @ w2.T                               # (N, C)
    a2 = a2 if b2 is None else a2 + b2
    e = np.exp(np.where(a2 >= 0, -a2, a2))      # exp(-|a2|)
    s = np.where(a2 >= 0, 1, e) / (1 + e)       # (N, C)  gates
    s_map = s[:, None, None, :]                 # y = u * s_map

    # backward, from the last line to the first
    du = dy * s_map                             # first use of u: the direct path
    ds_map = dy * u
    ds = total(ds_map, (1, 2))                  # s is used at every pixel: the gradients are added
    da2 = ds * s * (1 - s)
    db2 = total(da2, 0)
    dh = da2 @ w2
    dw2 = da2.T @ h
    da1 = dh * (a1 > 0)
    db1 = total(da1, 0)
    dz = da1 @ w1
    dw1 = da1.T @ z
    du = du + dz[:, None, None, :] / (H * W)    # second use of u: through the squeeze
    return du, dw1, dw2, db1, db2
