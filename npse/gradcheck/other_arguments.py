"""Check right gradients once more with other arguments: slightly other values, other rows, and more images.

A backward pass may keep a value of an earlier call, or take a branch or a remainder of a loop that only some sizes
have. A random direction through all entries of an argument shows it. What cannot be tried says nothing.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from itertools import islice
from typing import Any

import numpy as np

from npse.gradcheck.calls import is_floating
from npse.gradcheck.diagnosis import explain_elsewhere
from npse.gradcheck.measure import Measurement
from npse.gradcheck.results import WRONG, Result
from npse.gradcheck.steps import RESOLUTION, norm
from npse.types import Arguments, Array

DIRECTIONS = 2           # for each argument
LEAST_IMAGES = 7         # no multiple of the sizes of common chunks
NEARBY = 1e-3            # relative change of the values


def elsewhere(measured: Measurement, rng: np.random.Generator) -> Iterator[Result]:
    """Yield a result for the first gradient that is wrong with other arguments; ``measured`` is right."""
    for words, arguments, rows in _others(measured, rng):
        try:
            other = Measurement.of(measured.case, measured.ops, arguments, rng, measured.options)
            fits = other.y.shape[1:] == measured.y.shape[1:] and len(np.atleast_1d(other.y)) == rows
            wrong = next((name for name in measured.case.wrt if _is_wrong(other, name)), None) if fits else None
        except Exception:                # the functions do not take these arguments
            continue
        if wrong is not None:
            case = measured.case
            message = f"is right for the given arguments, but wrong {words}"
            why = explain_elsewhere(other, measured, wrong, words)
            yield replace(Result(case.op, case.label, "other arguments", WRONG, wrong, np.inf), message=message,
                          diagnosis=why)
            return


def _others(measured: Measurement, rng: np.random.Generator) -> Iterator[tuple[str, Arguments, int]]:
    """Other arguments, in words what is other, and how many images y has if they are images."""
    nearby = {name: _near(value, rng) for name, value in measured.arguments.items()}
    images = len(np.atleast_1d(measured.y))
    yield "for others of the same shapes", nearby, images
    rows = next((len(value) for value in measured.arguments.values() if np.ndim(value)), 1)
    if rows > 1:                         # the last row comes first: masks and labels change, too
        turned = {name: np.roll(value, 1, axis=0) if np.ndim(value) and len(value) == rows and not _ascends(value)
                  else value for name, value in nearby.items()}
        yield "for others of the same shapes", turned, images
    if not measured.y.shape:
        return
    more = max(LEAST_IMAGES, 2 * images + 1)
    chosen = rng.integers(0, images, more)
    larger = {name: _near(value[chosen], rng) if np.ndim(value) and len(value) == images else value
              for name, value in measured.arguments.items()}
    yield f"only where there are more images, {more} in place of {images}", larger, more


def _near(value: Any, rng: np.random.Generator) -> Any:
    """An array with each number changed a little; any other value unchanged."""
    if not isinstance(value, np.ndarray) or not is_floating(value):
        return value
    return value * (1 + NEARBY * rng.uniform(-1, 1, value.shape))


def _ascends(value: Array) -> bool:
    """Whether an array has one axis and is sorted: then it may have to be, as the places of an interpolation."""
    return value.ndim == 1 and bool(np.all(np.diff(value) >= 0))


def _is_wrong(other: Measurement, name: str) -> bool:
    """Whether a random direction shows that a gradient is wrong."""
    ours: Array = other.gradient(name)
    if ours.shape != other.arguments[name].shape:
        return False
    for v, slope in islice(other.slopes(name), DIRECTIONS):
        size = norm(ours * v)
        if slope is None or not np.isfinite(slope.value) or not np.isfinite(size) or slope.error > RESOLUTION * size:
            continue
        if abs(slope.value - float(np.sum(ours * v))) > 10 * other.options.tolerance * size + slope.error:
            return True
    return False
