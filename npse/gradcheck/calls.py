"""Calls of ops, recorded with copies of their arguments, so that they can be repeated and compared."""

import inspect
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from npse.support.wrapped import Wrapped
from npse.types import Array, Op, Ops


@dataclass(frozen=True)
class Call:
    """One recorded call of an op.

    Attributes
    ----------
    name : str
    op : function
    before : dict of (position or name) -> value
        Copies of the arguments, made before the call.
    results : tuple of arrays
        Copies of the results.
    changed : tuple of str
        Names of the arguments that the call changed.
    held : tuple of (name, array, copy)
        The arrays themselves, arguments and results, and copies made right after the call.
    """

    name: str
    op: Op
    before: dict[int | str, Any]
    results: tuple[Array, ...]
    changed: tuple[str, ...]
    held: tuple[tuple[str, Array, Array], ...] = ()

    def repeat(self, op: Op | None = None, arrange: Callable[[Array], Array] = np.copy) -> tuple[Array, ...]:
        """Results of the same call again, of another op, or with each array argument replaced by ``arrange(array)``."""
        fresh = {key: arrange(value) if isinstance(value, np.ndarray) else value
                 for key, value in self.before.items()}
        options = {key: fresh.pop(key) for key in list(fresh) if isinstance(key, str)}
        return arrays_of((op or self.op)(*fresh.values(), **options))


class Recording(Wrapped):
    """An edition that keeps every call, in order, in ``.calls``."""

    def __init__(self, ops: Ops) -> None:
        super().__init__(ops, self._record)
        self.calls: list[Call] = []

    def _record(self, name: str, op: Op, arguments: tuple[Any, ...], options: dict[str, Any]) -> Any:
        given = dict(enumerate(arguments)) | options
        before = {key: copy_of(value) for key, value in given.items()}
        result = op(*arguments, **options)
        changed = tuple(title_of(op, key) for key, value in given.items()
                        if isinstance(value, np.ndarray) and not identical(value, before[key]))
        copies = tuple(map(np.copy, arrays_of(result)))
        held = [(title_of(op, key), value, value.copy()) for key, value in given.items()
                if isinstance(value, np.ndarray)]
        held += [("its result", *pair) for pair in zip(arrays_of(result), copies, strict=True)]
        self.calls.append(Call(name, op, before, copies, changed, tuple(held)))
        return result


def title_of(op: Op, key: int | str) -> str:
    """The name of an argument, for messages; its position if it has no name."""
    if isinstance(key, str):
        return key
    names = list(inspect.signature(op).parameters)
    return names[key] if key < len(names) else f"argument {key}"


def arrays_of(result: Any) -> tuple[Array, ...]:
    """The results of a call: an array, or several in a tuple, a list or a dict."""
    result = tuple(result.values()) if isinstance(result, dict) else result
    return tuple(map(np.asarray, result if isinstance(result, (tuple, list)) else (result,)))


def copy_of(value: Any) -> Any:
    """A copy of an array; any other value as it is."""
    return value.copy() if isinstance(value, np.ndarray) else value


def is_floating(value: Any) -> bool:
    """Whether a value is an array (or a NumPy scalar) of floating-point numbers."""
    return isinstance(value, (np.ndarray, np.floating)) and value.dtype.kind == "f"


def identical(a: Array, b: Array) -> bool:
    """Whether two arrays have the same bits, dtype and shape."""
    return a.dtype == b.dtype and a.shape == b.shape and a.tobytes() == b.tobytes()
