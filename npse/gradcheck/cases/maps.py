"""Cases for convolution and the squeeze."""

from npse.gradcheck.cases.case import Case, distinct, signed
from npse.types import Shape


def conv2d_case(label: str, x_shape: Shape, w_shape: Shape, stride: int = 1, padding: int = 0,
                wrt: tuple[str, ...] = ("x", "w")) -> Case:
    """A case for the convolution and both of its gradients."""
    return Case(
        ("conv2d", "conv2d_backward_x", "conv2d_backward_w"), label,
        make=lambda rng: {"x": distinct(rng, *x_shape), "w": signed(rng, *w_shape)},
        forward=lambda ops, x, w: ops.conv2d(x, w, stride, padding),
        backward=lambda ops, dy, x, w: (ops.conv2d_backward_x(dy, w, x.shape, stride, padding),
                                        ops.conv2d_backward_w(dy, x, w.shape, stride, padding)),
        wrt=wrt)


def grouped_conv2d_case(label: str, x_shape: Shape, w_shape: Shape, groups: int, stride: int = 1, padding: int = 0,
                        dilation: int = 1, wrt: tuple[str, ...] = ("x", "w")) -> Case:
    """A case for the convolution with groups and dilation, and both of its gradients."""
    how = groups, stride, padding, dilation
    return Case(
        ("grouped_conv2d", "grouped_conv2d_backward_x", "grouped_conv2d_backward_w"), label,
        make=lambda rng: {"x": distinct(rng, *x_shape), "w": signed(rng, *w_shape)},
        forward=lambda ops, x, w: ops.grouped_conv2d(x, w, *how),
        backward=lambda ops, dy, x, w: (ops.grouped_conv2d_backward_x(dy, w, x.shape, *how),
                                        ops.grouped_conv2d_backward_w(dy, x, w.shape, *how)),
        wrt=wrt)


def add_bias_case(label: str, *shape: int) -> Case:
    """A case for `add_bias`."""
    return Case(
        ("add_bias", "add_bias_backward"), label,
        make=lambda rng: {"y": distinct(rng, *shape), "b": signed(rng, shape[3])},
        forward=lambda ops, y, b: ops.add_bias(y, b),
        backward=lambda ops, dz, y, b: ops.add_bias_backward(dz), wrt=("y", "b"))


def squeeze_case(op: str, label: str, *shape: int) -> Case:
    """A case for `squeeze` or `global_average_pool`, named by ``op``."""
    return Case(
        (op, f"{op}_backward"), label,
        make=lambda rng: {"u": distinct(rng, *shape)},
        forward=lambda ops, u: getattr(ops, op)(u),
        backward=lambda ops, dz, u: (getattr(ops, f"{op}_backward")(dz, u.shape),),
        wrt=("u",))


