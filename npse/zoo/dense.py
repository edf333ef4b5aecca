"""The dense layer: transposed factors and sums."""

from npse import reference as book
from npse.zoo.bug import bug


@bug("dense_backward", "transposed", "channels swapped", "raises")
def dense_does_not_transpose(dy, x, w):
    """dx = dy w^T: the weights are transposed once too often."""
    return dy @ w.T, *book.dense_backward(dy, x, w)[1:]


@bug("dense_backward", "transposed", "shape")
def dense_transposes_dw(dy, x, w):
    """dw = x^T dy, which is the transpose of the gradient of w."""
    dx, dw, db = book.dense_backward(dy, x, w)
    return dx, dw.T.copy(), db


@bug("dense_backward", "averaged", "factor")
def dense_averages_the_weights(dy, x, w):
    """dw is divided by N, although the loss is already a mean."""
    dx, dw, db = book.dense_backward(dy, x, w)
    return dx, dw / len(x), db


@bug("dense_backward", "not summed", "shape")
def dense_does_not_sum_the_bias(dy, x, w):
    """db is dy itself, one row for each image."""
    return *book.dense_backward(dy, x, w)[:2], dy.copy()


@bug("dense_backward", "zero")
def dense_forgets_the_bias(dy, x, w):
    """db is never computed and stays an array of zeros."""
    dx, dw, db = book.dense_backward(dy, x, w)
    return dx, dw, 0 * db


@bug("dense_backward", "upstream ignored")
def dense_ignores_the_upstream_gradient(dy, x, w):
    """dx is the sum of the weights: the gradient of y instead of the loss."""
    one = dy - dy + 1
    return one @ w, *book.dense_backward(dy, x, w)[1:]


@bug("dense_backward", "sign")
def dense_descends_already(dy, x, w):
    """dw has the minus sign of the descent step."""
    dx, dw, db = book.dense_backward(dy, x, w)
    return dx, -dw, db
