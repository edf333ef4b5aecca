"""Shake-Shake regularization (arXiv 1705.07485): two branches are mixed, with a random share for each image.

    a, b   (N, H, W, C)  two branches of a residual block      alpha  (N,)  share of a in the forward pass, in 0..1
    y      (N, H, W, C)  their mixture                         beta   (N,)  share of a in the backward pass

In training alpha and beta are independent, so dy is not spread as the branches were mixed: what the backward pass
returns is then no gradient. With beta = alpha it is one. At inference both shares are 1/2.
"""

from npse.reference.contract import op
from npse.types import Array


@op("a: N H W C, b: N H W C, alpha: N -> y: N H W C", fixed=("alpha",), flops=3)
def shake(a: Array, b: Array, alpha: Array) -> Array:
    """y[n] = alpha[n] * a[n] + (1 - alpha[n]) * b[n];  (N, H, W, C), (N, H, W, C), (N,) -> (N, H, W, C)."""
    share = alpha[:, None, None, None]
    return share * a + (1 - share) * b


@op("dy: N H W C, beta: N -> da: N H W C, db: N H W C", fixed=("beta",), flops=2)
def shake_backward(dy: Array, beta: Array) -> tuple[Array, Array]:
    """da[n] = beta[n] * dy[n], db[n] = (1 - beta[n]) * dy[n];  (N, H, W, C), (N,) -> two of (N, H, W, C)."""
    share = beta[:, None, None, None]
    return share * dy, (1 - share) * dy
