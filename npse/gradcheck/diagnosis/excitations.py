"""Steps of the gates, and of structures in place of the two dense layers, each with mistakes that are common in it."""

from collections.abc import Callable, Iterator
from typing import TypeAlias

import numpy as np

from npse.gradcheck.diagnosis.tape import Hypothesis, Step, Var
from npse.types import Array

Slope: TypeAlias = Callable[[Array, Array], Array | float]
"""A derivative as a function of the output and the input."""


def curve(x: Var, name: str, run: Callable[[Array], Array], slope: Slope, formula: str,
          wrong: tuple[tuple[str, str, Slope], ...]) -> Var:
    """An elementwise function with its derivative; ``wrong`` has kind, text and value of other derivatives."""
    def faults(step: Step) -> Iterator[Hypothesis]:
        for kind, text, other in wrong:
            yield Hypothesis(kind, f"d{x.name} {text}",
                             {(step, 0): lambda dy, y, x, other=other: dy * other(y, x)},
                             advice=f"d{x.name} = d{name} * {formula}.")
    return x.tape.step(run, [x], [lambda dy, y, x: dy * slope(y, x)], name, axes=x.axes, faults=faults)


_AS_SIGMOID: tuple[str, str, Slope] = (
    "sigmoid", "has the derivative of the sigmoid, y*(1 - y)", lambda y, x: y * (1 - y))


def tanh(x: Var, name: str) -> Var:
    """The hyperbolic tangent."""
    return curve(x, name, np.tanh, lambda y, x: 1 - y * y, "(1 - y^2)", (
        _AS_SIGMOID, ("sigmoid", "has the factor 1 - y in place of 1 - y^2", lambda y, x: 1 - y),
        ("sigmoid", "takes the derivative at the input: 1 - x^2", lambda y, x: 1 - x * x)))


def twice_sigmoid(x: Var, name: str) -> Var:
    """2 / (1 + exp(-x))."""
    return curve(x, name, lambda x: 1 + np.tanh(x / 2), lambda y, x: y * (1 - y / 2), "y*(1 - y/2)", (
        _AS_SIGMOID, ("sigmoid", "has the derivative of the sigmoid without its factor 2",
                      lambda y, x: y / 2 * (1 - y / 2))))


def one_plus_tanh(x: Var, name: str) -> Var:
    """1 + tanh(x)."""
    return curve(x, name, lambda x: 1 + np.tanh(x), lambda y, x: y * (2 - y), "y*(2 - y)", (
        _AS_SIGMOID, ("sigmoid", "has the derivative of tanh, 1 - y^2, where y is 1 + tanh", lambda y, x: 1 - y * y),
        ("sigmoid", "has the derivative of twice the sigmoid, y*(1 - y/2)", lambda y, x: y * (1 - y / 2)),
        ("sigmoid", "lacks the factor 2 - y", lambda y, x: y), ("sigmoid", "lacks the factor y", lambda y, x: 2 - y)))


def hard_sigmoid(x: Var, name: str) -> Var:
    """0, 1, and x/6 + 1/2 between."""
    return curve(x, name, lambda x: np.clip(x / 6 + 0.5, 0, 1), lambda y, x: ((y > 0) & (y < 1)) / 6,
                 "1/6 where 0 < y < 1", (
        ("mask missing", "passes where the gate is 0 or 1 too", lambda y, x: 1 / 6),
        ("mask misplaced", "passes where the gate is 1", lambda y, x: (y > 0) / 6),
        ("mask misplaced", "passes where the gate is 0", lambda y, x: (y < 1) / 6),
        ("factor", "has the slope 1 in place of 1/6", lambda y, x: (y > 0) & (y < 1)), _AS_SIGMOID))


def gaussian(x: Var, name: str, width: float) -> Var:
    """exp(-x^2 / (2 width^2))."""
    return curve(x, name, lambda x: np.exp(-x * x / (2 * width**2)), lambda y, x: -y * x / width**2, "(-y*x/width^2)", (
        ("path missing", "lacks the inner derivative x", lambda y, x: -y / width**2),
        ("path missing", "lacks the factor y", lambda y, x: -x / width**2),
        ("factor", "is divided by the width, not by its square", lambda y, x: -y * x / width)))


def grouped_dense(z: Var, w: Var, name: str) -> Var:
    """A matrix product for each group: z (N, G, D), w (G, M, D) -> (N, G, M)."""
    N, G, D = z.shape
    M = w.shape[1]

    def of_input(da: Array, w: Array) -> Array:
        return np.einsum("ngm,gmd->ngd", da, w)

    def of_weights(da: Array, z: Array) -> Array:
        return np.einsum("ngm,ngd->gmd", da, z)

    def faults(step: Step) -> Iterator[Hypothesis]:
        dz, dw = f"d{z.name}", f"d{w.name}"
        advice = f"{dw} = the sum over N of d{name} times {z.name}, for each group."
        yield Hypothesis("averaged", f"{dw} is averaged over N = {N}, where a sum belongs",
                         {(step, 1): lambda da, a, z, w: of_weights(da, z) / N}, advice=advice)
        for shift in range(1, G):
            yield Hypothesis("channels swapped", f"{dz} of a group uses {w.name} of another group",
                             {(step, 0): lambda da, a, z, w, shift=shift: of_input(da, np.roll(w, shift, axis=0))})
        if M == D:
            yield Hypothesis("transposed", f"{dz} uses {w.name} transposed",
                             {(step, 0): lambda da, a, z, w: of_input(da, w.swapaxes(1, 2))})
            yield Hypothesis("transposed", f"{dw} is transposed",
                             {(step, 1): lambda da, a, z, w: of_weights(da, z).swapaxes(1, 2)}, advice=advice)
    return z.tape.step(lambda z, w: np.einsum("ngd,gmd->ngm", z, w), [z, w],
                       [lambda da, a, z, w: of_input(da, w), lambda da, a, z, w: of_weights(da, z)], name,
                       axes=(*z.axes[:2], w.axes[1]), faults=faults)
