"""The dense (fully connected) layer: each row of y is w times a row of x, plus b.

    x  (N, C)   input rows        w  (K, C)   weights, as in the paper's W1 and W2
    y  (N, K)   output rows       b  (K,)     bias, may be left out
"""

from npse.reference.arrays import expect, total


def dense(x, w, b=None):
    """y[n, k] = sum over c of  x[n, c] * w[k, c]  + b[k];  (N, C), (K, C), (K,) -> (N, K)."""
    bias = {} if b is None else {"b": (b, "K")}
    expect("dense", x=(x, "N C"), w=(w, "K C"), **bias)
    y = x @ w.T
    return y if b is None else y + b


def dense_backward(dy, x, w):
    """Gradients of `dense`: (N, K), (N, C), (K, C) -> dx (N, C), dw (K, C), db (K,).

    dx[n, c] = sum over k of dy[n, k] * w[k, c]
    dw[k, c] = sum over n of dy[n, k] * x[n, c]
    db[k]    = sum over n of dy[n, k]
    """
    expect("dense_backward", x=(x, "N C"), w=(w, "K C"), dy=(dy, "N K"))
    dx = dy @ w
    dw = dy.T @ x
    db = total(dy, 0)
    return dx, dw, db
