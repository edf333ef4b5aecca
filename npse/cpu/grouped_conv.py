"""Convolution with groups and dilation: the kernels that compute it, and the rule that chooses one.

    conv.py                  without groups and dilation: the variants of `conv2d`
    conv_kernels/lanes.py    1 to 8 channels of x and as many of y in a group: a vector holds several groups
    conv_kernels/direct.py   more channels, or dilation: the tile of `conv2d`, with the channels of one group
    conv_kernels/loops.py    the loops of the formula: all else

Letters: as in the book.
"""

from npse import reference as book
from npse.cpu import conv
from npse.cpu.conv_kernels import direct
from npse.cpu.conv_kernels import lanes as in_lanes
from npse.cpu.runtime.arrays import replaces
from npse.cpu.simd.tile import lanes
from npse.editions.convolution import Geometry


def chosen(g, channels, dtype):
    """Return the variant for a result of ``channels`` channels: forward, backward_x, backward_w of a `Geometry`."""
    if g.groups == g.dilation == 1:
        return conv.chosen(g, channels, dtype)
    if in_lanes.fits(g, dtype):
        return in_lanes
    if lanes(dtype) and direct.fits(g):
        return conv.VARIANTS.variants["sliding" if g.stride == 1 and 1 < g.kw <= 7 else "tile"]
    return conv.VARIANTS.variants["loops"]


@replaces(book.grouped_conv2d, recordable=True)
def grouped_conv2d(x, w, groups=1, stride=1, padding=0, dilation=1):
    g = Geometry.of(x.shape, w.shape, stride, padding, groups, dilation)
    return chosen(g, g.Cout, x.dtype).forward(x, w, g)


@replaces(book.grouped_conv2d_backward_x, recordable=True)
def grouped_conv2d_backward_x(dy, w, x_shape, groups=1, stride=1, padding=0, dilation=1):
    g = Geometry.of(x_shape, w.shape, stride, padding, groups, dilation)
    return chosen(g, g.Cin, w.dtype).backward_x(dy, w, g)


@replaces(book.grouped_conv2d_backward_w)
def grouped_conv2d_backward_w(dy, x, w_shape, groups=1, stride=1, padding=0, dilation=1):
    g = Geometry.of(x.shape, w_shape, stride, padding, groups, dilation)
    return chosen(g, g.Cout, x.dtype).backward_w(dy, x, g)
