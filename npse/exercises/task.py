"""The tasks of an exercise, and the marking of a student's function. A mark has parts; each part is right or wrong.

This process draws the arguments and never runs the student's code. Values of a forward pass are compared with those of
the solution, gradients with central differences of the solution's forward pass. The part "contract" contains the other
checks of the judge. All other ops come from the solution or the book, so one mistake costs one part.
"""

import dataclasses
from dataclasses import dataclass

import numpy as np

from npse import reference
from npse.gradcheck import cases_of
from npse.gradcheck.check import check_case
from npse.gradcheck.contract import RULES, deviation
from npse.gradcheck.draw import draw_arguments, generator, upstream
from npse.support.wrapped import Overlay

VALUES_TOLERANCE = 1e-9      # largest relative deviation of a right forward pass, in float64
ROUNDED = 1e-5               # a larger deviation of a gradient is no rounding
CONTRACT = (*RULES, "linear", "float32")      # the checks that count as the part "contract"


class Task:
    """A function to write, the cases it is checked on, and the points of its parts.

        Task("squeeze", values=2)                        a forward pass, compared with the solution
        Task("scale_backward", u=2, s=2, contract=1)      a backward pass, tensor by tensor

    Parameters
    ----------
    function : str
        Name of the function.
    cases : sequence of Case, optional
        By default the cases of the op with this name, without the large ones. All editions are judged by these cases.
    labels : function of str -> bool, optional
        Chooses cases by their label.
    part : str, optional
        A name that distinguishes this task from other tasks for the same function.
    contract : int
        Points for keeping the contract: arguments unchanged, dtype, memory layout, linearity in dy, ...
    also : sequence of str
        Tensors whose gradients must be right too; without them the contract is not kept.
    extra : dict of str -> (points, rule), optional
        Further parts. A rule takes the student's function and the cells of the file, and returns a message or "".
    **points : int
        Points for the ``values`` of a forward pass, or for the gradient of the tensor with this name.
    """

    def __init__(self, function, cases=None, labels=None, part="", contract=1, also=(), extra=None, **points):
        cases = cases_of(function) if cases is None else cases
        self.cases = tuple(case for case in cases if not case.label.startswith("wide")
                           and (labels is None or labels(case.label)))
        self.function, self.part, self.points, self.contract = function, part, points, contract
        self.also, self.extra = also, extra or {}

    def chosen(self, hidden):
        """Return the cases to check. The last one of three or more is hidden: it is used for grading only."""
        return self.cases if hidden or len(self.cases) < 3 else self.cases[:-1]

    @property
    def parts(self):
        """Names and points of all parts, in order: a dict of str -> int."""
        title = f"{self.function}, {self.part}" if self.part else self.function
        named = {f"{title}: {'values' if name == 'values' else f'gradient of {name}'}": points
                 for name, points in self.points.items()}
        named |= {f"{title}: {name}": points for name, (points, _) in self.extra.items()}
        return named | ({f"{title}: contract": self.contract} if self.contract else {})


@dataclass(frozen=True)
class Part:
    """One part of a mark.

    Attributes
    ----------
    name : str
    earned, points : int
        The points that were earned, and the points that can be earned.
    message : str
        Why no points were earned; empty if the part is right.
    kind : str
        Kind of the mistake, as in a diagnosis; may be empty.
    """

    name: str
    earned: int
    points: int
    message: str = ""
    kind: str = ""

    @property
    def ok(self):
        return self.earned == self.points


def zero_marks(task, message):
    """Return the parts of a task whose function cannot be called: no points, and the message."""
    return [Part(name, 0, points, message) for name, points in task.parts.items()]


def mark(task, function, functions, cells=(), seed=0, hidden=False):
    """Mark one function.

    Parameters
    ----------
    task : Task
    function : callable
        The student's function, from `Sandbox.function`.
    functions : dict
        The functions of the solution by name.
    cells : sequence of str
        The student's code, for rules about its text.
    seed : int
        Seed of all arguments.
    hidden : bool
        Whether to use the hidden shapes too.

    Returns
    -------
    list of Part
    """
    book = Overlay(reference, **functions)
    ops = Overlay(book, **{task.function: function})
    found = {name: [] for name in (*task.points, *task.extra, "contract")}
    for case in task.chosen(hidden):
        if "values" in task.points:
            found["values"] += [_values(case, ops, book, seed), _values(case, ops, book, seed + 1)]   # nothing is kept
            judged = _only_forward(case)
        else:
            judged = _only(case, (*task.points, *task.also))
        results = check_case(judged, ops, seed)
        for name in task.points:
            if name != "values":
                found[name].append(_gradient(results, name))
        found["contract"] += [_gradient(results, name) for name in task.also]
        found["contract"].append(_first_wrong(results, *CONTRACT, "runs"))
        if judged.wrt and not any(map(any, found.values())):
            found["contract"].append(_with_other_numbers(judged, ops, book, seed + 1))
    if all(any(found[name]) for name in task.points):            # a function that does nothing also keeps the contract
        waiting = f"counts only when another part of {task.function} is right", ""
        found |= {name: [waiting] for name in (*task.extra, "contract")}
    else:
        found |= {name: [_obeys(rule, function, cells)] for name, (_, rule) in task.extra.items()}
    return [_part(name, points, found[key]) for (name, points), key in zip(task.parts.items(), found, strict=False)]


