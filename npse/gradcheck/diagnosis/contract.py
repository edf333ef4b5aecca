"""Diagnoses of broken manners: a rule of the contract tells its kind, and an experiment or two the rest."""

import numpy as np

from npse.gradcheck.diagnosis.result import SINGLE, Diagnosis, alike

REPEATED = 1e-13     # of the largest entry: what the order of additions may change from call to call
KIND_OF = {"unchanged": "changed in place", "saved": "changed in place", "repeatable": "not repeatable",
           "dtype": "dtype", "layout": "layout", "read-only": "changed in place", "float32": "dtype",
           "linear": "not linear", "twice": "accumulated", "runs": "raises", "book": "forward"}


def explain_contract(judged, message, call=None, argument=""):
    """A diagnosis for a broken rule.

    Parameters
    ----------
    judged : str
        The rule; see `Result.judged`.
    message : str
        What was found, in a sentence.
    call : function of nothing -> tuple of arrays, optional
        The call in question, once more with the same arguments: tells results that grow from results that vary.
    argument : str
    """
    kind = KIND_OF[judged]
    if judged in ("repeatable", "linear", "twice") and call is not None:
        found = _experiment(call)
        if found:
            kind, message = found
    return Diagnosis(kind, argument, f"{message}.")


@np.errstate(invalid="ignore", over="ignore")
def explain_linearity(backward, dy, other, wrt, message):
    """A diagnosis for gradients that are not linear in dy: which, and do they depend on dy at all?"""
    one, two, together, nothing = (tuple(map(np.copy, backward(upstream)))
                                   for upstream in (dy, other, 2 * dy - 3 * other, 0 * dy))
    for name, first, second in zip(wrt, one, two, strict=True):
        if first.any() and np.array_equal(first, second):
            return Diagnosis("upstream ignored", name, f"d{name} does not depend on the upstream gradient dy. "
                             "Every term of a gradient has dy as a factor, once.")
    found = explain_contract("linear", f"the gradient {message}", lambda: backward(dy))
    exactly = [2 * first - 3 * second for first, second in zip(one, two, strict=True)]
    if found.kind == "not linear" and not any(map(np.any, nothing)) and all(map(_nearly, together, exactly)):
        return Diagnosis("dtype", "", "the gradient is linear in dy to the digits of float32 and no better, as if it "
                         "were computed in float32. dtype in = dtype out, and in between too.")
    return found


def _nearly(ours, theirs):
    return alike(ours, theirs, SINGLE)


def _experiment(call):
    results = [call() for _ in range(3)]
    if any(np.shares_memory(a, b) for a, b in zip(results[0], results[1], strict=True) if a.size):
        copies = [[np.array(a) for a in call()] for _ in range(3)]
    else:
        copies = results
    first, second, third = (np.concatenate([np.ravel(a) for a in result]).astype(float) for result in copies)
    if not np.isfinite(third).all():
        return None
    if np.any(second - first) and np.allclose(third - second, second - first, rtol=1e-6,
                                              atol=1e-9 * np.abs(third).max()):
        step, size = np.abs(second - first).max(), np.abs(first).max()
        if step > 1e-6 * size:
            return "accumulated", ("the result grows with every call, since each adds to what an earlier one left: "
                                   "start from zeros and return a new array")
    if copies is not results:
        return "changed in place", ("the result is the same array at every call, so that a later call overwrites what "
                                    "an earlier one returned: return a new array")
    if not alike(second, first, REPEATED) or not alike(third, second, REPEATED):
        return "not repeatable", "the result is another one when called again with the same arguments"
    return None
