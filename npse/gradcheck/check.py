"""The judge: one case against one edition, or any pair of functions of your own.

    report = check_gradient(scale, scale_backward, {"u": u, "s": s})
    print(report)
    assert report.ok
"""

from types import SimpleNamespace

import numpy as np

from npse.gradcheck.cases.case import Case, cast
from npse.gradcheck.diagnosis import explain_manners
from npse.gradcheck.judge import generator, judge
from npse.gradcheck.results import WRONG, Report, Result


def check_case(case, ops, seed=0, book=None):
    """Judge one case: gradients, float32, contract and, given a book, agreement with it.

    Parameters
    ----------
    case : Case
    ops : the edition that is judged, any object that has the ops as attributes
    seed : int
        With the case it fixes every random number, whatever else is checked and in which order.
    book : another edition, optional
        Every call must give what this one gives.

    Returns
    -------
    list of Result
        An op that raises does not end the check: that is a result too.
    """
    results = []
    try:
        for result in judge(case, ops, generator(seed, str(case)), book):
            results.append(result)
    except Exception as error:
        results.append(raised(case.op, case.label, error))
    return results


def raised(op, label, error):
    """The result of an op that raises."""
    complaint = f"raises {type(error).__name__}: {error}"
    return Result(op, label, "runs", WRONG, message=complaint, diagnosis=explain_manners("runs", f"{op} {complaint}"))


def check_gradient(forward, backward, arguments, wrt=None, kinks=None, seed=0, float32=True):
    """Check a backward pass of your own against central differences, and its manners.

    Both functions receive the arguments by name.

    Parameters
    ----------
    forward : function of (**arguments) -> array
    backward : function of (dy, **arguments) -> gradients
        ``dy`` is shaped like forward's result. Gradients come in the order of ``wrt``, as one array, a tuple or a
        dict by name.
    arguments : dict of arrays
        Floating arrays are taken as float64; other values are passed as they are. Small arrays do: every entry costs
        two calls of forward.
    wrt : sequence of str, optional
        The arguments to differentiate; by default every floating array.
    kinks : function of (**arguments) -> array or list of arrays, optional
        What enters each ReLU inside forward (or its mask, or the winners of a maximum): entries whose step crosses a
        kink are reported and left out.
    seed : int
        Of the random upstream gradient.
    float32 : bool
        Whether float32 arguments must give float32 results, close to those in float64.

    Returns
    -------
    Report
        ``.ok``, ``.results``, ``.failures``; print it to read it.

    Raises
    ------
    ValueError, TypeError
        Nothing to differentiate, or a result that is not what is described here.

    Examples
    --------
    >>> x = np.array([[1.0, -2.0], [3.0, 0.5]])
    >>> check_gradient(lambda x: x**2, lambda dy, x: 2 * dy * x, {"x": x}).ok
    True
    """
    arguments = {name: cast(np.asarray(value) if isinstance(value, (list, float)) else value, np.float64)
                 for name, value in arguments.items()}
    floating = [name for name, value in arguments.items() if isinstance(value, np.ndarray) and value.dtype.kind == "f"]
    wrt = tuple(floating if wrt is None else wrt)
    if not wrt or not set(wrt) <= set(floating):
        raise ValueError(f"wrt must name floating arrays among the arguments (here: {', '.join(floating) or 'none'}), "
                         f"but is {wrt}")
    case = _Given(ops=(getattr(forward, "__name__", "forward"),), label="given arguments", make=lambda rng: arguments,
                  forward=lambda ops, **a: ops.forward(**a), wrt=wrt, kinks=kinks,
                  backward=lambda ops, dy, **a: _in_order(ops.backward(dy, **a), wrt))
    ops = SimpleNamespace(forward=forward, backward=backward)
    return Report(tuple(judge(case, ops, generator(seed, str(case)), float32=float32)))


class _Given(Case):
    """A case whose arguments are given, not drawn: they may lie near a kink."""

    def arguments(self, rng, dtype=np.float64):
        return {name: cast(value, dtype) for name, value in self.make(rng).items()}


def _in_order(gradients, wrt):
    if isinstance(gradients, dict):
        if missing := set(wrt) - set(gradients):
            raise ValueError(f"backward returns no gradient of {', '.join(sorted(missing))}; "
                             f"wanted are: {', '.join(wrt)}")
        return tuple(gradients[name] for name in wrt)
    return gradients if isinstance(gradients, (tuple, list)) else (gradients,)
