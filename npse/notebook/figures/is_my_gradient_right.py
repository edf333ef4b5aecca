"""Pictures of page 5: the error of a difference against its step, the slopes on both sides of a kink."""

from collections.abc import Callable

import numpy as np
from matplotlib.figure import Figure

from npse.notebook.picture import picture, subplots
from npse.support.style import BLUE, GREEN, GREY, INK, ORANGE, PURPLE
from npse.types import Array

# For each function: the function, and at the point 2 its slope, its second derivative, and its third.
CURVES: dict[str, tuple[Callable[[Array], Array], float, float, float]] = {
    "x³": (lambda x: x**3, 12.0, 12.0, 6.0),
    "sigmoid": (lambda x: 1 / (1 + np.exp(-x)), 0.10499358540350662, -0.0799625, 0.0388522),
    "10 x": (lambda x: 10 * x, 10.0, 0.0, 0.0),
    "x³ + 10000": (lambda x: x**3 + 10000, 12.0, 12.0, 6.0),
}


@picture("Relative error of a measured slope against the step, both logarithmic: a V. Its left side is the "
         "rounding error, its right side the truncation error.")
def v_curve(function: str, precision: str, one_sided: bool = False) -> Figure:
    """Draw the relative error of a measured slope at x = 2 against the step, and the two errors as theory has them."""
    f, slope, second, third = CURVES[function]
    kind = np.dtype(precision).type
    steps, x = np.logspace(-12, 0, 97).astype(kind), kind(2)
    there = x if one_sided else x - steps
    measured = (f(x + steps) - f(there)).astype(float) / (steps if one_sided else 2 * steps)
    error = np.abs(measured - slope) / slope
    figure, ax = subplots(1, 1, 3.6, width=6.5)
    ax.loglog(steps, np.maximum(error, 1e-16), ".", color=INK, label="measured")
    rounding = np.finfo(kind).eps * (abs(float(f(x))) + 2 * slope) / (2 * steps) / slope      # of f, and of x + h
    ax.loglog(steps, rounding, color=ORANGE, linestyle="--", label="rounding, like 1/h")
    truncation = np.abs(second) / 2 * steps if one_sided else np.abs(third) / 6 * steps.astype(float) ** 2
    truncation, name = truncation / slope, "truncation, like h" if one_sided else "truncation, like h²"
    if truncation.any():
        ax.loglog(steps, truncation, color=BLUE, label=name)
    ax.set(xlabel="step h", ylabel="relative error", ylim=(1e-16, 1e3), xlim=(1e-12, 1),
           title=f"slope of {function} at x = 2, in {precision}, {'one-sided' if one_sided else 'central'} difference")
    ax.legend(loc="lower left")
    ax.grid()
    return figure


@picture("Slope on the right minus slope on the left, against the step: 1 at a kink; near a kink it drops to 0; on "
         "a smooth curve it falls with the step.")
def slopes_on_either_side() -> Figure:
    """Draw by how much the slopes on either side differ: ReLU at its kink, ReLU near its kink, a smooth function."""
    steps = np.logspace(-5, 0, 101)
    figure, ax = subplots(1, 1, 3.2, width=6.5)
    curves = ((lambda x: np.maximum(x, 0), 0.0, "ReLU at x = 0: a kink", ORANGE, "-"),
              (lambda x: np.maximum(x, 0), 0.01, "ReLU at x = 0.01: near a kink", PURPLE, "--"),
              (lambda x: x**2 / 2, 0.3, "x²/2, smooth", GREEN, "-."))
    for f, x, name, colour, line in curves:
        right, left = (f(x + steps) - f(x)) / steps, (f(x) - f(x - steps)) / steps
        ax.semilogx(steps, right - left, color=colour, linestyle=line, label=name)
    ax.set(xlabel="step h", ylabel="right slope - left slope", ylim=(-0.05, 1.15))
    ax.legend(loc="center left")
    ax.grid()
    return figure


@picture("The curve of the largest of x and 3, with its kink at 3, and a line through two points: its slope is "
         "neither 0 nor 1.")
def kink(at: float, h: float) -> Figure:
    """Draw max(x, 3) with the line through the points at ``at`` - h and ``at`` + h."""
    figure, ax = subplots(1, 1, 2.8, width=5.5)
    x = np.linspace(1, 5, 201)
    ax.plot(x, np.maximum(x, 3), color=INK, label="max(x, 3)")
    two = np.array([at - h, at + h])
    low, high = np.maximum(two, 3)
    slope = (high - low) / (2 * h)
    ax.plot(x, low + slope * (x - two[0]), color=GREY, linestyle="--")
    ax.plot(two, [low, high], "o", color=ORANGE, label=f"measured slope {slope:.3f}")
    ax.set(xlabel="x", ylabel="max(x, 3)", ylim=(2, 5))
    ax.legend(loc="upper left")
    ax.grid()
    return figure


@picture("How many of 350 planted bugs each design of a gradient check catches, as bars.")
def designs(rows: list[tuple[str, int]], total: int) -> Figure:
    """Draw a bar for each design of checker: the planted bugs that it catches."""
    figure, ax = subplots(1, 1, 2.4, width=6.5)
    names, caught = zip(*reversed(rows), strict=True)
    ax.barh(names, caught, color=BLUE)
    ax.barh(names, [total - number for number in caught], left=caught, color="white", edgecolor=GREY, hatch="///",
            linewidth=0.5)
    for place, number in enumerate(caught):
        ax.text(number - 5, place, f"{number}", ha="right", va="center", color="white")
    ax.set(xlabel=f"planted bugs that are caught, of {total}; hatched: missed", xlim=(0, total))
    return figure
