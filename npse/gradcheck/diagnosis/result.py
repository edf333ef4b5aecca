"""A diagnosis, its kinds, and the tolerances within which two arrays count as equal."""

import re
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np

from npse.types import Array

KINDS = (
    "factor", "sign", "transposed", "flipped kernel", "channels swapped", "borders", "stride", "mask missing",
    "mask misplaced", "not summed", "averaged", "path missing", "path twice", "sigmoid", "constant statistics",
    "variance", "relu at zero", "ties", "accumulated", "upstream ignored", "zero", "shape", "changed in place", "dtype",
    "layout", "not repeatable", "not linear", "forward", "raises", "swapped", "wrong value", "unexplained")

EXACT = 1e-7         # relative to the largest entry: between two results in float64
SINGLE = 2e-6        # between a result in float64 and one in float32
NUMERIC = 1e-5       # between a result in float64 and central differences

Explanation: TypeAlias = tuple[str, str, str]
"""A possible diagnosis: kind, text, advice. The text names the mistake; the advice gives the formula, or is empty."""


@dataclass(frozen=True)
class Diagnosis:
    """Why a result is wrong.

    Attributes
    ----------
    kind : str
        One of `KINDS`.
    argument : str
        The argument whose gradient is wrong; empty if the diagnosis is about an op as a whole.
    text : str
        The first sentence names the tensor and the mistake. The next ones give the formula.
    also : tuple of str
        Other kinds that explain the same values, for example if two sizes are equal.
    """

    kind: str
    argument: str
    text: str
    also: tuple[str, ...] = ()

    def __str__(self) -> str:
        return self.text


def alike(ours: Array, theirs: Array, tolerance: float = EXACT) -> bool:
    """Whether two arrays are equal within a tolerance.

    The tolerance is relative to the largest entry of ``theirs``. Entries that are nan in ``theirs`` are skipped.
    """
    if np.shape(ours) != np.shape(theirs):
        return False
    known = ~np.isnan(theirs)
    largest = np.abs(theirs[known]).max(initial=0)
    with np.errstate(invalid="ignore"):
        return bool(np.all(np.abs(ours - theirs)[known] <= tolerance * largest))


def explains(ours: Array, candidate: Array, right: Array, tolerance: float = EXACT) -> bool:
    """Whether a candidate explains ``ours``.

    Both must be alike, and the right gradient must be at least a hundred times further from ``ours``. Without the
    second condition, a mistake that changes nothing would explain any small error.
    """
    if not alike(ours, candidate, tolerance):
        return False
    if np.shape(ours) != np.shape(right):
        return True
    known = ~np.isnan(right)
    return bool(np.abs(ours - candidate)[known].max(initial=0) <= 0.01 * np.abs(ours - right)[known].max(initial=0))


def constant_factor(ours: Array, other: Array, tolerance: float = EXACT) -> float | None:
    """The factor between two arrays if it is the same for all entries; else None. Entries that are nan are skipped."""
    square = np.nansum(np.square(other))
    if ours.shape != other.shape or not np.isfinite(square) or not square:
        return None
    factor = float(np.nansum(ours * other) / square)
    return factor if factor and alike(ours, factor * other, tolerance) else None


def without_numbers(text: str) -> str:
    """A text with # for every number, to compare what is said on different shapes."""
    return re.sub(r"(?<!\w)-?\d+(\.\d+)?(e[+-]?\d+)?", "#", text)


def sentence(text: str, advice: str = "", name: str = "") -> str:
    """The text and the advice as sentences.

    If the text does not mention the gradient of ``name``, "d<name> is wrong" is put in front.
    """
    opening = "" if not name or f"d{name} " in text else f"d{name} is wrong: "
    return " ".join(filter(None, (f"{opening}{text}.", advice)))
