"""Copies of the user's functions that call a recording NumPy; the functions themselves stay as they are."""

from __future__ import annotations

import functools
from collections.abc import Iterator
from types import CellType, CodeType, FunctionType, MethodType
from typing import TYPE_CHECKING, Any

import numpy as np

from npse.gradcheck.diagnosis.foreign import calls

if TYPE_CHECKING:
    from npse.gradcheck.diagnosis.foreign.recorder import Recording


class _NumPy:
    """The module NumPy for a function that is recorded: new arrays of numbers are recorded too."""

    def __init__(self, recording: Recording) -> None:
        self._recording = recording

    def __getattr__(self, name: str) -> Any:
        return calls.creator(self._recording, name) or getattr(np, name)


class Instrument:
    """Makes copies of functions that use a recording NumPy; the functions themselves stay as they are."""

    def __init__(self, recording: Recording) -> None:
        self._numpy, self._globals, self._made = _NumPy(recording), {}, {}

    _globals: dict[int, dict[str, Any]]
    _made: dict[int, Any]

    def __call__(self, value: Any) -> Any:
        """The copy of a function, of a method, or of the module NumPy; any other value unchanged."""
        value = getattr(value, "py_func", value)                  # of a function that Numba compiles
        if value is np:
            return self._numpy
        if isinstance(value, functools.partial):
            return functools.partial(self(value.func), *value.args, **value.keywords)
        if isinstance(value, MethodType):
            return MethodType(self(value.__func__), value.__self__)
        if isinstance(value, FunctionType) and not str(value.__module__).startswith("numpy"):
            return self._copy(value)
        name = getattr(value, "__name__", "")
        return getattr(self._numpy, name) if name and getattr(np, name, None) is value else value

    def _copy(self, function: FunctionType) -> Any:
        if id(function) in self._made:
            return self._made[id(function)]
        mine = self._globals.setdefault(id(function.__globals__), dict(function.__globals__))
        cells = tuple(CellType() for _ in function.__closure__ or ())
        made = FunctionType(function.__code__, mine, function.__name__, function.__defaults__, cells)
        made.__kwdefaults__ = function.__kwdefaults__
        self._made[id(function)] = made
        for own, cell in zip(cells, function.__closure__ or (), strict=True):
            own.cell_contents = self(cell.cell_contents)
        for name in _names_in(function.__code__):
            if name in function.__globals__:
                mine[name] = self(function.__globals__[name])
        return made


class Edition:
    """An edition whose functions record, each made on first use."""

    def __init__(self, ops: Any, instrument: Instrument) -> None:
        self._ops, self._instrument = ops, instrument

    def __getattr__(self, name: str) -> Any:
        return self._instrument(getattr(self._ops, name))


def _names_in(code: CodeType) -> Iterator[str]:
    """The global names that a function and the functions inside it may read."""
    yield from code.co_names
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield from _names_in(constant)