def _part(name, points, problems):
    """Return a part. It is right if it has at least one case and no problem; its message is the first problem."""
    wrong = next(filter(None, problems), None) if problems else ("not judged", "")
    return Part(name, 0, points, *wrong) if wrong else Part(name, points, points)


def _obeys(rule, function, cells):
    try:
        complaint = rule(function, cells)
    except Exception as error:
        complaint = f"raises {type(error).__name__}: {error}"
    return (complaint, "") if complaint else None


def _values(case, ops, book, seed):
    """Compare a forward pass with the solution. Return (message, kind) if it is wrong, otherwise None."""
    arguments = draw_arguments(case, seed)
    expected = np.asarray(case.forward(book, **_copies(arguments)))
    try:
        ours = np.asarray(case.forward(ops, **_copies(arguments)))
    except Exception as error:
        return _raised(f"raises {type(error).__name__}: {error}", case)
    if ours.dtype.kind not in "fciub":
        return (f"the result is not an array of numbers, expected numbers of shape {expected.shape} "
                f"[shapes: {case.label}]"), "dtype"
    if ours.shape != expected.shape:
        return f"the result has shape {ours.shape}, expected {expected.shape} [shapes: {case.label}]", "shape"
    if not deviation(ours, expected) <= VALUES_TOLERANCE:
        with np.errstate(invalid="ignore"):
            far = np.where(np.isnan(d := np.abs(ours - expected)), np.inf, d)
        at = np.unravel_index(far.argmax(), far.shape)
        where = f"at [{', '.join(map(str, at))}] " if at else ""
        return (f"{where}yours is {ours[at]:.6g}, expected {expected[at]:.6g}{_factor(ours, expected)} "
                f"[shapes: {case.label}]"), "forward"
    return None


def _factor(ours, expected):
    """Return an addition to the message if the two arrays differ by a constant factor, otherwise ""."""
    kept = np.abs(expected) > 1e-6 * np.abs(expected).max(initial=0)
    if not kept.any() or not np.isfinite(ours).all():
        return ""
    ratio = ours[kept] / expected[kept]
    if np.allclose(ratio, ratio[0], rtol=1e-6) and abs(ratio[0]) > 1e-9:
        return f"; every entry is {ratio[0]:.4g} times the expected one"
    return ""


def _gradient(results, name):
    """Return (message, kind) if the gradient of this tensor is wrong or was not judged, otherwise None."""
    mine = [result for result in results if result.judged == "gradient" and result.argument == name]
    return _first_wrong(mine, "gradient") if mine else _first_wrong(results, "runs") or ("it is not returned", "shape")


def _with_other_numbers(case, ops, book, seed):
    """Compare right gradients with the solution's for other numbers. Return (message, kind), or None if they are equal.

    They may be less precise, or made of values that the function keeps. At a kink another gradient may be right too: it
    differs by more than a rounding.
    """
    arguments = draw_arguments(case, seed)
    dy = upstream(generator(seed, f"other numbers for {case}"), np.asarray(case.forward(book, **_copies(arguments))))
    ours, right = (case.backward(some, np.array(dy)[()], **_copies(arguments)) for some in (ops, book))
    for name, mine, solution in zip(case.wrt, ours, right, strict=True):
        error = deviation(mine, solution, np.abs(dy).max())
        if VALUES_TOLERANCE < error < ROUNDED:
            return f"d{name} is right to {error:.0e} and no better, as if it were computed in float32", "dtype"
        if error >= ROUNDED and case.kinks is None:
            return (f"d{name} is wrong for other numbers of the same shapes: are values kept from an earlier call?",
                    "not repeatable")
    return None


def _first_wrong(results, *judged):
    for result in results:
        if result.judged in judged and not result.ok:
            if result.judged == "runs":
                return _raised(result.message, result.case)
            why = result.diagnosis
            text = why.text if why and why.kind != "unexplained" else result.message
            return f"{text} [shapes: {result.case}]", why.kind if why else ""
    return None


def _raised(text, case):
    """Return (message, kind) for a function that raises. An empty hole has no kind of mistake."""
    hole = text.removeprefix("raises NotImplementedError: ")
    if hole and hole != text:
        return hole, ""
    return f"{text} [shapes: {getattr(case, 'label', case)}]", "raises"


def _only_forward(case):
    """Return the case without gradients."""
    return dataclasses.replace(case, backward=None, wrt=())


def _only(case, names):
    """Return the case with the gradients of only some of its tensors."""
    kept = tuple(name for name in case.wrt if name in names)
    places = [case.wrt.index(name) for name in kept]

    def backward(ops, dy, **arguments):
        gradients = case.backward(ops, dy, **arguments)
        if len(gradients) != len(case.wrt):
            raise ValueError(f"it must return {len(case.wrt)} gradients ({', '.join(case.wrt)}), "
                             f"but returns {len(gradients)}")
        return tuple(gradients[place] for place in places)

    return dataclasses.replace(case, wrt=kept, backward=backward)


def _copies(arguments):
    return {name: value.copy() if isinstance(value, np.ndarray) else value for name, value in arguments.items()}
