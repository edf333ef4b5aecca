"""Cases for gates that differ between the pixels of a map, and for what computes and applies them."""

import numpy as np
from numpy.random import Generator

from npse.gradcheck.cases.case import Case, Draw, distinct, signed
from npse.gradcheck.kinks import margin
from npse.types import Array, Ops, Shape


def scale_pixels_case(label: str, *shape: int, wrt: tuple[str, ...] = ("u", "s")) -> Case:
    """A case for `scale_pixels`."""
    return Case(
        ("scale_pixels", "scale_pixels_backward"), label,
        make=lambda rng: {"u": distinct(rng, *shape), "s": rng.uniform(0.2, 0.9, shape[:3])},
        forward=lambda ops, u, s: ops.scale_pixels(u, s),
        backward=lambda ops, dy, u, s: ops.scale_pixels_backward(dy, u, s), wrt=wrt)


def multiply_case(label: str, *shape: int, wrt: tuple[str, ...] = ("u", "s")) -> Case:
    """A case for `multiply`."""
    return Case(
        ("multiply", "multiply_backward"), label,
        make=lambda rng: {"u": distinct(rng, *shape), "s": rng.uniform(0.2, 0.9, shape)},
        forward=lambda ops, u, s: ops.multiply(u, s),
        backward=lambda ops, dy, u, s: ops.multiply_backward(dy, u, s), wrt=wrt)


def shift_case(label: str, *shape: int, wrt: tuple[str, ...] = ("u", "t")) -> Case:
    """A case for `shift`."""
    return Case(
        ("shift", "shift_backward"), label,
        make=lambda rng: {"u": distinct(rng, *shape), "t": signed(rng, shape[0], shape[3])},
        forward=lambda ops, u, t: ops.shift(u, t),
        backward=lambda ops, dy, u, t: ops.shift_backward(dy), wrt=wrt)


def outer_sum_case(label: str, *shape: int, wrt: tuple[str, ...] = ("a", "p")) -> Case:
    """A case for `outer_sum`."""
    return Case(
        ("outer_sum", "outer_sum_backward"), label,
        make=lambda rng: {"a": distinct(rng, shape[0], shape[3]), "p": signed(rng, *shape[:3])},
        forward=lambda ops, a, p: ops.outer_sum(a, p),
        backward=lambda ops, dy, a, p: ops.outer_sum_backward(dy), wrt=wrt)


def channel_pool_case(label: str, *shape: int, draw: Draw = distinct, wrt: tuple[str, ...] = ("u",)) -> Case:
    """A case for `channel_pool`."""
    return Case(
        ("channel_pool", "channel_pool_backward"), label,
        make=lambda rng: {"u": draw(rng, *shape)},
        forward=lambda ops, u: ops.channel_pool(u),
        backward=lambda ops, dy, u: (ops.channel_pool_backward(dy, u),),
        wrt=wrt, kinks=lambda u: [margin(u)])


def maximum_case(label: str, *shape: int, wrt: tuple[str, ...] = ("a", "b")) -> Case:
    """A case for `maximum`."""
    return Case(
        ("maximum", "maximum_backward"), label,
        make=lambda rng: {"a": distinct(rng, *shape), "b": distinct(rng, *shape)},
        forward=lambda ops, a, b: ops.maximum(a, b),
        backward=lambda ops, dy, a, b: ops.maximum_backward(dy, a, b),
        wrt=wrt, kinks=lambda a, b: [a - b])


def simam_case(label: str, *shape: int, lam: float = 1e-4, wrt: tuple[str, ...] = ("u",)) -> Case:
    """A case for `simam`."""
    return Case(
        ("simam", "simam_backward"), label,
        make=lambda rng: {"u": distinct(rng, *shape) + signed(rng, shape[3])},
        forward=lambda ops, u: ops.simam(u, lam),
        backward=lambda ops, dy, u: (ops.simam_backward(dy, u, lam),), wrt=wrt)


