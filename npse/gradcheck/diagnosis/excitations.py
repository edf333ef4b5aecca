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


def along_channels(z: Var, w: Var, circular: bool, name: str) -> Var:
    """The correlation of each row of z (N, C) with the weights w (K,)."""
    (N, C), (K,) = z.shape, w.shape
    p = K // 2

    def shifted(z: Array, k: int, circle: bool) -> Array:
        """z[n, c + k - p]; beyond the ends zeros, or the other end."""
        padded = np.pad(z, ((0, 0), (p, p)), mode="wrap" if circle else "constant")
        return padded[:, k:k + C]

    def correlate(z: Array, w: Array, circle: bool = circular) -> Array:
        return sum(w[k] * shifted(z, k, circle) for k in range(K)) + 0 * z

    def of_weights(da: Array, z: Array, circle: bool = circular) -> Array:
        return np.array([(da * shifted(z, k, circle)).sum() for k in range(K)])

    def faults(step: Step) -> Iterator[Hypothesis]:
        dz, dw = f"d{z.name}", f"d{w.name}"
        mirrored = f"{dz} = the correlation of d{name} with the weights mirrored."
        if K > 1:
            yield Hypothesis("flipped kernel", f"{dz} is the correlation of d{name} with {w.name} that is not mirrored",
                             {(step, 0): lambda da, a, z, w: correlate(da, w)}, advice=mirrored)
            yield Hypothesis("flipped kernel", f"{dw} is mirrored: the last weight comes first",
                             {(step, 1): lambda da, a, z, w: of_weights(da, z)[::-1]})
            yield Hypothesis("borders", f"{dz} treats the ends as {'zeros' if circular else 'a circle'}",
                             {(step, 0): lambda da, a, z, w: correlate(da, w[::-1], not circular)}, advice=mirrored)
            yield Hypothesis("borders", f"{dw} treats the ends as {'zeros' if circular else 'a circle'}",
                             {(step, 1): lambda da, a, z, w: of_weights(da, z, not circular)})
        for size, letters in ((N, "N"), (C, "C"), (N * C, "N*C")):
            if size > 1:
                yield Hypothesis("averaged", f"{dw} is averaged over {letters} = {size}, where a sum belongs",
                                 {(step, 1): lambda da, a, z, w, size=size: of_weights(da, z) / size},
                                 advice=f"{dw}[k] = the sum over N and C of d{name} * {z.name}, shifted by k - p.")
    return z.tape.step(correlate, [z, w], [lambda da, a, z, w: correlate(da, w[::-1]),
                                           lambda da, a, z, w: of_weights(da, z)], name, axes=z.axes, faults=faults)


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
