"""How a compiled edition replaces ops of the book: it checks a call by the declaration of the op and places its arrays.

    replaces = Dispatcher(place=contiguous).replaces          # one for each edition

    @replaces(book.scale)
    def scale(u, s):                                          # shapes, dtype and memory layout are settled here
"""

import functools
import importlib
import pkgutil
from collections.abc import Callable, Iterable
from typing import Any

import numpy as np

from npse.types import Op

COMPILED = frozenset({np.dtype(np.float32), np.dtype(np.float64)})
CHAPTERS = ("excitations",)         # folders of the book that hold chapters


class Dispatcher:
    """Decorates the compiled ops of an edition.

    Parameters
    ----------
    place : function of an argument
        Returns an array in the form that kernels take (contiguous, or on the device), and other values unchanged.
    fetch : function of an argument
        Returns an array in the form that the book takes, and other values unchanged.
    seen : function of an argument
        Returns what the checks of elements may read without waiting for a device.
    is_recording : function without arguments
        Returns whether calls are recorded, see `npse.cpu.runtime.recording`.
    as_one : function of an op and its arguments
        Calls an op that is not recordable while calls are recorded.
    """

    def __init__(self, place: Callable[[Any], Any], fetch: Callable[[Any], Any] = lambda value: value,
                 seen: Callable[[Any], Any] = lambda value: value, is_recording: Callable[[], bool] = bool,
                 as_one: Callable[..., Any] = lambda op, *arguments, **options: op(*arguments, **options)) -> None:
        self._place, self._fetch, self._seen, self._is_recording = place, fetch, seen, is_recording
        self._as_one = as_one

    def replaces(self, op: Op, recordable: bool = False) -> Callable[[Op], Op]:
        """Decorate the compiled version of an op of the book; it gets the docstring of that op and has its signature.

        ``recordable`` declares that it can be recorded part by part, see `npse.cpu.runtime.recording`.

        It is called with checked and placed arrays of float32 and float64. A call with arrays of another
        floating-point type (half, long double, complex, foreign byte order) goes to the book.
        """
        declared: Any = op
        contract, place, fetch, seen, as_one = declared.contract, self._place, self._fetch, self._seen, self._as_one
        is_recording = bool if recordable else self._is_recording

        def decorate(fast: Op) -> Op:
            fast.__annotations__ = op.__annotations__         # types are stated in the book, help() shows them here too

            @functools.wraps(fast)
            def chosen(*arguments: Any, **options: Any) -> Any:
                if is_recording():                # afterwards this call is not recorded
                    return as_one(chosen, *arguments, **options)
                if contract.check(arguments, options, seen) <= COMPILED:
                    return fast(*map(place, arguments), **{name: place(value) for name, value in options.items()})
                given, named = map(fetch, arguments), {name: fetch(value) for name, value in options.items()}
                return as_one(op, *given, **named)

            replacement: Any = chosen
            replacement.__doc__, replacement.contract, replacement.replaced = op.__doc__, contract, op
            return replacement
        return decorate


def compiled_ops(package: str, path: Iterable[str]) -> dict[str, Op]:
    """Import the chapters of an edition: its modules, and those of its folders in `CHAPTERS`. Return their ops.

    Parameters
    ----------
    package : str
        The ``__name__`` of the package.
    path : iterable of str
        The ``__path__`` of the package.

    Returns
    -------
    dict of str to op
    """
    ops: dict[str, Op] = {}
    for found in pkgutil.iter_modules(path):
        if not found.ispkg or found.name in CHAPTERS:
            module = importlib.import_module(f"{package}.{found.name}")
            if found.ispkg:
                ops |= compiled_ops(module.__name__, module.__path__)
            ops |= {name: op for name, op in vars(module).items() if hasattr(op, "replaced")}
    return ops
