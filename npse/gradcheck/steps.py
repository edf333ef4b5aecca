"""The step of a central difference: how large it may be, how small it must be, and what error is left.

A step that is too large has an error of the formula (truncation), or reaches over a kink. One that is too small has an
error of rounding. So differences with several steps are compared.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np

from npse.types import Array, Index

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


def unsuited(value: Array, noise: Array, bend: Array) -> Array:
    """Where the step of a central difference may be too large: the slopes on either side differ by much more than h.

    Also where f is not finite.
    """
    finite = np.isfinite(value) & np.isfinite(bend)
    largest = np.abs(value[finite]).max(initial=0)
    with np.errstate(invalid="ignore"):
        slope = np.maximum(np.abs(value), FLOOR * largest)
        return ~finite | (np.abs(bend) > np.maximum(CURVED * slope, 4 * SAFETY * noise))


def is_kink(at: Difference, i: Index, h: float) -> bool:
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


def smaller_steps(x: Array, index: Index, h: float) -> Array:
    """Steps to try for one entry, from h down by a factor of 4, or of more if the entry is far smaller than others."""
    own = np.cbrt(np.finfo(x.dtype).eps) * abs(x[index]) / 4
    factor = max(4.0, (h / own) ** (1 / MOST_STEPS)) if own else 4.0
    return h / factor ** np.arange(MOST_STEPS + 1)


def best(at: Difference, steps: Array, index: Index) -> Budget | None:
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
