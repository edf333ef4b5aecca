"""The dense layer on the device, by the kernels of a 1x1 convolution on maps of one pixel. Letters: as in the book."""

from npse import reference as book
from npse.cuda.conv_kernels import register, register_dw
from npse.cuda.runtime.arrays import replaces
from npse.cuda.runtime.partial_sums import add_rows
from npse.editions.convolution import Geometry


@replaces(book.dense)
def dense(x, w, b=None):
    # x w^T is the input gradient of a 1x1 convolution with the filters w and the upstream gradient x
    g = _geometry(*x.shape, w.shape[0])
    dx = register.backward_x(_maps(x), _filters(w), g, None if b is None else _maps(b))
    return dx.reshape(x.shape[0], w.shape[0])


@replaces(book.dense_backward)
def dense_backward(dy, x, w):
    dw = register_dw.backward_w(_maps(x), _maps(dy), _geometry(*x.shape, w.shape[0]))
    return times(dy, w), dw.reshape(w.shape), add_rows(dy)


def times(dy, w):
    """Return the matrix product dy w (N, C) of dy (N, K) and w (K, C)."""
    N, (K, C) = dy.shape[0], w.shape
    return register.forward(_maps(dy), _filters(w), _geometry(N, C, K)).reshape(N, C)


def _geometry(N, C, K):
    """Return the geometry of the 1x1 convolution from K to C channels, on N maps of one pixel."""
    return Geometry(N, 1, 1, Cin=K, kh=1, kw=1, Cout=C, stride=1, padding=0, Ho=1, Wo=1)


def _maps(rows):
    C = rows.shape[rows.ndim - 1]
    return rows.reshape(rows.size // C, 1, 1, C)


def _filters(w):
    return w.reshape(1, 1, *w.shape)
