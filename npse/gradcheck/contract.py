"""Checks besides the gradient: no mutation, the same result twice, dtype, memory layout, linearity in dy.

Each call of an op is recorded with its arguments, and repeated with other copies of them. So the arrays that forward
hands to backward are checked as well as the arguments of the case.
"""

from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from npse.gradcheck.calls import Call, Recording, copy_of, identical, is_floating, title_of
from npse.support.wrapped import Wrapped
from npse.types import Array, Op, Ops

SUM_ORDER_FLOAT64 = 1e-12    # relative deviation that a different order of additions may cause
SUM_ORDER_FLOAT32 = 1e-5
STEP = 1e-6          # relative change of an argument that its float32 version shows
TINY = 1e-12         # relative change that it does not show
DIRECTIONS = 4       # of such changes: rounding of the result may deceive along one of them, and a kink along those of
                     # one sign, if a number lies so close to it that a step crosses the kink and a tiny one does not


class Guarded(Wrapped):
    """An edition whose ops work on copies of their arguments; ``.changes`` tells what the first of them changes."""

    def __init__(self, ops: Ops) -> None:
        super().__init__(ops, self._on_copies)
        self.changes = ""

    def _on_copies(self, name: str, op: Op, arguments: tuple[Any, ...], options: dict[str, Any]) -> Any:
        recording = Recording(self._ops)
        result = getattr(recording, name)(*map(copy_of, arguments), **{k: copy_of(v) for k, v in options.items()})
        call, = recording.calls
        if call.changed and not self.changes:
            self.changes = f"{name} {unchanged(call)}"
        return result


def deviation(ours: ArrayLike, theirs: ArrayLike, backdrop: float = 0.0) -> float:
    """Largest difference of two arrays, relative to the largest value in ``theirs``; infinite if shapes differ.

    ``backdrop`` is the size of the values from which ``theirs`` was computed. If ``theirs`` is smaller than a tenth of
    it, the difference is relative to that tenth: the values are small by cancellation, and rounding is not.
    """
    if np.shape(ours) != np.shape(theirs):
        return np.inf
    ours, theirs = (np.asarray(a, np.float64) for a in (ours, theirs))
    scale = max(_largest(theirs), 0.1 * backdrop, np.finfo(float).tiny)
    with np.errstate(invalid="ignore"):
        worst = np.abs(ours - theirs).max(initial=0) / scale
    return np.inf if np.isnan(worst) else float(worst)


def unchanged(call: Call) -> str | None:
    """No argument is written to, during the call or later, and no result after it was returned.

    A rule: it returns what is wrong with a call, or None.
    """
    if call.changed:
        return f"changes {_and(call.changed)}: write into a new array"
    later = [title for title, array, copy in call.held if not identical(array, copy)]
    return f"has ended, but {_and(later)} changes later: keep no array, write into a new one" if later else None


def repeatable(call: Call) -> str | None:
    """The same arguments give the same result, bit for bit."""
    same = all(map(identical, call.repeat(), call.results))
    return None if same else "gives a different result when called again with the same arguments"


def same_dtype(call: Call) -> str | None:
    """dtype in = dtype out."""
    wanted = {value.dtype for value in call.before.values() if is_floating(value)}
    found = {result.dtype for result in call.results} if len(wanted) == 1 else wanted
    if found - wanted:
        return f"is given {_and(wanted)} but returns {_and(found - wanted)}"
    if wanted != {np.dtype(np.float64)}:
        return None
    return next((f"is given float64 but rounds {title_of(call.op, key)}, or what follows from it, to float32"
                 for key in call.before if _is_rounded(call, key)), None)


def _is_rounded(call: Call, key: int | str) -> bool:
    """Whether the last digits of an argument are rounded away before all or a part of a result is computed.

    A smooth function has the same slope for a small step and for a tiny one. Where a float32 copy of the argument is
    used, a tiny step changes nothing, along any direction. The slopes of a step and of its double tell how exact both
    slopes are.
    """
    value = call.before[key]
    if not isinstance(value, np.ndarray) or not is_floating(value) or not value.any():
        return False
    rng = np.random.default_rng(0)

    def slopes(direction: Array, step: float) -> list[Array]:
        moved = replace(call, before=call.before | {key: value + step * direction}).repeat()
        return [(np.asarray(a, np.float64) - b) / step for a, b in zip(moved, call.results, strict=True)]

    def differ(small: Array, twice: Array, tiny: Array, twice_tiny: Array, result: Array) -> bool:
        noise = _largest(twice - small) + _largest(twice_tiny - tiny)
        return _largest(tiny - small) > max(4 * noise, 1e-3 * _largest(small), 1e-2 * _largest(result))

    def any_differs(sign: int) -> bool:
        direction = sign * value * rng.uniform(0.5, 1, value.shape)
        found = [slopes(direction, step) for step in (STEP, 2 * STEP, TINY, 2 * TINY)]
        return any(differ(*each) for each in zip(*found, call.results, strict=True))

    with np.errstate(all="ignore"):
        try:
            return all(any_differs((-1) ** k) for k in range(DIRECTIONS))
        except ValueError:                                        # shapes that depend on the values
            return False


