"""Check along a random direction, for functions that are too large to be checked entry by entry.

    <gradient, v>  ~  (L(p + h v) - L(p - h v)) / 2h          v random, one for each array, and one over all of them

Two evaluations of the loss check a whole array. An error in one entry of a million may stay hidden; an error in a term
of the formula does not.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import SupportsFloat, TypeAlias

import numpy as np

from npse.gradcheck.draw import generator
from npse.gradcheck.kinks import KinkRecorder, count_changes
from npse.gradcheck.results import CANNOT_TELL, RIGHT, WRONG, Report, Result
from npse.gradcheck.steps import FLOOR, RESOLUTION, SAFETY, TOLERANCE, typical_size
from npse.types import Array, Arrays, Gradients

Evaluation: TypeAlias = tuple[float, list[Array]]
"""The loss at one point, and the choices at its kinks."""

ATTEMPTS = 6         # each with another direction
SHRINK = 8           # and a step smaller by this factor, which crosses fewer kinks
MIN_SLOPE = 0.1      # least derivative along a direction, relative to its typical size


def check_direction(loss: Callable[[Arrays], SupportsFloat], parameters: Arrays, gradients: Gradients,
                    recorder: KinkRecorder | None = None, seed: int = 0, tolerance: float = TOLERANCE) -> Report:
    """Check the gradients of a scalar function of many arrays, along random directions.

    Parameters
    ----------
    loss : function of a dict like ``parameters`` -> scalar
        It must depend on nothing else that changes.
    parameters : dict of float64 arrays
        Where the gradients were taken.
    gradients : dict of arrays, by the same names
    recorder : KinkRecorder, optional
        It must observe the ops of ``loss``. If a step crosses a kink, another direction with a smaller step is tried.
        Without a recorder kinks are not detected, and may look like errors.
    seed : int
    tolerance : float, of the relative error

    Returns
    -------
    Report
        One result for each array, and one named "all" for a direction through all of them at once. The verdict is
        "cannot tell" if every attempt crossed a kink, or if rounding would hide an error of 0.1 %.

    Raises
    ------
    ValueError
        Names or shapes that do not fit, or parameters that are not float64.
    """
    _expect_fitting(parameters, gradients)
    rng = generator(seed, "direction")

    def evaluate(at: Arrays) -> Evaluation:
        if recorder is None:
            return float(loss(at)), []
        recorder.clear()
        return float(loss(at)), recorder.choices

    base = evaluate(parameters)
    subjects = {name: (name,) for name in parameters} | {"all": tuple(parameters)}
    return Report(tuple(
        _along(name, chosen, evaluate, base, parameters, gradients, rng, tolerance)
        for name, chosen in subjects.items()))


def _along(name: str, chosen: tuple[str, ...], evaluate: Callable[[Arrays], Evaluation], base: Evaluation,
           parameters: Arrays, gradients: Gradients, rng: np.random.Generator, tolerance: float) -> Result:
    here, kinks_here = base
    h, crossings = np.cbrt(np.finfo(float).eps), []
    for _ in range(ATTEMPTS):
        v = {key: rng.standard_normal(parameters[key].shape) * typical_size(parameters[key]) for key in chosen}
        terms = np.concatenate([(gradients[key] * v[key]).ravel() for key in chosen])
        ours, typical = float(terms.sum()), float(np.linalg.norm(terms))
        above, kinks_above = evaluate(parameters | {key: parameters[key] + h * v[key] for key in chosen})
        below, kinks_below = evaluate(parameters | {key: parameters[key] - h * v[key] for key in chosen})
        numeric, noise = (above - below) / (2 * h), SAFETY * np.finfo(float).eps * abs(here) / h
        crossed = count_changes(kinks_here, kinks_above) + count_changes(kinks_here, kinks_below)
        if crossed:
            crossings.append(crossed)
            h /= SHRINK
        elif max(abs(ours), abs(numeric)) >= MIN_SLOPE * typical: # else v is nearly orthogonal to the gradient
            break

    note = f"directions given up as their steps crossed kinks ({', '.join(map(str, crossings))})" if crossings else ""
    result = Result("loss", "random direction", "gradient", CANNOT_TELL, name,
                    entries=sum(parameters[key].size for key in chosen))
    if crossed:
        return replace(result, error=np.inf, message=f"all {note}")
    error = abs(numeric - ours) / max(abs(numeric), abs(ours), FLOOR * typical, noise / tolerance)
    result = replace(result, error=float(error), ours=ours, expected=float(numeric))
    note = note and f"{len(crossings)} {note}"
    if not error <= tolerance:
        wrong = f"ours {ours:.8g}, numeric {numeric:.8g}, relative error {error:.1e}"
        return replace(result, verdict=WRONG, message="; ".join(filter(None, (wrong, note))))
    if crossings and noise > RESOLUTION * typical:
        return replace(result, message=f"{note}; at the step that was left, rounding would hide an error of 0.1 %")
    return replace(result, verdict=RIGHT, message=note)


def _expect_fitting(parameters: Arrays, gradients: Gradients) -> None:
    if not parameters:
        raise ValueError("there are no parameters to check")
    for name in (*parameters, *gradients):
        if name in parameters and name in gradients:
            continue
        have, lack = ("parameters", "gradients") if name in parameters else ("gradients", "parameters")
        raise ValueError(f"{name} is among the {have}, but not among the {lack}; both need the same names")
    for name, value in parameters.items():
        if value.dtype != np.float64:
            raise ValueError(f"{name} has dtype {value.dtype}; check gradients in float64: convert everything first")
        if gradients[name].shape != value.shape:
            raise ValueError(f"the gradient of {name} has shape {gradients[name].shape}, not {value.shape}")
