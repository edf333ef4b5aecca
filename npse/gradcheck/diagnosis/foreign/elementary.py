"""Elementwise functions of NumPy with their derivatives, and with wrong ones that are common.

In the words {x} stands for the name of the input and {y} for that of the output.
"""

import math
from collections.abc import Callable
from typing import Any, TypeAlias

import numpy as np

from npse.gradcheck.diagnosis.foreign.steps import Slope
from npse.types import Array

Unary: TypeAlias = tuple[Callable[[Array], Array], Slope, str, tuple[tuple[str, Slope], ...]]
"""The function, its derivative, the derivative in words, and wrong derivatives in words and values."""

Binary: TypeAlias = tuple[tuple[Callable[..., Any], Callable[..., Any]], tuple[str, str]]
"""The derivatives for both inputs, of the output and both inputs, and both in words."""

_erf = np.vectorize(math.erf, otypes=[float])

UNARY: dict[str, Unary] = {
    "negative": (np.negative, lambda y, x: -1.0, "-1", ()),
    "positive": (np.positive, lambda y, x: 1.0, "1", ()),
    "exp": (np.exp, lambda y, x: y, "{y}", ()),
    "exp2": (np.exp2, lambda y, x: y * math.log(2), "{y}*log(2)", (("{y}", lambda y, x: y),)),
    "expm1": (np.expm1, lambda y, x: y + 1, "{y} + 1", (("{y}", lambda y, x: y),)),
    "log": (np.log, lambda y, x: 1 / x, "1/{x}", ()),
    "log2": (np.log2, lambda y, x: 1 / (x * math.log(2)), "1/({x}*log(2))", (("1/{x}", lambda y, x: 1 / x),)),
    "log10": (np.log10, lambda y, x: 1 / (x * math.log(10)), "1/({x}*log(10))", (("1/{x}", lambda y, x: 1 / x),)),
    "log1p": (np.log1p, lambda y, x: 1 / (1 + x), "1/(1 + {x})", (("1/{x}", lambda y, x: 1 / x),)),
    "sqrt": (np.sqrt, lambda y, x: 0.5 / y, "1/(2*{y})", (
        ("1/{y}", lambda y, x: 1 / y), ("1/2", lambda y, x: 0.5), ("1/(2*{x})", lambda y, x: 0.5 / x),
        ("{y}/2", lambda y, x: y / 2))),
    "cbrt": (np.cbrt, lambda y, x: 1 / (3 * y * y), "1/(3*{y}^2)", ()),
    "tanh": (np.tanh, lambda y, x: 1 - y * y, "1 - {y}^2", (
        ("1 - {y}", lambda y, x: 1 - y), ("1 - {x}^2", lambda y, x: 1 - x * x), ("1 + {y}^2", lambda y, x: 1 + y * y),
        ("{y}*(1 - {y})", lambda y, x: y * (1 - y)), ("1 - tanh({y})^2", lambda y, x: 1 - np.tanh(y) ** 2))),
    "sinh": (np.sinh, lambda y, x: np.cosh(x), "cosh({x})", ()),
    "cosh": (np.cosh, lambda y, x: np.sinh(x), "sinh({x})", ()),
    "sin": (np.sin, lambda y, x: np.cos(x), "cos({x})", (("sin({x})", lambda y, x: y),)),
    "cos": (np.cos, lambda y, x: -np.sin(x), "-sin({x})", (("cos({x})", lambda y, x: y),)),
    "tan": (np.tan, lambda y, x: 1 + y * y, "1 + {y}^2", (("1 - {y}^2", lambda y, x: 1 - y * y),)),
    "arctan": (np.arctan, lambda y, x: 1 / (1 + x * x), "1/(1 + {x}^2)", (("1/(1 + {x})", lambda y, x: 1 / (1 + x)),)),
    "arcsin": (np.arcsin, lambda y, x: 1 / np.sqrt(1 - x * x), "1/sqrt(1 - {x}^2)", ()),
    "arccos": (np.arccos, lambda y, x: -1 / np.sqrt(1 - x * x), "-1/sqrt(1 - {x}^2)", ()),
    "arctanh": (np.arctanh, lambda y, x: 1 / (1 - x * x), "1/(1 - {x}^2)", ()),
    "arcsinh": (np.arcsinh, lambda y, x: 1 / np.sqrt(1 + x * x), "1/sqrt(1 + {x}^2)", ()),
    "absolute": (np.abs, lambda y, x: np.sign(x), "sign({x})", (
        ("{x}", lambda y, x: x), ("{y}", lambda y, x: y), ("{x} > 0", lambda y, x: x > 0))),
    "fabs": (np.abs, lambda y, x: np.sign(x), "sign({x})", ()),
    "reciprocal": (lambda x: 1 / x, lambda y, x: -y * y, "-1/{x}^2", (
        ("-1/{x}", lambda y, x: -y), ("1/{x}", lambda y, x: y))),
    "erf": (_erf, lambda y, x: 2 / math.sqrt(math.pi) * np.exp(-x * x), "2/sqrt(pi)*exp(-{x}^2)", (
        ("exp(-{x}^2)", lambda y, x: np.exp(-x * x)),
        ("the density of the normal distribution", lambda y, x: np.exp(-x * x / 2) / math.sqrt(2 * math.pi)))),
}

BINARY: dict[str, Binary] = {
    "power": ((lambda y, a, b: b * a ** (b - 1), lambda y, a, b: y * np.log(a)),
              ("{b}*{a}^({b} - 1)", "{y}*log({a})")),
    "float_power": ((lambda y, a, b: b * a ** (b - 1), lambda y, a, b: y * np.log(a)),
                    ("{b}*{a}^({b} - 1)", "{y}*log({a})")),
    "logaddexp": ((lambda y, a, b: np.exp(a - y), lambda y, a, b: np.exp(b - y)), ("exp({a} - {y})", "exp({b} - {y})")),
    "arctan2": ((lambda y, a, b: b / (a * a + b * b), lambda y, a, b: -a / (a * a + b * b)),
                ("{b}/({a}^2 + {b}^2)", "-{a}/({a}^2 + {b}^2)")),
    "hypot": ((lambda y, a, b: a / y, lambda y, a, b: b / y), ("{a}/{y}", "{b}/{y}")),
}
