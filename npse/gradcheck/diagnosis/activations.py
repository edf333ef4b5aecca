"""Steps of ReLU6, hard swish, SiLU and GELU, each with mistakes that are common in it."""

import math

import numpy as np

from npse.gradcheck.diagnosis.excitations import Slope, curve
from npse.gradcheck.diagnosis.tape import Var
from npse.types import Array

_erf = np.vectorize(math.erf, otypes=[float])


def _sigmoid(x: Array) -> Array:
    return (1 + np.tanh(x / 2)) / 2


def relu6(x: Var, name: str) -> Var:
    """min(max(x, 0), 6)."""
    return curve(x, name, lambda x: np.clip(x, 0, 6), lambda y, x: (y > 0) & (y < 6), f"1 where 0 < {name} < 6", (
        ("mask missing", f"passes where {name} is 6 too", lambda y, x: y > 0),
        ("mask missing", f"passes where {name} is 0 too", lambda y, x: y < 6),
        ("mask missing", "passes everywhere", lambda y, x: 1.0),
        ("relu at zero", "passes at both kinks: the derivative there is 0", lambda y, x: (x >= 0) & (x <= 6)),
        ("mask misplaced", "is masked inversely", lambda y, x: (y <= 0) | (y >= 6)),
        ("factor", "is divided by 6, as in a hard sigmoid", lambda y, x: ((y > 0) & (y < 6)) / 6)))


def hard_swish(x: Var, name: str) -> Var:
    """0, x, and x * (x/6 + 1/2) between."""
    def gate(x: Array) -> Array:
        return np.clip(x / 6 + 0.5, 0, 1)

    def slope(y: Array, x: Array) -> Array:
        return np.where(x <= -3, 0, np.where(x >= 3, 1, middle(x)))

    def middle(x: Array) -> Array:
        return x / 3 + 0.5

    pieces: dict[str, tuple[str, Slope]] = {
        "below -3": ("0", lambda y, x: x <= -3), "above 3": ("1", lambda y, x: x >= 3),
        "between -3 and 3": ("x/3 + 1/2", lambda y, x: np.abs(x) < 3)}
    slopes: dict[str, Slope] = {"0": lambda y, x: 0.0, "1": lambda y, x: 1.0, "x/3 + 1/2": lambda y, x: middle(x)}
    of_another_piece = tuple(
        ("mask misplaced", f"has the slope {other} {where}, where {right} belongs",
         lambda y, x, there=there, wrong=wrong: np.where(there(y, x), wrong(y, x), slope(y, x)))
        for where, (right, there) in pieces.items() for other, wrong in slopes.items() if other != right)

    return curve(x, name, lambda x: x * gate(x), slope, "(x/3 + 1/2) between -3 and 3, 0 below, 1 above", (
        ("path missing", "is dy*hard_sigmoid(x): the gate depends on x too", lambda y, x: gate(x)),
        ("path missing", "is x times the slope of the gate: the factor x depends on x too",
         lambda y, x: x * (np.abs(x) < 3) / 6),
        ("mask missing", "has the slope x/3 + 1/2 of the middle piece everywhere", lambda y, x: middle(x)),
        *of_another_piece,
        ("factor", "has the slope x/6 + 1/2 in place of x/3 + 1/2 in the middle",
         lambda y, x: np.where(np.abs(x) < 3, x / 6 + 0.5, slope(y, x))),
        ("mask misplaced", "has the mask of a ReLU, x > 0", lambda y, x: x > 0),
        ("wrong value", f"takes the output {name} for x", lambda y, x: slope(y, y))))


def silu(x: Var, name: str) -> Var:
    """x * sigmoid(x)."""
    def slope(x: Array) -> Array:
        s = _sigmoid(x)
        return s * (1 + x * (1 - s))

    return curve(x, name, lambda x: x * _sigmoid(x), lambda y, x: slope(x), "s*(1 + x*(1 - s)), s = sigmoid(x)", (
        ("path missing", "is dy*s: the gate s depends on x too", lambda y, x: _sigmoid(x)),
        ("path missing", "is dy*x*s*(1 - s): the factor x depends on x too",
         lambda y, x: x * _sigmoid(x) * (1 - _sigmoid(x))),
        ("sigmoid", "has the derivative of the sigmoid alone, s*(1 - s)",
         lambda y, x: _sigmoid(x) * (1 - _sigmoid(x))),
        ("wrong value", f"takes the output {name} for x", lambda y, x: slope(y)),
        ("sigmoid", "has s*(1 + x*s) in place of s*(1 + x*(1 - s))", lambda y, x: _sigmoid(x) * (1 + x * _sigmoid(x))),
        ("path missing", "lacks the factor s in front", lambda y, x: 1 + x * (1 - _sigmoid(x))),
        ("path missing", "lacks the factor x", lambda y, x: _sigmoid(x) * (2 - _sigmoid(x)))))


def gelu(x: Var, name: str, approximate: bool) -> Var:
    """x * P(x), P the normal distribution or its approximation."""
    exact, formula = (_normal, _by_tanh) if not approximate else (_by_tanh, _normal)
    used, other = ("the exact function", "the formula with tanh") if not approximate else (
        "the formula with tanh", "the exact function")

    def density(x: Array) -> Array:
        return exact(x)[1]

    return curve(x, name, lambda x: x * exact(x)[0], lambda y, x: exact(x)[0] + x * density(x), "(P(x) + x*P'(x))", (
        ("path missing", "is dy*P(x): P depends on x too", lambda y, x: exact(x)[0]),
        ("path missing", "is dy*P(x) of the normal distribution: P depends on x too", lambda y, x: _normal(x)[0]),
        ("path missing", "is dy*x*P'(x): the factor x depends on x too", lambda y, x: x * density(x)),
        ("path missing", "has P'(x) without its factor x", lambda y, x: exact(x)[0] + density(x)),
        ("path missing", "has the normal density without its factor x", lambda y, x: sum(_normal(x))),
        ("wrong value", f"is that of {other}, but {name} is computed by {used}",
         lambda y, x: formula(x)[0] + x * formula(x)[1]),
        ("factor", "has the density divided by sqrt(pi) instead of sqrt(2 pi)",
         lambda y, x: _normal(x)[0] + x * _normal(x)[1] * math.sqrt(2)),
        ("factor", "has the density without 1/sqrt(2 pi)",
         lambda y, x: _normal(x)[0] + x * _normal(x)[1] * math.sqrt(2 * math.pi)),
        ("path missing", "lacks the inner derivative 1 + 3*0.044715*x^2",
         lambda y, x: exact(x)[0] + x * density(x) / (1 + 3 * 0.044715 * x * x)),
        ("wrong value", f"takes the output {name} for x", lambda y, x: exact(y)[0] + y * exact(y)[1])))


def _normal(x: Array) -> tuple[Array, Array]:
    """The normal distribution and its density."""
    return (1 + _erf(x / math.sqrt(2))) / 2, np.exp(x * x / -2) / math.sqrt(2 * math.pi)


def _by_tanh(x: Array) -> tuple[Array, Array]:
    """The approximation of the distribution, and its derivative."""
    t = np.tanh(math.sqrt(2 / math.pi) * (x + 0.044715 * x**3))
    return (1 + t) / 2, (1 - t * t) * math.sqrt(0.5 / math.pi) * (1 + 3 * 0.044715 * x * x)
