"""Cases for pooling over windows, and for the maximum of the whole map."""

from typing import Any

import numpy as np
from numpy.random import Generator

from npse.gradcheck.cases.case import Case, Draw, distinct
from npse.gradcheck.kinks import max_margin
from npse.types import Array, Shape


def average_pool_case(label: str, shape: Shape, *window: Any, **options: Any) -> Case:
    """A case for `average_pool`; ``window`` and ``options`` are the arguments after x."""
    return Case(
        ("average_pool", "average_pool_backward"), label,
        make=lambda rng: {"x": distinct(rng, *shape)},
        forward=lambda ops, x: ops.average_pool(x, *window, **options),
        backward=lambda ops, dy, x: (ops.average_pool_backward(dy, x.shape, *window, **options),),
        wrt=("x",))


def max_pool_case(label: str, shape: Shape, size: int, stride: int | None = None, *more: Any,
                  draw: Draw = distinct) -> Case:
    """A case for `max_pool`."""
    return Case(
        ("max_pool", "max_pool_backward"), label,
        make=lambda rng: {"x": draw(rng, *shape)},
        forward=lambda ops, x: ops.max_pool(x, size, stride, *more),
        backward=lambda ops, dy, x: (ops.max_pool_backward(dy, x, size, stride, *more),),
        wrt=("x",), kinks=lambda x: [max_margin(x, size, stride or size, *more)])


def global_max_pool_case(label: str, *shape: int, draw: Draw = distinct) -> Case:
    """A case for `global_max_pool`."""
    return Case(
        ("global_max_pool", "global_max_pool_backward"), label,
        make=lambda rng: {"u": draw(rng, *shape)},
        forward=lambda ops, u: ops.global_max_pool(u),
        backward=lambda ops, dz, u: (ops.global_max_pool_backward(dz, u),),
        wrt=("u",), kinks=lambda u: [u.reshape(len(u), -1, u.shape[3]).argmax(axis=1)])


def _with_ties(rng: Generator, *shape: int) -> Array:
    return np.round(distinct(rng, *shape))


def _negative(rng: Generator, *shape: int) -> Array:
    """All below zero, so that a padding of zeros would win each maximum that it takes part in."""
    return distinct(rng, *shape) - 2.5


POOLS = (
    ("size divides", (2, 4, 6, 3), 2),
    ("stride does not divide", (2, 5, 7, 2), 2),
    ("windows overlap", (2, 5, 6, 2), 3, 2),
    ("stride beyond size", (1, 5, 7, 2), 2, 3),
    ("window = map, N = 1", (1, 3, 3, 2), 3),
    ("size 1", (2, 2, 3, 2), 1),
    ("padding 1", (2, 5, 6, 2), 3, 2, 1),
    ("padding 1, stride 1, C = 1", (1, 4, 3, 1), 3, 1, 1),
    ("padding 2, H < size", (2, 3, 6, 2), 5, 3, 2),
    ("ceil_mode", (2, 6, 8, 2), 3, 2, 0, True),
    ("ceil_mode, padding 1, no window behind the map", (2, 5, 4, 2), 2, 2, 1, True),
    ("ceil_mode, padding 1", (1, 6, 5, 2), 3, 2, 1, True),
)
NOT_COUNTED: dict[str, Any] = {"count_include_pad": False}

CASES = (
    *(average_pool_case(*pool) for pool in POOLS),
    average_pool_case("padding 1, not counted", (2, 5, 6, 2), 3, 2, 1, **NOT_COUNTED),
    average_pool_case("padding 1, stride 1, not counted", (1, 4, 3, 3), 3, 1, 1, **NOT_COUNTED),
    average_pool_case("ceil_mode, padding 1, not counted", (1, 6, 5, 2), 3, 2, 1, True, **NOT_COUNTED),
    *(max_pool_case(*pool) for pool in POOLS),
    max_pool_case("ties", (2, 4, 6, 2), 2, draw=_with_ties),
    max_pool_case("ties, windows overlap", (2, 5, 5, 2), 3, 2, draw=_with_ties),
    max_pool_case("all negative, padding 1", (2, 5, 6, 2), 3, 2, 1, draw=_negative),
    max_pool_case("ties, padding 1, stride 1", (1, 4, 5, 2), 3, 1, 1, draw=_with_ties),
    global_max_pool_case("H < W", 2, 3, 5, 4),
    global_max_pool_case("N = 1, C = 1", 1, 4, 3, 1),
    global_max_pool_case("1x1 map", 3, 1, 1, 2),
    global_max_pool_case("all negative", 2, 4, 3, 3, draw=_negative),
    global_max_pool_case("ties", 2, 3, 4, 2, draw=_with_ties),
)
