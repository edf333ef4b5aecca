"""Numeric gradients: central differences everywhere, and the complex step where a function is analytic.

The choice of a step is in `npse.gradcheck.steps`.

    L(x) = sum(dy * f(x))          dL/dx_i  ~  sum(dy * (f(x + h e_i) - f(x - h e_i))) / 2h
                                   dL/dx_i  =  sum(dy * imag(f(x + ih e_i))) / h          for any tiny h

The outputs are subtracted element by element before they are summed. Most elements do not change and cancel exactly;
the difference of two sums would keep the rounding error of every element.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import ArrayLike

from npse.gradcheck.kinks import AtKinks, choices, count_changes
from npse.gradcheck.steps import (
    FLOOR,
    MOST_STEPS,
    RESOLUTION,
    SAFETY,
    TOLERANCE,
    Budget,
    Difference,
    best,
    is_kink,
    norm,
    smaller_steps,
    step_sizes,
    typical_size,
    unsuited,
)
from npse.types import Array, Index, Shape

Forward: TypeAlias = Callable[[Array], Array]
"""A forward pass as a function of one of its arguments."""

Kinks: TypeAlias = Callable[[Array], AtKinks]
"""The kinks of a forward pass, as a function of the same argument."""

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
    bent : bool array
        The part of ``crossed`` that no ``kinks`` declare: there the slopes on either side differ.
    skipped : bool array
        The entries that were not looked at; ``value`` is nan there.
    interrupted : bool
        Whether Ctrl-C ended the work.
    """

    value: Array
    noise: Array
    crossed: Array
    bent: Array
    skipped: Array
    interrupted: bool = False

    @property
    def kept(self) -> Array:
        """Where there is a numeric gradient to compare with."""
        return ~(self.crossed | self.skipped)


def numeric_gradient(f: Forward, x: Array, dy: Array, kinks: Kinks | None = None,
                     entries: Iterable[Index] | None = None, steps: Array | None = None) -> NumericGradient:
    """Gradient of sum(dy * f(x)) with respect to every entry of x. Ctrl-C ends it early, with the entries so far.

    Parameters
    ----------
    f : function of x -> array shaped like dy
    x : floating array, best float64
    dy : array, the upstream gradient
    kinks : function of x -> arrays, optional
        The inputs of the ReLUs and maxima inside f; see `npse.gradcheck.kinks.choices`.
    entries : iterable of index tuples, optional
        The entries to look at; all if there are none.
    steps : array shaped like x, optional
        The step for each entry, in place of `step_sizes`.

    Returns
    -------
    NumericGradient
    """
    value, noise, bend = np.full(x.shape, np.nan), np.zeros(x.shape), np.zeros(x.shape)
    crossed, bent, skipped = np.zeros(x.shape, bool), np.zeros(x.shape, bool), np.ones(x.shape, bool)
    at, h = _differences(f, x, dy, kinks), step_sizes(x) if steps is None else steps
    interrupted = False
    try:
        for i in entries or np.ndindex(x.shape):
            value[i], noise[i], crossed[i], bend[i] = at(i, float(h[i]))
            skipped[i] = False
        closer = ~crossed & ~skipped & unsuited(value, noise, bend)
        if 2 * np.count_nonzero(closer) > np.count_nonzero(~skipped):      # then the step suits no entry
            closer = ~crossed & ~skipped
        for i in map(tuple, np.argwhere(closer).tolist()):
            if is_kink(at, i, float(h[i])):
                value[i], crossed[i], bent[i] = np.nan, True, True
            elif found := best(at, smaller_steps(x, i, float(h[i])), i):
                value[i], noise[i] = found.value, min(noise[i], found.rounding)
    except KeyboardInterrupt:
        interrupted = True
    return NumericGradient(value, noise, crossed, bent, skipped, interrupted)


def slope_along(f: Forward, x: Array, dy: Array, v: Array, kinks: Kinks | None = None) -> Budget | None:
    """Derivative of sum(dy * f(x + t v)) at t = 0, and its error budget; None as in `budget`."""
    steps = float(np.cbrt(np.finfo(x.dtype).eps)) / 4.0 ** np.arange(MOST_STEPS)
    return best(_differences(f, x, dy, kinks, v), steps, ())


def sample(shape: Shape, count: int, rng: np.random.Generator) -> list[Index]:
    """``count`` entries of an array, both corners among them. Along each axis they are spread evenly.

    If no axis is longer than ``count``, every index of every axis is taken.
    """
    axes = [np.r_[0, rng.permutation(np.arange(1, count - 1)), count - 1] * length // count for length in shape]
    for places, length in zip(axes, shape, strict=True):
        places[-1] = length - 1
    return list(dict.fromkeys(zip(*(places.tolist() for places in axes), strict=True)))


def budget(f: Forward, x: Array, dy: Array, index: Index, kinks: Kinks | None = None) -> Budget | None:
    """The best central difference of one entry and its error budget; arguments as in `numeric_gradient`.

    The step is made smaller until the truncation error is below the rounding error, or the step suits the size of this
    entry alone.

    Returns
    -------
    Budget
        None where every step crosses a kink, or leaves the domain of f.
    """
    return best(_differences(f, x, dy, kinks), smaller_steps(x, index, step_sizes(x)[index]), index)


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


def _differences(f: Forward, x: Array, dy: Array, kinks: Kinks | None, v: Array | None = None) -> Difference:
    """Central differences of f, see `Difference`; along the direction ``v`` if there is one, whatever the index."""
    y = np.array(f(x))                                    # a copy, in case f returns one array each time
    eps = max(np.finfo(x.dtype).eps, np.finfo(y.dtype).eps)
    endless = np.isinf(y)                                 # such as log(0) of a mask: constant, and no part of the sum
    finite = np.where(endless, 0, y)
    largest_x, largest_y, largest_dy = (np.abs(a).max() for a in (x, finite, dy))

    def chosen(x: Array) -> list[Array]:
        return choices(kinks(x)) if kinks else []
    here = chosen(x)

    @np.errstate(invalid="ignore", over="ignore")         # inf - inf: the caller sees nan
    def at(i: Index, h: float) -> tuple[float, float, bool, float]:
        if v is None:
            above, below = _moved(x, i, h), _moved(x, i, -h)
            forth, back = above[i] - x[i], x[i] - below[i]   # x + h is rounded: divide by the actual distance
        else:
            above, below, forth, back = x + h * v, x - h * v, h, h
        distance = forth + back
        if any(count_changes(here, chosen(there)) for there in (below, above)):
            return np.nan, np.inf, True, np.nan
        y_above, y_below = (np.where(endless & (np.asarray(there) == y), 0, there) for there in map(f, (above, below)))
        difference = y_above - y_below
        moved = max(norm(dy * (difference != 0)), largest_dy)
        terms = norm(dy * difference) / distance          # f may be a small sum of large terms
        noise = eps * (largest_y * moved + largest_x * terms) / distance
        right, left = (y_above - finite) / forth, (finite - y_below) / back
        return np.sum(dy * difference) / distance, noise, False, np.sum(dy * (right - left))
    return at


def relative_error(ours: Array, numeric: NumericGradient, tolerance: float = TOLERANCE) -> Array:
    """Relative error of each entry of a gradient, against its numeric gradient; zero where there is none.

    |numeric - ours| / max(|numeric|, |ours|, floor).  The floor is 1 % of the largest numeric gradient of the array:
    the error of an entry near zero is relative to the other entries. The floor is also high enough that rounding noise
    alone stays below the tolerance, so that a gradient that vanishes gives no error.
    """
    kept = numeric.kept
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
