"""The judge's entry points: check a case on an edition, or any pair of functions of your own.

    report = check_gradient(scale, scale_backward, {"u": u, "s": s})
    print(report)
    assert report.ok
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from types import SimpleNamespace
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import ArrayLike, DTypeLike

from npse.gradcheck.cases.case import Case, cast
from npse.gradcheck.diagnosis import explain_exception
from npse.gradcheck.draw import draw_arguments
from npse.gradcheck.judge import judge
from npse.gradcheck.kinks import AtKinks
from npse.gradcheck.measure import MOST_ENTRIES, USUAL, Options, is_the_books
from npse.gradcheck.progress import ProgressLine
from npse.gradcheck.raised import Watched, interrupted, raised
from npse.gradcheck.results import Report, Result
from npse.gradcheck.steps import TOLERANCE
from npse.support.names import suggest
from npse.types import Arguments, Array, Ops

Returned: TypeAlias = ArrayLike | Sequence[ArrayLike] | dict[str, Any]
"""What a backward pass may return: the gradient of one argument, or of several, in order or by name."""


def check_case(case: Case, ops: Ops, seed: int = 0, book: Ops | None = None,
               options: Options = USUAL) -> list[Result]:
    """Check one case: gradients, float32, contract and, given a book, agreement with it.

    Parameters
    ----------
    case : Case
    ops : the edition to check, any object that has the ops as attributes
    seed : int
        Seed and case fix every random number, whatever else is checked.
    book : another edition, optional
        Every call must give the same result as this edition.
    options : Options

    Returns
    -------
    list of Result
        If an op raises, the last result says so.
    """
    results, watched = [], Watched(ops)
    try:
        for result in judge(case, watched, seed, None if book is ops else book, options):
            results.append(result)
    except (Exception, SystemExit) as error:
        culprit = watched.culprit(error)
        repair = _repair(case, ops, seed) if culprit else ""
        cause = watched.refused(book) if culprit and book is not None and is_the_books(culprit) else None
        results.append(raised(case.op, case.label, error, culprit, repair, cause))
    return results


def _repair(case: Case, ops: Ops, seed: int) -> str:
    """What must be changed in a backward pass that raises an exception; "" if it is not known."""
    try:
        return explain_exception(case, ops, draw_arguments(case, seed)) if case.wrt else ""
    except (Exception, SystemExit):      # forward raises too, or the op does not take other arguments
        return ""


def check_gradient(forward: Callable[..., ArrayLike], backward: Callable[..., Returned], arguments: Mapping[str, Any],
                   wrt: str | Sequence[str] | None = None, kinks: Callable[..., AtKinks] | None = None, seed: int = 0,
                   float32: bool = True, entries: int = MOST_ENTRIES, tolerance: float = TOLERANCE,
                   step: float | None = None, taylor: bool = False,
                   torch: Callable[..., Any] | None = None, jax: Callable[..., Any] | None = None) -> Report:
    """Check a backward pass of your own against central differences, and its contract.

    Both functions receive the arguments by name.

    Parameters
    ----------
    forward : function of (**arguments) -> array
    backward : function of (dy, **arguments) -> gradients
        ``dy`` is shaped like the result of forward. The gradients are shaped like their arguments, in the order of
        ``wrt``: one array, a tuple, or a dict by name.
    arguments : dict of arrays
        Floating arrays and lists of floats become float64; other values are passed unchanged, a float such as
        ``eps=1e-5`` among them. Use small arrays: each entry costs two calls of forward. Arrays of more than 4000
        entries are checked by a sample of entries, and by random directions through all.
    wrt : sequence of str, optional
        The arguments to differentiate; by default every floating array, or if there is none every float.
    kinks : function of (**arguments) -> array or list of arrays, optional
        The input of each ReLU inside forward (or its mask, or the indices of a maximum). Entries whose step crosses a
        kink are left out and reported.
    seed : int
        Seed of the random upstream gradients.
    float32 : bool
        Whether float32 arguments must give float32 results, close to those in float64.
    entries : int
        The most entries of an array that are looked at one by one.
    tolerance : float
        Of the relative error.
    step : float, optional
        Step of the central difference, relative to the size of an entry; by default 6e-6. Where it does not suit an
        entry, a smaller one is taken.
    taylor : bool
        Whether to check too that the remainder of the first-order Taylor expansion falls as the square of the step.
    torch : function of (**arguments) -> tensor, optional
        The same forward pass in PyTorch. The gradients must be those that PyTorch takes of it.
    jax : function of (**arguments) -> array of JAX, optional
        Likewise.

    Returns
    -------
    Report
        ``.ok``, ``.results``, ``.failures``; print it to read it. Ctrl-C ends the check: then what is known is
        returned, and a last result that says so.

    Raises
    ------
    ValueError, TypeError
        There is nothing to differentiate, an argument cannot be differentiated (it holds integers, is masked, empty or
        not finite), or a result is not as described here.

    Examples
    --------
    >>> x = np.array([[1.0, -2.0], [3.0, 0.5]])
    >>> check_gradient(lambda x: x**2, lambda dy, x: 2 * dy * x, {"x": x}).ok
    True
    """
    arguments, wrt = prepared(arguments, wrt)
    case = _Given(ops=(getattr(forward, "__name__", "forward"),), label="given arguments", make=lambda rng: arguments,
                  forward=lambda ops, **a: ops.forward(**a), wrt=wrt, kinks=kinks,
                  backward=lambda ops, dy, **a: _in_order(ops.backward(dy, **a), wrt))
    ops = SimpleNamespace(forward=forward, backward=backward)
    results, progress = [], ProgressLine()
    others = {name: other for name, other in (("torch", torch), ("jax", jax)) if other is not None}
    options = Options(entries, tolerance, step, float32, taylor, others, progress)
    try:
        for result in judge(case, ops, seed, options=options):
            results.append(result)
    except KeyboardInterrupt:
        results.append(interrupted(case.op, case.label))
    except SystemExit as error:                                   # the caller's program must not end without a word
        raise RuntimeError(f"forward or backward ends the program: sys.exit({error.code})") from error
    finally:
        progress.clear()
    return Report(tuple(results))


def prepared(arguments: Mapping[str, Any], wrt: str | Sequence[str] | None = None) -> tuple[Arguments, tuple[str, ...]]:
    """Arguments as `check_gradient` passes them on, and which of them it differentiates; its errors about both."""
    if not isinstance(arguments, Mapping):
        raise TypeError(f"arguments must be a dict of arrays by name, but is a {type(arguments).__name__}; "
                        'write {"x": x}')
    is_scalar = {name: isinstance(value, (float, np.floating)) for name, value in arguments.items()}
    arrays = {name: cast(_as_array(name, value), np.float64) for name, value in arguments.items()}
    names = _differentiable(arrays, is_scalar, wrt)
    return {name: float(arguments[name]) if is_scalar[name] and name not in names else value
            for name, value in arrays.items()}, names


def _as_array(name: str, value: Any) -> Any:
    """Lists of numbers, floats and NumPy scalars as arrays; other values unchanged."""
    if isinstance(value, np.ndarray) and type(value) not in (np.ndarray, np.memmap):
        raise TypeError(f"{name} must be a plain array, but is a {type(value).__name__}; use np.asarray({name})")
    if not isinstance(value, (list, float, np.generic)):
        return value
    try:
        return np.asarray(value)
    except ValueError as error:
        raise ValueError(f"{name} is a list that cannot become an array: its rows differ in length or depth") from error


def _differentiable(arguments: Arguments, is_scalar: Mapping[str, bool],
                    wrt: str | Sequence[str] | None) -> tuple[str, ...]:
    """The names of the arguments to differentiate, each a floating array of finite numbers."""
    kind_of = {name: value.dtype.kind for name, value in arguments.items() if isinstance(value, np.ndarray)}
    floating = [name for name, kind in kind_of.items() if kind == "f"]
    if wrt is None:
        arrays = [name for name in floating if not is_scalar[name]]
        names = tuple(arrays or floating or kind_of)      # if none is floating all arrays, for the error below
    elif not len(wrt):
        raise ValueError(f"wrt must name an argument to differentiate (here: {', '.join(floating)}), but is empty")
    else:
        names = (wrt,) if isinstance(wrt, str) else tuple(wrt)
    for name in names:
        if name not in arguments:
            raise ValueError(f"wrt names {name}, which is not among the arguments; {suggest(name, arguments)}")
        if name not in floating:
            raise ValueError(f"{name} cannot be differentiated: it {_described(arguments[name])}")
        _expect_finite(name, arguments[name])
    if not names:
        raise ValueError("there is nothing to differentiate: no argument is an array of floating-point numbers")
    return names


def _expect_finite(name: str, x: Array) -> None:
    if not x.size:
        raise ValueError(f"{name} is empty, its shape is {x.shape}: there is nothing to differentiate")
    for place in map(tuple, np.argwhere(~np.isfinite(x)).tolist()):
        raise ValueError(f"{name} holds {x[place]} at {place}; a difference quotient needs finite numbers")


def _described(value: Any) -> str:
    if not isinstance(value, np.ndarray):
        return f"is a {type(value).__name__}, not an array"
    advice = "; use .astype(float)" if value.dtype.kind in "iub" else ""
    return f"holds numbers of dtype {value.dtype}, not floating-point numbers{advice}"


class _Given(Case):
    """A case with given arguments, which may lie near a kink."""

    def arguments(self, rng: np.random.Generator, dtype: DTypeLike = np.float64) -> Arguments:
        return {name: cast(value, dtype) for name, value in self.make(rng).items()}


def _in_order(gradients: Returned, wrt: tuple[str, ...]) -> Sequence[ArrayLike]:
    if isinstance(gradients, dict):
        if missing := set(wrt) - set(gradients):
            raise ValueError(f"backward returns no gradient of {', '.join(sorted(missing))}; "
                             f"expected: {', '.join(wrt)}")
        return tuple(gradients[name] for name in wrt)
    return gradients if isinstance(gradients, (tuple, list)) else (gradients,)
