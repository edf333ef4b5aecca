"""A diagnosis, its kinds, and the tolerances within which two arrays count as equal."""

from dataclasses import dataclass

import numpy as np

KINDS = (
    "factor", "sign", "transposed", "flipped kernel", "channels swapped", "borders", "stride", "mask missing",
    "mask misplaced", "not summed", "averaged", "path missing", "path twice", "sigmoid", "constant statistics",
    "variance", "relu at zero", "ties", "accumulated", "upstream ignored", "zero", "shape", "changed in place", "dtype",
    "layout", "not repeatable", "not linear", "forward", "raises", "swapped", "wrong value", "unexplained")

EXACT = 1e-7         # relative to the largest entry: between two results in float64
SINGLE = 2e-6        # between a result in float64 and one in float32
NUMERIC = 1e-5       # between a result in float64 and central differences


@dataclass(frozen=True)
class Diagnosis:
    """Why a result is wrong.

    Attributes
    ----------
    kind : str
        One of `KINDS`.
    argument : str
        The argument whose gradient it is about; empty where it is about an op as a whole.
    text : str
        The first sentence names the tensor and the mistake; what follows gives the formula.
    also : tuple of str
        Other kinds that explain the same values, for example if two sizes are equal.
    """

    kind: str
    argument: str
    text: str
    also: tuple[str, ...] = ()

    def __str__(self) -> str:
        return self.text


def alike(ours, theirs, tolerance=EXACT):
    """Whether two arrays are equal, relative to the largest entry; entries that are nan in ``theirs`` are skipped."""
    if np.shape(ours) != np.shape(theirs):
        return False
    known = ~np.isnan(theirs)
    largest = np.abs(theirs[known]).max(initial=0)
    with np.errstate(invalid="ignore"):
        return bool(np.all(np.abs(ours - theirs)[known] <= tolerance * largest))


def explains(ours, candidate, right, tolerance=EXACT):
    """Whether a candidate explains ``ours``: it is alike, and a hundred times nearer than the right gradient.

    Without the second condition, a mistake that changes nothing would explain any small error.
    """
    if not alike(ours, candidate, tolerance):
        return False
    if np.shape(ours) != np.shape(right):
        return True
    known = ~np.isnan(right)
    return bool(np.abs(ours - candidate)[known].max(initial=0) <= 0.01 * np.abs(ours - right)[known].max(initial=0))


def sentence(text, advice="", name=""):
    """A diagnosis in words; it starts with the wrong gradient if the text is about another tensor."""
    opening = "" if not name or f"d{name} " in text else f"d{name} is wrong: "
    return " ".join(filter(None, (f"{opening}{text}.", advice)))
