"""What a diagnosis is, the kinds there are, and when two arrays count as equal."""

from dataclasses import dataclass

import numpy as np

KINDS = (
    "factor", "sign", "transposed", "flipped kernel", "channels swapped", "borders", "stride", "mask missing",
    "mask misplaced", "not summed", "averaged", "path missing", "path twice", "sigmoid", "constant statistics",
    "variance", "relu at zero", "ties", "accumulated", "upstream ignored", "zero", "shape", "changed in place", "dtype",
    "layout", "not repeatable", "not linear", "forward", "raises", "swapped", "wrong value", "unexplained")

EXACT = 1e-7         # of the largest entry: between two results of float64 arithmetic
SINGLE = 2e-6        # between a result of float64 and one of float32, summed over some length
NUMERIC = 1e-5       # the same, where one of the two is a difference quotient


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
        Kinds that explain the same numbers as well, where sizes happen to be equal.
    """

    kind: str
    argument: str
    text: str
    also: tuple[str, ...] = ()

    def __str__(self):
        return self.text


def alike(ours, theirs, tolerance=EXACT):
    """Whether two arrays are equal within a share of the largest entry; what is not a number in ``theirs`` is open."""
    if np.shape(ours) != np.shape(theirs):
        return False
    known = ~np.isnan(theirs)
    largest = np.abs(theirs[known]).max(initial=0)
    with np.errstate(invalid="ignore"):
        return bool(np.all(np.abs(ours - theirs)[known] <= tolerance * largest))


def explains(ours, candidate, right, tolerance=EXACT):
    """Whether a candidate accounts for the error of ``ours``: it is alike, and a hundred times nearer than what is
    right. Else a mistake that changes nothing would explain any small error."""
    if not alike(ours, candidate, tolerance):
        return False
    if np.shape(ours) != np.shape(right):
        return True
    known = ~np.isnan(right)
    return bool(np.abs(ours - candidate)[known].max(initial=0) <= 0.01 * np.abs(ours - right)[known].max(initial=0))


def sentence(text, advice="", name=""):
    """A diagnosis in words, opened by the gradient in question should the text be about another tensor."""
    opening = "" if not name or f"d{name} " in text else f"d{name} is wrong: "
    return " ".join(filter(None, (f"{opening}{text}.", advice)))