CASES = (
    conv2d_case("3x3, square map, Cin = Cout", (2, 5, 5, 3), (3, 3, 3, 3), 1, 1),
    conv2d_case("3x3, H < W, Cin < Cout", (2, 4, 6, 2), (3, 3, 2, 3)),
    conv2d_case("3x2, H > W, Cin > Cout, padding 1", (2, 5, 4, 3), (3, 2, 3, 2), 1, 1),
    conv2d_case("3x3, stride 2, padding 1", (2, 6, 6, 2), (3, 3, 2, 4), 2, 1),
    conv2d_case("3x3, stride 2, last row and column unused", (2, 6, 8, 2), (3, 3, 2, 3), 2),
    conv2d_case("2x3, stride 3, padding 2", (2, 6, 5, 2), (2, 3, 2, 3), 3, 2),
    conv2d_case("2x3, stride 2, remainder in width only", (1, 6, 6, 2), (2, 3, 2, 2), 2),
    conv2d_case("1x1 kernel", (2, 3, 4, 3), (1, 1, 3, 2)),
    conv2d_case("1x1 kernel, stride 2", (2, 5, 4, 2), (1, 1, 2, 3), 2),
    conv2d_case("kernel = map", (2, 4, 3, 2), (4, 3, 2, 3)),
    conv2d_case("1x1 map, padding 1", (2, 1, 1, 3), (3, 3, 3, 2), 1, 1),
    conv2d_case("N = 1, Cin = 1, 5x5, padding 2", (1, 6, 5, 1), (5, 5, 1, 2), 1, 2),
    conv2d_case("Cout = 1", (2, 4, 3, 3), (3, 3, 3, 1), 1, 1),
    # Too large for numeric gradients; they compare editions, where tiles of channels and pixels have remainders.
    conv2d_case("wide, 3x3", (3, 13, 11, 19), (3, 3, 19, 35), 1, 1, wrt=()),
    conv2d_case("wide, 3x3, stride 2", (2, 16, 18, 32), (3, 3, 32, 48), 2, 1, wrt=()),
    conv2d_case("wide, 1x1, stride 2", (2, 15, 9, 33), (1, 1, 33, 17), 2, wrt=()),
    grouped_conv2d_case("3x3, 2 groups, H < W, D < Cout/G", (2, 4, 5, 4), (3, 3, 2, 6), 2, 1, 1),
    grouped_conv2d_case("3x2, 2 groups, stride 2, D > Cout/G", (2, 5, 6, 6), (3, 2, 3, 4), 2, 2, 1),
    grouped_conv2d_case("1x1, 3 groups", (2, 3, 4, 6), (1, 1, 2, 9), 3),
    grouped_conv2d_case("depthwise 3x3", (2, 5, 4, 3), (3, 3, 1, 3), 3, 1, 1),
    grouped_conv2d_case("depthwise 3x3, stride 2, remainder", (2, 6, 8, 3), (3, 3, 1, 3), 3, 2),
    grouped_conv2d_case("depthwise, two filters a channel", (2, 4, 3, 3), (3, 3, 1, 6), 3, 1, 1),
    grouped_conv2d_case("depthwise 5x5, N = 1, one channel", (1, 6, 5, 1), (5, 5, 1, 1), 1, 1, 2),
    grouped_conv2d_case("3x3, dilation 2", (2, 6, 7, 2), (3, 3, 2, 3), 1, 1, 2, 2),
    grouped_conv2d_case("2x3, dilation 3, stride 2, no padding", (2, 8, 9, 2), (2, 3, 2, 2), 1, 2, 0, 3),
    grouped_conv2d_case("2 groups, dilation 2, stride 2", (2, 7, 6, 4), (3, 3, 2, 2), 2, 2, 2, 2),
    # Too large for numeric gradients; they compare editions, where tiles of channels and pixels have remainders.
    grouped_conv2d_case("wide, depthwise 3x3", (3, 13, 11, 35), (3, 3, 1, 35), 35, 1, 1, wrt=()),
    grouped_conv2d_case("wide, depthwise 3x3, stride 2", (2, 16, 18, 48), (3, 3, 1, 48), 48, 2, 1, wrt=()),
    grouped_conv2d_case("wide, groups of 4", (2, 13, 11, 32), (3, 3, 4, 32), 8, 1, 1, wrt=()),
    grouped_conv2d_case("wide, groups of 16", (2, 9, 10, 48), (3, 3, 16, 48), 3, 2, 1, wrt=()),
    grouped_conv2d_case("wide, dilation 4", (2, 14, 12, 19), (3, 3, 19, 33), 1, 1, 4, 4, wrt=()),
    *(add_bias_case(label, *shape)
      for label, *shape in (("H < W", 2, 3, 5, 4), ("N = 1, C = 1", 1, 4, 3, 1), ("1x1 map", 3, 1, 1, 2))),
    *(squeeze_case(op, label, *shape)
      for op in ("squeeze", "global_average_pool")
      for label, *shape in (("H < W", 2, 3, 5, 4), ("N = 1, C = 1", 1, 4, 3, 1), ("1x1 map", 3, 1, 1, 2))),
)
