"""Numeric gradients: central differences everywhere, and the complex step where a function is analytic.

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
from npse.types import Array, Index, Shape

Forward: TypeAlias = Callable[[Array], Array]
"""A forward pass as a function of one of its arguments."""

Kinks: TypeAlias = Callable[[Array], AtKinks]
"""The kinks of a forward pass, as a function of the same argument."""

Difference: TypeAlias = Callable[[Index, float], tuple[float, float, bool, float]]
"""A function of (index, step) -> central difference, size of its rounding error, whether it crossed a kink, and by how
much the slopes on either side differ."""

TOLERANCE = 1e-6     # of the relative error, in float64; a right gradient stays near 1e-9
FLOOR = 0.01         # the error of smaller entries is relative to this share of the largest gradient
SAFETY = 10          # by which factor rounding may exceed its estimate
CURVED = 1e-3        # of its slope: by how much more the slopes on either side differ where a step does not suit
SAME = 0.05          # within which the jump of the slope at a kink is the same for all steps
LEVELS = 5           # least number of steps that must show the jump, each a quarter of the one before
BESIDE = (0.73, 1.37)                                # of a step: other steps, to see how the difference varies
AGREE = 1e-4         # of the value: how closely differences with similar steps agree if rounding is small
MOST_STEPS = 20      # that are tried for one entry
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


@dataclass(frozen=True)
class Budget:
    """Error budget of one central difference.

    Attributes
    ----------
    value : float
    step : float
    truncation : float
        Error of the formula, h^2 f'''/6, estimated as a third of the difference to the value at twice the step. If the
        slopes on either side differ by much, at least half of their difference: a kink may lie within the step.
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
    return norm(x) / np.sqrt(x.size) or 1.0


def norm(x: Array) -> float:
    """The root of the sum of squares, also where the squares are too large or too small for the dtype."""
    largest = float(np.abs(x).max(initial=0))
    if not 0 < largest < np.inf:
        return largest
    return largest * float(np.sqrt(np.sum(np.square(x / largest))))


def step_sizes(x: Array, relative: float | None = None) -> Array:
    """Step of the central difference for each entry of x: h = eps^(1/3) * max(|x_i|, typical size of x).

    The error of the formula is about h^2 f'''/6 (truncation) plus eps |f| / h (rounding). The sum is least
    where both are about equal, at h ~ (eps |f| / |f'''|)^(1/3), and |f / f'''|^(1/3) is about the scale of x. With
    float64 that is 6e-6 of x and an error near 1e-10; with float32 it is 5e-3 and an error near 1e-4, which is why
    gradients are checked in float64. ``relative`` replaces eps^(1/3).
    """
    return (relative or np.cbrt(np.finfo(x.dtype).eps)) * np.maximum(np.abs(x), typical_size(x))


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
        closer = ~crossed & ~skipped & _unsuited(value, noise, bend)
        if 2 * np.count_nonzero(closer) > np.count_nonzero(~skipped):      # then the step suits no entry
            closer = ~crossed & ~skipped
        for i in map(tuple, np.argwhere(closer).tolist()):
            if _is_kink(at, i, float(h[i])):
                value[i], crossed[i], bent[i] = np.nan, True, True
            elif found := _best(at, _steps(x, i, float(h[i])), i):
                value[i], noise[i] = found.value, min(noise[i], found.rounding)
    except KeyboardInterrupt:
        interrupted = True
    return NumericGradient(value, noise, crossed, bent, skipped, interrupted)


def slope_along(f: Forward, x: Array, dy: Array, v: Array, kinks: Kinks | None = None) -> Budget | None:
    """Derivative of sum(dy * f(x + t v)) at t = 0, and its error budget; None as in `budget`."""
    steps = float(np.cbrt(np.finfo(x.dtype).eps)) / 4.0 ** np.arange(MOST_STEPS)
    return _best(_differences(f, x, dy, kinks, v), steps, ())


def sample(shape: Shape, count: int, rng: np.random.Generator) -> list[Index]:
    """``count`` entries of an array, both corners among them. Along each axis they are spread evenly.

    If no axis is longer than ``count``, every index of every axis is taken.
    """
    axes = [np.r_[0, rng.permutation(np.arange(1, count - 1)), count - 1] * length // count for length in shape]
    for places, length in zip(axes, shape, strict=True):
        places[-1] = length - 1
    return list(dict.fromkeys(zip(*(places.tolist() for places in axes), strict=True)))


def _unsuited(value: Array, noise: Array, bend: Array) -> Array:
    """Where the step of a central difference may be too large: the slopes on either side differ by much more than h.

    Also where f is not finite.
    """
    finite = np.isfinite(value) & np.isfinite(bend)
    largest = np.abs(value[finite]).max(initial=0)
    with np.errstate(invalid="ignore"):
        slope = np.maximum(np.abs(value), FLOOR * largest)
        return ~finite | (np.abs(bend) > np.maximum(CURVED * slope, 4 * SAFETY * noise))


def _is_kink(at: Difference, i: Index, h: float) -> bool:
    """Whether the slopes on either side of an entry differ by the same amount however small the step is.

    Where f is smooth their difference falls with the step. All steps count whose rounding errors are small beside it.
    """
    jumps: list[float] = []
    for step in h / 4.0 ** np.arange(MOST_STEPS):
        _, noise, crossed, jump = at(i, step)
        if crossed or not np.isfinite(jump):
            return False
        if 4 * SAFETY * noise > SAME * abs(jump):
            break
        jumps.append(jump)
        if abs(jump - jumps[0]) > SAME * abs(jumps[0]):
            return False
    return len(jumps) >= LEVELS


def budget(f: Forward, x: Array, dy: Array, index: Index, kinks: Kinks | None = None) -> Budget | None:
    """The best central difference of one entry and its error budget; arguments as in `numeric_gradient`.

    The step is made smaller until the truncation error is below the rounding error, or the step suits the size of this
    entry alone.

    Returns
    -------
    Budget
        None where every step crosses a kink, or leaves the domain of f.
    """
    return _best(_differences(f, x, dy, kinks), _steps(x, index, step_sizes(x)[index]), index)


def _steps(x: Array, index: Index, h: float) -> Array:
    """Steps to try for one entry, from h down by a factor of 4, or of more if the entry is far smaller than others."""
    own = np.cbrt(np.finfo(x.dtype).eps) * abs(x[index]) / 4
    factor = max(4.0, (h / own) ** (1 / MOST_STEPS)) if own else 4.0
    return h / factor ** np.arange(MOST_STEPS + 1)


def _best(at: Difference, steps: Array, index: Index) -> Budget | None:
    """The central difference with the least error; None if all cross a kink or are not finite."""
    found, suitable = [], []
    for step in steps:
        (value, rounding, crossed, bend), (twice, _, crossed_too, _) = at(index, step), at(index, 2 * step)
        if not (crossed or crossed_too) and np.isfinite(value) and np.isfinite(twice):
            suits = abs(bend) <= CURVED * abs(value)
            truncation = abs(twice - value) / 3 if suits else max(abs(twice - value) / 3, abs(bend) / 2)
            if rounding > TOLERANCE * abs(value):
                rounding = min(rounding, _spread(value, [twice, *(at(index, step * factor)[0] for factor in BESIDE)]))
            found.append(Budget(float(value), float(step), float(truncation), float(rounding)))
            if suits and truncation + rounding <= RESOLUTION * abs(value):
                suitable.append(found[-1])
            if suits and truncation <= rounding:
                break
    return min(suitable or found, key=lambda b: b.truncation + b.rounding) if found else None


def _spread(value: float, others: list[float]) -> float:
    """The rounding error of a difference as differences with other steps show it; infinite if they do not agree.

    If rounding hides the entry, the differences are zero or a few units of the last place, which do not agree.
    """
    spread = max(abs(other - value) for other in others)
    return spread if value and spread <= AGREE * abs(value) else np.inf


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
