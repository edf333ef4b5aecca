"""A function of arrays that is recorded where the active edition can record, and then started by one call."""

import os
from collections.abc import Callable, Iterable
from typing import Any

import numpy as np

from npse.backend import active, may_record, on_device
from npse.types import Array


def can_record() -> bool:
    """Whether the active edition can record now, and the environment does not contain NPSE_GRAPH=0."""
    return may_record() and os.environ.get("NPSE_GRAPH") != "0"


class Recorded:
    """Calls a function of arrays; recorded from the second call with arguments of the shapes of the first.

    The recorded work reads and writes the same memory each time. So the arguments are copied into arrays of its own,
    and the results are copied out. Whatever else the function reads or changes in place must stay the same arrays until
    `forget` is called. If it cannot be recorded, as when it copies to the host, every call is a plain one. So is a call
    within `npse.backend.op_by_op`. On the CPU the call after the recording is made in both ways, and the results must
    be equal.

    Parameters
    ----------
    function : function of arrays -> tuple of arrays
    say : function of a line
        Called with the reason if the function cannot be recorded.
    changed : function without arguments -> arrays
        Returns all arrays that ``function`` changes.
    """

    def __init__(self, function: Callable[..., tuple[Array, ...]],
                 say: Callable[[Exception], None] = lambda error: None,
                 changed: Callable[[], Iterable[Array]] = tuple) -> None:
        self._function, self._say, self._changed, self._able = function, say, changed, True
        self._kinds: tuple[Any, ...] | None = None                # shapes and dtypes of the arguments
        self._arguments: tuple[Array, ...] = ()                   # of the recorded work, as are its results
        self._results: tuple[Array, ...] = ()
        self._start: Any = None
        self._checked = False

    def __call__(self, *arguments: Array) -> tuple[Array, ...]:
        """Return new arrays; the device may not have computed them yet."""
        kinds = tuple((x.shape, x.dtype) for x in arguments)
        if self._kinds is None:               # the first call compiles the kernels
            self._kinds = kinds
            return self._function(*arguments)
        if kinds != self._kinds or not self._able or not can_record():
            return self._function(*arguments)
        if self._start is None:
            self._arguments = _copies(arguments)
            self._start = self._recorded()
            if self._start is None:
                return self._function(*arguments)
            self._start()
            return _copies(self._results)
        for new, place in zip(arguments, self._arguments, strict=True):
            active().copy(new, place)
        if not (self._checked or on_device()):
            return self._compared()
        self._start()
        return _copies(self._results)

    def forget(self) -> None:
        """Record the function again in the next call, because other arrays took the place of those that it uses."""
        self._start, self._checked = None, False

    def _compared(self) -> tuple[Array, ...]:
        """Return the results of a plain call. If a recorded one gives others, nothing is recorded from now on."""
        before = self._state()
        self._start()
        found = [*_copies(self._results), *self._state()]
        self._restore(before)
        with self._start.lent_memory():
            plain = self._function(*self._arguments)
        results, self._checked = _copies(plain), True
        expected = [*results, *self._changed()]
        if not all(np.array_equal(*pair, equal_nan=True) for pair in zip(found, expected, strict=True)):
            self._able, self._start = False, None
            self._say(RuntimeError("a recorded call gave other numbers than a plain one"))
        return results

    def _recorded(self) -> Callable[[], Any] | None:
        """Return a function that starts the recorded work; None if it cannot be recorded."""
        def task() -> None:
            self._results = self._function(*self._arguments)
        before = [] if on_device() else self._state()             # on a device the work is recorded without being done
        try:
            start: Callable[[], Any] = active().record(task)
        except Exception as error:            # of any kind: a plain call gives the same, and reports what is wrong
            self._able = False
            self._restore(before)
            self._say(error)
            return None
        return start

    def _state(self) -> list[Array]:
        """Return copies of the arrays that the function changes."""
        return [array.copy() for array in self._changed()]

    def _restore(self, state: list[Array]) -> None:
        """Set these arrays to a result of `_state`."""
        for array, old in zip(self._changed(), state, strict=False):
            np.copyto(array, old)


def _copies(arrays: Iterable[Array]) -> tuple[Array, ...]:
    """Return copies of arrays, which the next start does not overwrite."""
    copies = []
    for array in arrays:
        copies.append(active().empty_like(array))
        active().copy(array, copies[-1])
    return tuple(copies)