def axis_means_case(label: str, *shape: int, wrt: tuple[str, ...] = ("u",)) -> Case:
    """A case for `axis_means`. `join_rows` makes one array of both results."""
    def backward(ops: Ops, dz: Array, u: Array) -> tuple[Array]:
        return (ops.axis_means_backward(*ops.split_rows(dz, u.shape[1])),)

    return Case(
        ("axis_means", "axis_means_backward"), label, make=lambda rng: {"u": distinct(rng, *shape)},
        forward=lambda ops, u: ops.join_rows(*ops.axis_means(u)), backward=backward, wrt=wrt)


def join_rows_case(label: str, N: int, H: int, W: int, C: int) -> Case:
    """A case for `join_rows`."""
    return Case(
        ("join_rows", "split_rows"), label,
        make=lambda rng: {"zh": distinct(rng, N, H, C), "zw": signed(rng, N, W, C)},
        forward=lambda ops, zh, zw: ops.join_rows(zh, zw),
        backward=lambda ops, dz, zh, zw: ops.split_rows(dz, zh.shape[1]), wrt=("zh", "zw"))


def split_rows_case(label: str, N: int, H: int, W: int, C: int) -> Case:
    """A case for `split_rows`: the parts are joined in the other order."""
    def forward(ops: Ops, z: Array) -> Array:
        zh, zw = ops.split_rows(z, H)
        return ops.join_rows(zw, zh)

    def backward(ops: Ops, dy: Array, z: Array) -> tuple[Array]:
        dzw, dzh = ops.split_rows(dy, W)
        return (ops.join_rows(dzh, dzw),)

    return Case(("split_rows", "join_rows"), label, make=lambda rng: {"z": distinct(rng, N, H + W, 1, C)},
                forward=forward, backward=backward, wrt=("z",))


def scale_axes_case(label: str, *shape: int, wrt: tuple[str, ...] = ("u", "sh", "sw")) -> Case:
    """A case for `scale_axes`."""
    N, H, W, C = shape
    return Case(
        ("scale_axes", "scale_axes_backward"), label,
        make=lambda rng: {"u": distinct(rng, *shape), "sh": rng.uniform(0.2, 0.9, (N, H, C)),
                          "sw": rng.uniform(0.3, 1.2, (N, W, C))},
        forward=lambda ops, u, sh, sw: ops.scale_axes(u, sh, sw),
        backward=lambda ops, dy, u, sh, sw: ops.scale_axes_backward(dy, u, sh, sw), wrt=wrt)


def _with_ties(rng: Generator, *shape: int) -> Array:
    return np.round(distinct(rng, *shape))


SHAPES: tuple[tuple[str, Shape], ...] = (
    ("H < W", (2, 3, 4, 3)),
    ("N = 1, H > W, C = 1", (1, 4, 2, 1)),
    ("1x1 map", (3, 1, 1, 4)),
)
WIDE = ("wide", (3, 7, 5, 37))                    # compares editions, where vectors of channels have a remainder

CASES = (
    *(case(label, *shape)
      for case in (scale_pixels_case, multiply_case, maximum_case, shift_case, outer_sum_case, channel_pool_case,
                   simam_case, axis_means_case, join_rows_case, split_rows_case, scale_axes_case)
      for label, shape in SHAPES),
    *(case(WIDE[0], *WIDE[1], wrt=())
      for case in (scale_pixels_case, multiply_case, maximum_case, shift_case, outer_sum_case, channel_pool_case,
                   simam_case, axis_means_case, scale_axes_case)),
    multiply_case("square, all sizes alike", 3, 3, 3, 3),
    channel_pool_case("ties", 2, 3, 4, 5, draw=_with_ties),
    channel_pool_case("C = 2", 2, 2, 3, 2),
    simam_case("large lam", 2, 2, 4, 3, lam=0.5),
    axis_means_case("square map", 2, 3, 3, 2),
    scale_axes_case("square map", 2, 3, 3, 2),
)
