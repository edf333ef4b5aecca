"""What the tests of the convolution on the device share: the geometry of some sizes, and all three passes."""

from npse.editions.convolution import Geometry


def geometry(N, H, W, Cin, kh, kw, Cout, stride, padding):
    """Return the geometry of a convolution of maps (N, H, W, Cin) with filters (kh, kw, Cin, Cout)."""
    return Geometry.of((N, H, W, Cin), (kh, kw, Cin, Cout), stride, padding)


def passes(ops, x, w, dy, g):
    """Return y, dx and dw of an edition or of a variant, as NumPy arrays."""
    from npse.cuda import to_host  # not where numba-cuda is missing

    step = g.stride, g.padding
    return tuple(map(to_host, (ops.conv2d(x, w, *step), ops.conv2d_backward_x(dy, w, g.x_shape, *step),
                               ops.conv2d_backward_w(dy, x, g.w_shape, *step))))
