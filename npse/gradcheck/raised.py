"""What is reported if an op raises an exception: which op, and where in its file."""

import functools
import inspect
import traceback
from dataclasses import replace
from pathlib import Path
from typing import Any

from npse.gradcheck.calls import arrays_of
from npse.gradcheck.diagnosis import Diagnosis, explain_call, explain_contract
from npse.gradcheck.measure import is_the_books
from npse.gradcheck.results import CANNOT_TELL, WRONG, Result
from npse.support.wrapped import Wrapped
from npse.types import Op, Ops

PACKAGE = Path(__file__).resolve().parents[1]      # npse itself: its lines are of no use to the author of an op


class Watched(Wrapped):
    """An edition that remembers which op raised an exception, and what ops outside of the book returned last."""

    def __init__(self, ops: Ops) -> None:
        super().__init__(ops, self._watch)
        self._last: tuple[BaseException | None, Op | None] = None, None
        self._returned: dict[str, tuple[tuple[Any, ...], dict[str, Any], Any]] = {}

    def culprit(self, error: BaseException) -> Op | None:
        """The op that raised this exception; None if none did."""
        raised, op = self._last
        return op if raised is error else None

    def refused(self, book: Ops) -> Diagnosis | None:
        """What an op returned that has not the shape or dtype of the book's result: other ops of the book refuse it."""
        for name, (arguments, options, result) in self._returned.items():
            try:
                theirs = arrays_of(getattr(book, name)(*arguments, **options))
            except (AttributeError, TypeError, ValueError):       # the book has no such op, or refuses the arguments
                continue
            ours = arrays_of(result)
            pairs = list(zip(ours, theirs, strict=False))
            refused = [one if (one.shape, one.dtype) != (its.shape, its.dtype) else its for one, its in pairs]
            if len(ours) == len(theirs) and any(one is not its for one, its in zip(refused, theirs, strict=True)):
                return explain_call(name, refused, theirs)
        return None

    def _watch(self, name: str, op: Op, arguments: tuple[Any, ...], options: dict[str, Any]) -> Any:
        try:
            result = op(*arguments, **options)
        except BaseException as error:
            self._last = error, op
            raise
        if not is_the_books(op):
            self._returned[name] = arguments, options, result
        return result


def raised(op: str, label: str, error: BaseException, culprit: Op | None = None, repair: str = "",
           cause: Diagnosis | None = None) -> Result:
    """The result if an op raises an exception.

    ``culprit`` is the function that did, if it is known; ``repair`` says what must be changed, if that is known;
    ``cause`` says what another function returned that the culprit refuses.
    """
    if cause:
        text = cause.text.removesuffix(".") + (f": {repair}" if repair else "")
        return Result(op, label, "runs", WRONG, message=f"raises {type(error).__name__}: {error}",
                      diagnosis=replace(cause, text=f"{text}."))
    complaint = str(error) if culprit is None and _is_the_judges(error) else f"raises {type(error).__name__}: {error}"
    name = getattr(unwrapped(culprit), "__name__", op) if culprit else op
    where = place(error, culprit) if culprit else ""
    text = f"{name} {complaint}" + (f" ({where})" if where else "") + (f": {repair}" if repair else "")
    return Result(op, label, "runs", WRONG, message=complaint, diagnosis=explain_contract("runs", text))


def interrupted(op: str, label: str) -> Result:
    """The last result after Ctrl-C."""
    return Result(op, label, "runs", CANNOT_TELL, message="interrupted: the rest was not checked")


def place(error: BaseException, culprit: Op) -> str:
    """The last line of the culprit's file that an exception came through, as "mine.py, line 7"; "" if it is npse's."""
    code = getattr(unwrapped(culprit), "__code__", None)
    if code is None or PACKAGE in Path(code.co_filename).parents:
        return ""
    lines = [line for name, line in _frames(error) if name == code.co_filename]
    return f"{Path(code.co_filename).name}, line {lines[-1]}" if lines else ""


def unwrapped(op: Op) -> Op:
    """The function under decorators, Numba's among them, and under `functools.partial`."""
    op = inspect.unwrap(op)
    return unwrapped(op.func) if isinstance(op, functools.partial) else op


def _is_the_judges(error: BaseException) -> bool:
    """Whether the judge itself raised an exception, such as one about what a function returns."""
    frames = _frames(error)
    return bool(frames) and PACKAGE / "gradcheck" in Path(frames[-1][0]).parents


def _frames(error: BaseException) -> list[tuple[str, int | None]]:
    """File and line of each call that an exception came through."""
    return [(frame.filename, frame.lineno) for frame in traceback.extract_tb(error.__traceback__)]