def interpreted(op: Op) -> Op:
    """A function as Python runs it, if Numba compiles it: a compilation for each memory layout takes seconds.

    Any other function is returned as it is, with its decorators.
    """
    inner = op
    while hasattr(inner, "__wrapped__") and not hasattr(inner, "py_func"):
        inner = inner.__wrapped__
    return getattr(inner, "py_func", op)


def any_layout(call: Call) -> str | None:
    """The result does not depend on the memory layout of arrays, nor on whether they are writable."""
    for description, arrange in (("non-contiguous", strided), ("Fortran-ordered", fortran), ("read-only", frozen)):
        try:
            worst = _worst_deviation(call.repeat(interpreted(call.op), arrange), call)
        except ValueError as error:
            return f"fails for {description} arrays: {error}"
        if not worst <= _same(call):
            return f"gives a different result for {description} arrays (relative difference {worst:.1e})"
    return None


RULES = {"unchanged": unchanged, "repeatable": repeatable, "dtype": same_dtype, "layout": any_layout}


def disagreement(book: Ops, call: Call) -> tuple[str | None, float]:
    """Compare a call with the same call of the book: (what is wrong or None, worst deviation)."""
    try:
        theirs = call.repeat(getattr(book, call.name))
    except (ValueError, TypeError) as error:
        return f"is called with what the book refuses: {error}", np.inf
    ours_are, theirs_are = ([str(result.dtype) for result in results] for results in (call.results, theirs))
    if ours_are != theirs_are:
        return f"returns {_and(ours_are)}, the book {_and(theirs_are)}", np.inf
    worst = _worst_deviation(theirs, call)
    return None if worst <= _same(call) else f"differs from the book by {worst:.1e} of the largest entry", worst


def nonlinear(backward: Callable[[Array], tuple[Array, ...]], dy: Array, other: Array) -> str:
    """Check that backward(2 dy - 3 other) = 2 backward(dy) - 3 backward(other): what is wrong, or "".

    All three results exist at the same time, so a function that returns one array each time is detected. Then the same
    for an upstream gradient of ones, which a function may treat in another way. Results that are not finite say
    nothing: the check of the gradient reports them.
    """
    if _breaks_the_sum(backward(dy * 2 - other * 3), (2, backward(dy)), (-3, backward(other)), dy):
        return "is not linear in dy: every term of a gradient has the upstream gradient as a factor, once"
    ones = np.ones_like(dy)[()]
    if _breaks_the_sum(backward(ones), (1, backward(ones - dy)), (1, backward(dy)), ones):
        return "is not linear in dy: where dy is 1 everywhere, it is computed in another way"
    return ""


def _breaks_the_sum(together: tuple[Array, ...], one: tuple[float, tuple[Array, ...]],
                    other: tuple[float, tuple[Array, ...]], dy: Array) -> bool:
    """Whether a gradient differs from the sum of two others, each given with its factor."""
    (a, firsts), (b, seconds) = one, other
    return any(np.isfinite(first).all() and np.isfinite(second).all() and not deviation(
        whole, a * first + b * second, max(map(_largest, (first, second, dy)))) <= SUM_ORDER_FLOAT64
        for whole, first, second in zip(together, firsts, seconds, strict=True))


def strided(x: Array) -> Array:
    """The same array as a view with gaps, which hold values that no op may read."""
    if x.ndim == 0:
        return x
    gap = np.iinfo(x.dtype).max if x.dtype.kind in "iu" else np.nan          # in an array of bool nan is True
    wide = np.full((*x.shape[:-1], 2 * x.shape[-1]), gap, x.dtype)
    wide[..., ::2] = x
    return wide[..., ::2]


def fortran(x: Array) -> Array:
    """The same array in Fortran order: its first axis is contiguous."""
    return x.copy(order="F")


def frozen(x: Array) -> Array:
    """The same array, read-only."""
    x = x.copy()
    x.flags.writeable = False
    return x


def _worst_deviation(results: tuple[Array, ...], call: Call) -> float:
    backdrop = max(_largest(a) for a in (*call.before.values(), *call.results) if is_floating(a))
    pairs = [_without_equal_nonfinite(ours, theirs) for ours, theirs in zip(results, call.results, strict=True)]
    return max(deviation(ours, theirs, backdrop) for ours, theirs in pairs)


def _without_equal_nonfinite(ours: Array, theirs: Array) -> tuple[Array, Array]:
    """Both arrays with 0 where both hold the same infinity, or both nan: there they agree."""
    if ours.shape != theirs.shape:
        return ours, theirs
    equal = ~np.isfinite(theirs) & ((ours == theirs) | (np.isnan(ours) & np.isnan(theirs)))
    return np.where(equal, 0, ours), np.where(equal, 0, theirs)


def _same(call: Call) -> float:
    in_float64 = all(a.dtype == np.float64 for a in call.before.values() if is_floating(a))
    return SUM_ORDER_FLOAT64 if in_float64 else SUM_ORDER_FLOAT32


def _largest(a: Array) -> float:
    return float(np.abs(a).max(initial=0))


def _and(names: Iterable[object]) -> str:
    return " and ".join(sorted(map(str, names)))
