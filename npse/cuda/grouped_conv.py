"""Convolution with groups and dilation: without both by the variants of `conv2d`. Letters: as in the book."""

from npse import reference as book
from npse.cuda import conv
from npse.cuda.conv_kernels import grouped
from npse.cuda.runtime.arrays import replaces
from npse.editions.convolution import Geometry


def chosen(g, dtype):
    """Return the variant for a `Geometry`: an object with ``forward``, ``backward_x`` and ``backward_w``."""
    return conv.chosen(g, g.Cout, dtype) if g.groups == g.dilation == 1 else grouped


@replaces(book.grouped_conv2d)
def grouped_conv2d(x, w, groups=1, stride=1, padding=0, dilation=1):
    g = Geometry.of(x.shape, w.shape, stride, padding, groups, dilation)
    return chosen(g, x.dtype).forward(x, w, g)


@replaces(book.grouped_conv2d_backward_x)
def grouped_conv2d_backward_x(dy, w, x_shape, groups=1, stride=1, padding=0, dilation=1):
    g = Geometry.of(x_shape, w.shape, stride, padding, groups, dilation)
    return chosen(g, dy.dtype).backward_x(dy, w, g)


@replaces(book.grouped_conv2d_backward_w)
def grouped_conv2d_backward_w(dy, x, w_shape, groups=1, stride=1, padding=0, dilation=1):
    g = Geometry.of(x.shape, w_shape, stride, padding, groups, dilation)
    return chosen(g, dy.dtype).backward_w(dy, x, g)
