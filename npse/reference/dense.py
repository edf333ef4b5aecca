"""The dense (fully connected) layer: each row of y is w times a row of x, plus b.

    x  (N, C)   input rows        w  (K, C)   weights, as in the paper's W1 and W2
    y  (N, K)   output rows       b  (K,)     bias, may be left out
"""

from npse.reference.contract import op
from npse.reference.numerics import total
from npse.types import Array


@op("x: N C, w: K C, b?: K -> y: N K", flops=lambda x, w, *_, y: 2 * len(x) * w.size,
    multiply_adds=lambda x, w, *_, y: len(x) * w.size)
def dense(x: Array, w: Array, b: Array | None = None) -> Array:
    """y[n, k] = sum over c of  x[n, c] * w[k, c]  + b[k];  (N, C), (K, C), (K,) -> (N, K)."""
    y = x @ w.T
    return y if b is None else y + b


@op("x: N C, w: K C, dy: N K -> dx: N C, dw: K C, db: K", flops=lambda dy, x, w, *_, y: 4 * len(x) * w.size)
def dense_backward(dy: Array, x: Array, w: Array) -> tuple[Array, Array, Array]:
    """Gradients of `dense`: (N, K), (N, C), (K, C) -> dx (N, C), dw (K, C), db (K,).

    dx[n, c] = sum over k of dy[n, k] * w[k, c]
    dw[k, c] = sum over n of dy[n, k] * x[n, c]
    db[k]    = sum over n of dy[n, k]
    """
    dx = dy @ w
    dw = dy.T @ x
    db = total(dy, 0)
    return dx, dw, db
