"""Diagnoses of a broken contract: the rule gives the kind; for some rules, repeated calls give a more exact one."""

from collections.abc import Callable, Sequence

import numpy as np

from npse.gradcheck.diagnosis.result import SINGLE, Diagnosis, alike
from npse.types import Array

REPEATED = 1e-13     # relative to the largest entry: the order of additions may change from call to call
KIND_OF = {"unchanged": "changed in place", "saved": "changed in place", "repeatable": "not repeatable",
           "dtype": "dtype", "layout": "layout", "read-only": "changed in place", "float32": "dtype",
           "linear": "not linear", "twice": "accumulated", "runs": "raises", "book": "forward"}


def explain_contract(judged: str, message: str, call: Callable[[], Sequence[Array]] | None = None,
                     argument: str = "") -> Diagnosis:
    """A diagnosis of a broken rule of the contract.

    Parameters
    ----------
    judged : str
        The rule; see `Result.judged`.
    message : str
        What was found, in one sentence.
    call : function of nothing -> tuple of arrays, optional
        Repeats the call with the same arguments, to distinguish results that grow from results that vary.
    argument : str, optional
        The argument whose gradient breaks the rule.
    """
    kind = KIND_OF[judged]
    if judged in ("repeatable", "linear", "twice") and call is not None:
        found = _experiment(call)
        if found:
            kind, message = found
    return Diagnosis(kind, argument, f"{message}.")


@np.errstate(invalid="ignore", over="ignore")
def explain_linearity(backward: Callable[[Array], Sequence[Array]], dy: Array, other: Array, wrt: Sequence[str],
                      message: str) -> Diagnosis:
    """A diagnosis of gradients that are not linear in dy; ``other`` is a second dy, ``message`` what was found."""
    one, two, together, nothing = (tuple(map(np.copy, backward(upstream)))
                                   for upstream in (dy, other, 2 * dy - 3 * other, 0 * dy))
    for name, first, second in zip(wrt, one, two, strict=True):
        if first.any() and np.array_equal(first, second):
            return Diagnosis("upstream ignored", name, f"d{name} does not depend on the upstream gradient dy. "
                             "Every term of a gradient has dy as a factor, once.")
    found = explain_contract("linear", f"the gradient {message}", lambda: backward(dy))
    exactly = [2 * first - 3 * second for first, second in zip(one, two, strict=True)]
    if found.kind == "not linear" and not any(map(np.any, nothing)) and all(map(_nearly, together, exactly)) \
            and not all(map(_same, together, exactly)):
        return Diagnosis("dtype", "", "the gradient is linear in dy only to the precision of float32, as if it were "
                         "computed in float32. dtype in = dtype out, and in between too.")
    if found.kind == "not linear" and _saturates(backward, dy):
        return Diagnosis("not linear", "", "the gradient does not grow with dy where dy is large, as if dy were "
                         "clipped. Every term of a gradient has dy as a factor, once.")
    return found


def _saturates(backward: Callable[[Array], Sequence[Array]], dy: Array) -> bool:
    """Whether the gradients are linear in a small dy, and stay the same for a large one."""
    small, twice, large, larger = (tuple(map(np.copy, backward(times * dy))) for times in (1e-6, 2e-6, 1e6, 2e6))
    return all(alike(2 * one, two) for one, two in zip(small, twice, strict=True)) and all(map(alike, large, larger)) \
        and any(map(np.any, small))


def _same(ours: Array, theirs: Array) -> bool:
    return alike(ours, theirs, REPEATED)


def _nearly(ours: Array, theirs: Array) -> bool:
    return alike(ours, theirs, SINGLE)


def _experiment(call: Callable[[], Sequence[Array]]) -> tuple[str, str] | None:
    """What calling a function three times shows: (kind, message), or None if all results are alike."""
    results = [call() for _ in range(3)]
    is_shared = any(np.shares_memory(a, b) for a, b in zip(results[0], results[1], strict=True) if a.size)
    if is_shared:
        results = [[np.array(a) for a in call()] for _ in range(3)]
    first, second, third = (np.concatenate([np.ravel(a) for a in result]).astype(float) for result in results)
    if not np.isfinite(third).all():
        return None
    if np.any(second - first) and np.allclose(third - second, second - first, rtol=1e-6,
                                              atol=1e-9 * np.abs(third).max()):
        step, size = np.abs(second - first).max(), np.abs(first).max()
        if step > 1e-6 * size:
            return "accumulated", ("the result grows with every call, because each call adds to the result of "
                                   "earlier ones: start from zeros and return a new array")
    if is_shared:
        return "changed in place", ("the result is the same array at every call, so that a later call overwrites the "
                                    "result of an earlier one: return a new array")
    if not alike(second, first, REPEATED) or not alike(third, second, REPEATED):
        return "not repeatable", "the result differs when called again with the same arguments"
    return None
