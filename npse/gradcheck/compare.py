"""Compare: a gradient against its numeric gradient, entry by entry. The second stage, after `npse.gradcheck.measure`.

A verdict is "wrong" only if an entry differs by more than the error budget of its central difference. It is "cannot
tell" if rounding, truncation or kinks could hide an error.
"""

from dataclasses import replace

import numpy as np

from npse.gradcheck.measure import DIRECTIONS, Measurement
from npse.gradcheck.numeric import NumericGradient, is_hidden, relative_error
from npse.gradcheck.results import CANNOT_TELL, RIGHT, WRONG, Result, View
from npse.gradcheck.steps import FLOOR, RESOLUTION, Budget, norm, typical_size
from npse.types import Array, Index

SHOWS = 0.22         # |v| of an entry that at least one of four normal numbers exceeds with a probability of 99.9 %


def compare(measured: Measurement, name: str) -> Result:
    """The verdict on the gradient of one argument: a `Result` without a diagnosis."""
    ours, x = measured.gradient(name), measured.arguments[name]
    result = Result(measured.case.op, measured.case.label, "gradient", CANNOT_TELL, name)
    if measured.y.dtype != x.dtype:
        return replace(result, error=np.inf,
                       message=f"forward returns {measured.y.dtype} for {x.dtype}: its rounding hides the gradient")
    if ours.shape != x.shape:
        return replace(result, verdict=WRONG, error=np.inf,
                       message=f"it has shape {ours.shape}, but {name} has shape {x.shape}")
    numeric = measured.numeric(name)
    tolerance = measured.options.tolerance
    error = relative_error(ours, numeric, tolerance)
    crossed = tuple(map(tuple, np.argwhere(numeric.crossed).tolist()))
    note = _note(name, numeric)
    result = replace(result, crossed=crossed, entries=ours.size)
    if numeric.skipped.all():
        return replace(result, message="interrupted before the first entry")
    if not numeric.kept.any():
        return replace(result, error=float(error.max()), message=f"{note}: try other arguments")
    if not np.isfinite(numeric.value[numeric.kept]).all():
        index = _worst(error)
        return replace(_at(result, index, error, ours, numeric.value[index]),
                       message=f"forward is not finite near {_entry(name, index)}")
    verdict, index, budget = _verdict(measured, name, error)
    expected = budget.value if budget else numeric.value[index]
    result = replace(_at(result, index, error, ours, expected), budget=budget,
                     complex_step=_error_of_complex_step(measured, name))
    if verdict == CANNOT_TELL:
        return replace(result, message=f"central differences do not settle near {_entry(name, index)} ({budget}): if "
                       "there is a ReLU or maximum inside forward, give its kinks")
    if verdict == WRONG:
        wrong = (f"{np.count_nonzero(error > tolerance)} of {_looked_at(numeric)} entries differ, worst at "
                 f"{_entry(name, index)}: ours {result.ours:.8g}, numeric {result.expected:.8g}, "
                 f"relative error {result.error:.1e}")
        view = View(ours, numeric.value, error, *measured.curve(name, index), index, float(expected))
        return replace(result, verdict=WRONG, message="; ".join(filter(None, (wrong, note))),
                       view=None if numeric.skipped.any() else view)
    if is_hidden(ours, numeric):
        return replace(result, message="forward is so large beside its gradient that rounding would hide an error of "
                       "0.1 %")
    if numeric.interrupted:
        return replace(result, message=f"interrupted: {_looked_at(numeric)} entries were looked at, and they are right")
    return _along(measured, replace(result, verdict=RIGHT, message=note)) if numeric.skipped.any() \
        else replace(result, verdict=RIGHT, message=note)


