"""Numeric gradients: central differences everywhere, and the complex step where a function is analytic.

    L(x) = sum(dy * f(x))          dL/dx_i  ~  sum(dy * (f(x + h e_i) - f(x - h e_i))) / 2h
                                   dL/dx_i  =  sum(dy * imag(f(x + ih e_i))) / h          for any tiny h

The outputs are subtracted element by element before they are summed. Most elements do not change and cancel exactly;
the difference of two sums would keep the rounding error of every element.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import ArrayLike

from npse.gradcheck.kinks import AtKinks, choices, count_changes
from npse.types import Array, Index

Forward: TypeAlias = Callable[[Array], Array]
"""A forward pass as a function of one of its arguments."""

Kinks: TypeAlias = Callable[[Array], AtKinks]
"""The kinks of a forward pass, as a function of the same argument."""

TOLERANCE = 1e-6     # of the relative error, in float64; a right gradient stays near 1e-9
FLOOR = 0.01         # the error of smaller entries is relative to this share of the largest gradient
SAFETY = 10          # by which factor rounding may exceed its estimate
RESOLUTION = 1e-3    # the smallest error that a verdict must detect, relative to the largest gradient


@dataclass(frozen=True)
class NumericGradient:
    """A numeric gradient and its reliability: three arrays shaped like x.

    Attributes
    ----------
    value : array
        The central differences; nan where ``crossed``.
    noise : array
        The size of the rounding error, estimated.
    crossed : bool array
        Where the step crossed a kink.
    """

    value: Array
    noise: Array
    crossed: Array


@dataclass(frozen=True)
class Budget:
    """Error budget of one central difference.

    Attributes
    ----------
    value : float
    step : float
    truncation : float
        Error of the formula, h^2 f'''/6, estimated as a third of the difference to the value at twice the step.
    rounding : float
        The size of the rounding error, from the dtype and the size of f.
    """

    value: float
    step: float
    truncation: float
    rounding: float

    @property
    def error(self) -> float:
        """The largest error to expect in the value."""
        return SAFETY * (self.truncation + self.rounding)

    def __str__(self) -> str:
        return f"step {self.step:.1e}, truncation {self.truncation:.0e}, rounding {self.rounding:.0e}"


def typical_size(x: Array) -> float:
    """Root mean square of x; 1 if x is zero everywhere."""
    return np.sqrt(np.mean(np.square(x))) or 1.0


def step_sizes(x: Array) -> Array:
    """Step of the central difference for each entry of x: h = eps^(1/3) * max(|x_i|, typical size of x).

    The error of the formula is about h^2 f'''/6 (truncation) plus eps |f| / h (rounding). The sum is least
    where both are about equal, at h ~ (eps |f| / |f'''|)^(1/3), and |f / f'''|^(1/3) is about the scale of x. With
    float64 that is 6e-6 of x and an error near 1e-10; with float32 it is 5e-3 and an error near 1e-4, which is why
    gradients are checked in float64.
    """
    return np.cbrt(np.finfo(x.dtype).eps) * np.maximum(np.abs(x), typical_size(x))


def numeric_gradient(f: Forward, x: Array, dy: Array, kinks: Kinks | None = None) -> NumericGradient:
    """Gradient of sum(dy * f(x)) with respect to every entry of x.

    Parameters
    ----------
    f : function of x -> array shaped like dy
    x : floating array, best float64
    dy : array, the upstream gradient
    kinks : function of x -> arrays, optional
        The inputs of the ReLUs and maxima inside f; see `npse.gradcheck.kinks.choices`.

    Returns
    -------
    NumericGradient
    """
    value, noise, crossed = np.empty(x.shape), np.empty(x.shape), np.zeros(x.shape, bool)
    at = _differences(f, x, dy, kinks)
    for i, h in np.ndenumerate(step_sizes(x)):
        value[i], noise[i], crossed[i] = at(i, h)
    return NumericGradient(value, noise, crossed)


def budget(f: Forward, x: Array, dy: Array, index: Index, kinks: Kinks | None = None) -> Budget | None:
    """The best central difference of one entry and its error budget; arguments as in `numeric_gradient`.

    The step is made smaller until the truncation error is below the rounding error, at most five times.

    Returns
    -------
    Budget
        None where every step crosses a kink.
    """
    at, h, found = _differences(f, x, dy, kinks), step_sizes(x)[index], []
    for step in h / 4.0 ** np.arange(6):
        (value, rounding, crossed), (twice, _, crossed_too) = at(index, step), at(index, 2 * step)
        if not (crossed or crossed_too):
            found.append(Budget(float(value), float(step), float(abs(twice - value) / 3), float(rounding)))
            if found[-1].truncation <= rounding:
                break
    return min(found, key=lambda b: b.truncation + b.rounding) if found else None


def curve(f: Forward, x: Array, dy: Array, index: Index, count: int = 33) -> tuple[Array, Array]:
    """Central differences of one entry at many steps, from 1e-12 to 1 of its scale: steps, values."""
    scale = max(abs(x[index]), typical_size(x))
    at, steps = _differences(f, x, dy, None), scale * np.logspace(-12, 0, count)
    return steps, np.array([at(index, step)[0] for step in steps])


def complex_step(f: Callable[[Array], ArrayLike], x: Array, dy: Array) -> Array | None:
    """Gradient of sum(dy * f(x)) by the complex step, exact to rounding for any analytic f: nothing is subtracted.

    Parameters
    ----------
    f : function of a complex array like x -> array shaped like dy
    x, dy : arrays

    Returns
    -------
    array shaped like x
        None where f takes no complex numbers or loses their imaginary part.
    """
    h, value = 1e-30, np.empty(x.shape)
    for i in np.ndindex(x.shape):
        try:
            y = np.asarray(f(_moved(x.astype(complex), i, 1j * h)))
        except Exception:            # f may fail for complex numbers in any way
            return None
        if y.dtype.kind != "c" or not np.isfinite(y).all():
            return None
        value[i] = np.sum(dy * y.imag) / h
    return value


def _differences(f: Forward, x: Array, dy: Array,
                 kinks: Kinks | None) -> Callable[[Index, float], tuple[float, float, bool]]:
    """A function of (index, step) -> central difference, size of its rounding error, whether it crossed a kink."""
    y = np.asarray(f(x))
    eps = max(np.finfo(x.dtype).eps, np.finfo(y.dtype).eps)
    largest_x, largest_y, largest_dy = (np.abs(a).max() for a in (x, y, dy))

    def chosen(x: Array) -> list[Array]:
        return choices(kinks(x)) if kinks else []
    here = chosen(x)

    def at(i: Index, h: float) -> tuple[float, float, bool]:
        above, below = _moved(x, i, h), _moved(x, i, -h)
        distance = above[i] - below[i]                    # x + h is rounded: divide by the actual distance
        crossed = any(count_changes(here, chosen(there)) for there in (below, above))
        y_above, y_below = np.array(f(above)), f(below)   # a copy, in case f returns one array each time
        with np.errstate(invalid="ignore"):               # inf - inf: the caller sees nan
            difference = y_above - y_below
        moved = max(np.linalg.norm(dy * (difference != 0)), largest_dy)
        terms = np.linalg.norm(dy * difference) / distance          # f may be a small sum of large terms
        noise = eps * (largest_y * moved + largest_x * terms) / distance
        return np.nan if crossed else np.sum(dy * difference) / distance, noise, crossed
    return at


def relative_error(ours: Array, numeric: NumericGradient, tolerance: float = TOLERANCE) -> Array:
    """Relative error of each entry of a gradient, against its numeric gradient; zero where a kink was crossed.

    |numeric - ours| / max(|numeric|, |ours|, floor).  The floor is 1 % of the largest numeric gradient of the array:
    the error of an entry near zero is relative to the other entries. The floor is also high enough that rounding noise
    alone stays below the tolerance, so that a gradient that vanishes gives no error.
    """
    kept = ~numeric.crossed
    n, a = np.where(kept, numeric.value, 0), np.where(kept, ours, 0)
    floor = np.maximum(FLOOR * np.abs(n).max(), SAFETY * numeric.noise / tolerance)
    floor = np.maximum(floor, np.finfo(float).tiny)
    with np.errstate(invalid="ignore"):
        error = np.abs(n - a) / np.maximum(floor, np.maximum(np.abs(n), np.abs(a)))
    return np.where(np.isnan(error), np.inf, error)


def is_hidden(ours: Array, numeric: NumericGradient) -> bool:
    """Whether rounding would hide an error of 0.1 % in a gradient that does not vanish.

    A gradient counts as vanishing if it is no larger than its own rounding error: h times the noise.
    """
    noise, largest = SAFETY * numeric.noise.max(), np.abs(ours).max()
    return bool(noise * np.cbrt(np.finfo(float).eps) < largest < noise / RESOLUTION)


def _moved(x: Array, index: Index, distance: complex) -> Array:
    x = x.copy()
    x[index] += distance
    return x
