"""Means and deviations of runs, and the paired comparison of two networks.

Two networks that were trained with the same seeds are compared seed by seed. If the differences d_1, ..., d_n are
normal and independent, their true mean lies with probability 1 - alpha in

    mean(d) -+ t(1 - alpha/2; n - 1) * deviation(d) / sqrt(n)

where t is a quantile of Student's distribution (Student, "The probable error of a mean", Biometrika 6, 1908).
"""

import math
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

LEVEL = 0.95                     # of an interval


@dataclass(frozen=True)
class Difference:
    """The paired difference of two networks.

    Attributes
    ----------
    pairs : int
        Seeds that both networks have.
    mean : float
    low, high : float, optional
        The 95 % interval; None if there are fewer than two pairs, or if all differences are equal but not zero: then
        their deviation says nothing.
    word : str
        "within noise" if the interval holds zero; "better" or "worse" if even an interval that is wide enough for all
        comparisons at once does not hold it; otherwise "perhaps better" or "perhaps worse". Without an interval "too
        few seeds", or "cannot tell".
    """

    pairs: int
    mean: float
    low: float | None
    high: float | None
    word: str


def deviation(values: Sequence[float]) -> float | None:
    """Return the standard deviation, with n - 1; None for fewer than two values."""
    return statistics.stdev(values) if len(values) > 1 else None


def paired(ours: Mapping[int, float], theirs: Mapping[int, float], comparisons: int) -> Difference | None:
    """Compare two networks by their accuracies, by seed.

    Parameters
    ----------
    ours, theirs : dict of int to float
        The difference is ours less theirs, over the seeds that both have.
    comparisons : int
        The comparisons that are made at the same time. "better" and "worse" hold for all of them together with 95 %
        (Bonferroni's inequality).

    Returns
    -------
    Difference, or None if no seed is in both
    """
    differences = [value - theirs[seed] for seed, value in ours.items() if seed in theirs]
    if not differences:
        return None
    count, mean, spread = len(differences), statistics.fmean(differences), deviation(differences)
    if spread is None:
        return Difference(count, mean, None, None, "too few seeds")
    if spread == 0 and mean != 0:
        return Difference(count, mean, None, None, "cannot tell")
    half, widened = (t_quantile(1 - alpha / 2, count - 1) * spread / math.sqrt(count)
                     for alpha in (1 - LEVEL, (1 - LEVEL) / comparisons))
    word = "better" if mean > 0 else "worse"
    if abs(mean) <= half:
        word = "within noise"
    elif abs(mean) <= widened:
        word = f"perhaps {word}"
    return Difference(count, mean, mean - half, mean + half, word)


def t_quantile(probability: float, freedom: int) -> float:
    """Return the quantile of Student's distribution with whole degrees of freedom, by bisection of `t_probability`.

    ValueError unless 0.5 <= probability < 1 and freedom >= 1.
    """
    if not (0.5 <= probability < 1 and freedom >= 1):
        raise ValueError("expected 0.5 <= probability < 1 and freedom >= 1, "
                         f"but got probability {probability} and freedom {freedom}")
    low, high = 0.0, 1.0
    while t_probability(high, freedom) < probability:
        high *= 2
    while (middle := (low + high) / 2) not in (low, high):
        low, high = (middle, high) if t_probability(middle, freedom) < probability else (low, middle)
    return high


def t_probability(t: float, freedom: int) -> float:
    """Return the probability that a number of Student's distribution is at most t >= 0.

    For whole degrees of freedom it is a finite sum (Abramowitz and Stegun, Handbook of Mathematical Functions, 26.7.3
    and 26.7.4).
    """
    angle = math.atan2(t, math.sqrt(freedom))
    sine, square = math.sin(angle), math.cos(angle) ** 2
    odd = freedom % 2
    term = math.cos(angle) if odd else 1.0
    total = 0.0
    for k in range(odd, freedom - 1, 2):                          # the powers of the cosine
        total += term
        term *= square * (k + 1) / (k + 2)
    within = 2 / math.pi * (angle + sine * total) if odd else sine * total
    return (1 + within) / 2
