"""A function of arrays that is recorded where the active edition can record, and then started by one call."""

import os
from collections.abc import Callable
from typing import Any

from npse.backend import active
from npse.types import Array


def can_record() -> bool:
    """Whether the active edition can record, and the environment does not contain NPSE_GRAPH=0."""
    return hasattr(active(), "record") and os.environ.get("NPSE_GRAPH") != "0"


class Recorded:
    """Calls a function of arrays; recorded from the second call with arguments of the shapes of the first.

    The recorded work reads and writes the same memory each time. So the arguments of later calls are copied into the
    arrays of the first, which others must not use afterwards, and the results are copied out. Whatever else the
    function reads or changes in place must stay the same arrays. If it cannot be recorded, as when it copies to the
    host, every call is a plain one.

    Parameters
    ----------
    function : function of arrays -> tuple of arrays
    say : function of a line
        Called with the reason if the function cannot be recorded.
    """

    def __init__(self, function: Callable[..., tuple[Array, ...]],
                 say: Callable[[Exception], None] = lambda error: None) -> None:
        self._function, self._say, self._able = function, say, can_record()
        self._arguments: tuple[Array, ...] = ()
        self._results: tuple[Array, ...] = ()
        self._start: Callable[[], Any] | None = None

    def __call__(self, *arguments: Array) -> tuple[Array, ...]:
        """Return new arrays; the device may not have computed them yet."""
        if not self._arguments:               # the first call compiles the kernels
            self._arguments = arguments
            return self._function(*arguments)
        if self._able and self._start is None:
            self._start = self._recorded()
        if self._start is None or [x.shape for x in arguments] != [x.shape for x in self._arguments]:
            return self._function(*arguments)
        for new, place in zip(arguments, self._arguments, strict=True):
            active().copy(new, place)
        self._start()
        return tuple(map(_copied, self._results))

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
