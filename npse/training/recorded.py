"""A function of arrays that is recorded where the active edition can record, and then started by one call."""

import os
from collections.abc import Callable
from typing import Any

import numpy as np

from npse.backend import active, may_record, on_device
from npse.types import Array


def can_record() -> bool:
    """Whether the active edition can record now, and the environment does not contain NPSE_GRAPH=0."""
    return may_record() and os.environ.get("NPSE_GRAPH") != "0"


def can_record_steps() -> bool:
    """Whether training steps can be recorded too: on a device, where all of a step happens in place."""
    return can_record() and on_device()


class Recorded:
    """Calls a function of arrays; recorded from the second call with arguments of the shapes of the first.

    The recorded work reads and writes the same memory each time. So the arguments are copied into arrays of its own,
    and the results are copied out. Whatever else the function reads or changes in place must stay the same arrays. If
    it cannot be recorded, as when it copies to the host, every call is a plain one. So is a call within
    `npse.backend.op_by_op`. On the CPU the third call is made in both ways, and the results must be equal.

    Parameters
    ----------
    function : function of arrays -> tuple of arrays
    say : function of a line
        Called with the reason if the function cannot be recorded.
    """

    def __init__(self, function: Callable[..., tuple[Array, ...]],
                 say: Callable[[Exception], None] = lambda error: None) -> None:
        self._function, self._say, self._able = function, say, True
        self._kinds: tuple[Any, ...] | None = None                # shapes and dtypes of the arguments
        self._arguments: tuple[Array, ...] = ()                   # of the recorded work, as are its results
        self._results: tuple[Array, ...] = ()
        self._start: Callable[[], Any] | None = None
        self._checked = False

    def __call__(self, *arguments: Array) -> tuple[Array, ...]:
        """Return new arrays; the device may not have computed them yet."""
        kinds = tuple((x.shape, x.dtype) for x in arguments)
        if self._kinds is None:               # the first call compiles the kernels
            self._kinds = kinds
            return self._function(*arguments)
        if kinds != self._kinds or not self._able or not can_record():
            return self._function(*arguments)
        if is_new := self._start is None:
            self._arguments = tuple(map(_copied, arguments))
            self._start = self._recorded()
            if self._start is None:
                return self._function(*arguments)
        else:
            for new, place in zip(arguments, self._arguments, strict=True):
                active().copy(new, place)
        self._start()
        results = tuple(map(_copied, self._results))
        return results if is_new or self._checked or on_device() else self._compared(results, arguments)

    def _compared(self, results: tuple[Array, ...], arguments: tuple[Array, ...]) -> tuple[Array, ...]:
        """Return the results of a plain call. If those of a recorded call differ, nothing is recorded from now on."""
        expected, self._checked = self._function(*arguments), True
        if not all(np.array_equal(*pair, equal_nan=True) for pair in zip(results, expected, strict=True)):
            self._able, self._start = False, None
            self._say(RuntimeError("a recorded call gave other numbers than a plain one"))
        return expected

    def _recorded(self) -> Callable[[], Any] | None:
        """Return a function that starts the recorded work; None if it cannot be recorded."""
        def task() -> None:
            self._results = self._function(*self._arguments)
        try:
            start: Callable[[], Any] = active().record(task)
        except Exception as error:            # of any kind: a plain call gives the same, and reports what is wrong
            self._able = False
            self._say(error)
            return None
        return start


def _copied(array: Array) -> Array:
    """Return a copy, which the next start does not overwrite."""
    copy = active().empty_like(array)
    active().copy(array, copy)
    return copy