def _along(measured: Measurement, result: Result) -> Result:
    """The verdict on all entries of a large array, by random directions, after some entries were found right."""
    name, ours = result.argument, measured.gradient(result.argument)
    looked_at = f"{_looked_at(measured.numeric(name))} entries were looked at and are right"
    least = 0.0
    for v, slope in measured.slopes(name):
        if slope is None or slope.error > RESOLUTION * norm(ours * v):
            return replace(result, verdict=CANNOT_TELL, message=f"{looked_at}; a step along a random direction crosses "
                           "kinks or leaves the domain of forward, so the others are not known: use entries=")
        expected, slack = float(np.sum(ours * v)), measured.options.tolerance * norm(ours * v) + slope.error
        if not abs(slope.value - expected) <= slack:
            return replace(result, verdict=WRONG, index=None, ours=expected, expected=slope.value, budget=slope,
                           error=abs(slope.value - expected) / norm(ours * v),
                           message=f"{looked_at}, but not all of the others: along a random direction ours gives "
                           f"{expected:.8g}, numeric {slope.value:.8g}; "
                           "check a smaller array, or all entries with entries=")
        least = max(least, slack / typical_size(measured.arguments[name]))
    largest = float(np.abs(ours).max())
    smallest = least / SHOWS / largest if largest else 0.0
    sure = (f"{looked_at}; all were moved along {DIRECTIONS} random directions, which show an error of {smallest:.0e} "
            "of the largest entry in any one entry with a probability of 99.9 %")
    return replace(result, message="; ".join(filter(None, (sure, result.message))))


def _looked_at(numeric: NumericGradient) -> str:
    """How many entries were looked at, such as "12" or "100 of 1000000"."""
    looked_at, size = np.count_nonzero(~numeric.skipped), numeric.skipped.size
    return str(size) if looked_at == size else f"{looked_at} of {size}"


def _verdict(measured: Measurement, name: str, error: Array) -> tuple[str, Index, Budget | None]:
    """The verdict, the index of the entry that decides it, and the error budget of that entry.

    Entries whose error is too large are looked at once more, the worst first, with the best step: the error may be one
    of the central difference. Then ``error`` is corrected in place.
    """
    ours, numeric, tolerance = measured.gradient(name), measured.numeric(name), measured.options.tolerance
    largest, unsettled = np.abs(numeric.value[numeric.kept]).max(), None
    for flat in np.argsort(-error, axis=None):
        index = tuple(map(int, np.unravel_index(flat, error.shape)))
        if error[index] <= tolerance:
            break
        budget = measured.budget(name, index)
        if budget is None or not np.isfinite(ours[index]):
            return WRONG, index, budget
        size = max(abs(ours[index]), abs(budget.value), FLOOR * largest)
        if abs(ours[index] - budget.value) > tolerance * size + budget.error:
            return WRONG, index, budget
        error[index] = abs(ours[index] - budget.value) / size
        if budget.error > RESOLUTION * largest:
            unsettled = unsettled or (CANNOT_TELL, index, budget)
    if unsettled:
        return unsettled
    index = _worst(error)
    return RIGHT, index, measured.budget(name, index)


def _error_of_complex_step(measured: Measurement, name: str) -> float | None:
    """Worst relative error against the complex step; None if there is none."""
    second = measured.complex_step(name)
    if second is None:
        return None
    return float(relative_error(measured.gradient(name), replace(measured.numeric(name), value=second)).max())


def _note(name: str, numeric: NumericGradient) -> str:
    """Which entries were left out, if any, and what shows that there is a kink."""
    crossed, bent = (list(map(tuple, np.argwhere(where).tolist())) for where in (numeric.crossed, numeric.bent))
    found = f", where the slopes on either side differ, as at {_entry(name, bent[0])}" if bent else ""
    return f"{len(crossed)} of {numeric.value.size} entries crossed a kink{found}" if crossed else ""


def _worst(error: Array) -> Index:
    return tuple(map(int, np.unravel_index(error.argmax(), error.shape)))


def _at(result: Result, index: Index, error: Array, ours: Array, expected: float) -> Result:
    """The result with the facts of one entry."""
    return replace(result, index=index, error=float(error[index]), ours=float(ours[index]), expected=float(expected))


def _entry(name: str, index: Index) -> str:
    return f"{name}[{', '.join(map(str, index))}]"
