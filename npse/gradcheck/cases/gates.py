"""Cases for the squeeze-and-excitation block and its parts."""

import numpy as np
from numpy.random import Generator

from npse.gradcheck.cases.case import Case, distinct, signed
from npse.types import Arguments, Array, Ops, Shape

BOTH, NONE, ZERO = "biases", "no biases", "biases left out are zero"


def _weights(rng: Generator, C: int, M: int, biases: str) -> Arguments:
    weights = {"w1": signed(rng, M, C) / C, "w2": signed(rng, C, M) / M}      # small, so that no gate saturates
    if biases == BOTH:
        weights |= {"b1": signed(rng, M) / 2, "b2": signed(rng, C) / 2}
    if biases == ZERO:
        weights |= {"b1": np.zeros(M), "b2": np.zeros(C)}
    return weights


def _hidden(z: Array, w1: Array, b1: Array | float) -> Array:
    return z @ w1.T + b1


def _without(biases: str, b1: Array | None, b2: Array | None) -> tuple[Array | None, Array | None]:
    """The biases for a backward pass: None instead of zeros, so that it is checked without biases."""
    return (None, None) if biases == ZERO else (b1, b2)


def excite_case(label: str, N: int, C: int, M: int, biases: str) -> Case:
    """A case for `excite`."""
    wrt = ("z", "w1", "w2") if biases == NONE else ("z", "w1", "w2", "b1", "b2")

    def backward(ops: Ops, ds: Array, z: Array, w1: Array, w2: Array, b1: Array | None = None,
                 b2: Array | None = None) -> tuple[Array, ...]:
        b1, b2 = _without(biases, b1, b2)
        s = ops.excite(z, w1, w2, b1, b2)
        return ops.excite_backward(ds, z, s, w1, w2, b1)[:len(wrt)]

    return Case(
        ("excite", "excite_backward"), f"{label}, {biases}",
        make=lambda rng: {"z": distinct(rng, N, C), **_weights(rng, C, M, biases)},
        forward=lambda ops, z, w1, w2, b1=None, b2=None: ops.excite(z, w1, w2, b1, b2),
        backward=backward, wrt=wrt,
        kinks=lambda z, w1, w2, b1=0.0, b2=0.0: [_hidden(z, w1, b1)])


def se_case(label: str, shape: Shape, M: int, biases: str, backward_op: str = "se_backward") -> Case:
    """A case for `se`."""
    wrt = ("u", "w1", "w2") if biases == NONE else ("u", "w1", "w2", "b1", "b2")
    C = shape[-1]

    def backward(ops: Ops, dy: Array, u: Array, w1: Array, w2: Array, b1: Array | None = None,
                 b2: Array | None = None) -> tuple[Array, ...]:
        return getattr(ops, backward_op)(dy, u, w1, w2, *_without(biases, b1, b2))[:len(wrt)]

    return Case(
        ("se", backward_op) if backward_op == "se_backward" else (backward_op,), f"{label}, {biases}",
        make=lambda rng: {"u": distinct(rng, *shape) + 0.5 * signed(rng, shape[0], 1, 1, C),
                          **_weights(rng, C, M, biases)},
        forward=lambda ops, u, w1, w2, b1=None, b2=None: ops.se(u, w1, w2, b1, b2),
        backward=backward, wrt=wrt,
        kinks=lambda u, w1, w2, b1=0.0, b2=0.0: [_hidden(u.mean(axis=(1, 2)), w1, b1)])


def scale_case(label: str, N: int, H: int, W: int, C: int, wrt: tuple[str, ...] = ("u", "s")) -> Case:
    """A case for `scale`."""
    return Case(
        ("scale", "scale_backward"), label,
        make=lambda rng: {"u": distinct(rng, N, H, W, C), "s": rng.uniform(0.1, 0.9, (N, C))},
        forward=lambda ops, u, s: ops.scale(u, s),
        backward=lambda ops, dy, u, s: ops.scale_backward(dy, u, s),
        wrt=wrt)


CASES = (
    *(excite_case(label, N, C, M, biases)
      for label, N, C, M in (("C > M", 3, 6, 2), ("C/r = 1", 4, 3, 1), ("N = 1, C = M", 1, 4, 4), ("C = 1", 3, 1, 2))
      for biases in (BOTH, NONE)),
    excite_case("C > M", 3, 4, 2, ZERO),
    scale_case("H < W", 2, 3, 4, 5),
    scale_case("H > W, N = 1, C = 1", 1, 4, 2, 1),
    scale_case("1x1 map", 3, 1, 1, 2),
    scale_case("259 pixels", 1, 7, 37, 1),
    scale_case("wide", 3, 9, 7, 37, wrt=()),
    *(se_case(label, shape, M, biases, backward_op)
      for backward_op in ("se_backward", "se_backward_staged")
      for label, shape, M, biases in (
          ("H < W", (2, 3, 4, 4), 2, BOTH),
          ("H > W, N = 1", (1, 4, 3, 4), 2, NONE),
          ("C/r = 1", (3, 2, 3, 3), 1, BOTH),
          ("C/r = 1", (3, 2, 3, 3), 1, NONE),
          ("1x1 map", (3, 1, 1, 4), 4, BOTH),
          ("C = 1", (3, 3, 2, 1), 2, NONE),
          ("H < W", (2, 2, 3, 4), 3, ZERO))),
)
