"""Editions made of another edition: one that wraps every op, and one that replaces some.

An edition is any object that has the ops as attributes, such as a module.
"""

import functools
from collections.abc import Callable
from typing import Any

from npse.types import Op, Ops


class Wrapped:
    """An edition that calls ``around`` in place of every op of ``ops``.

    Parameters
    ----------
    ops : edition
    around : function of (name, op, arguments, options) -> result
        ``arguments`` is the tuple of positional arguments, ``options`` the dict of those given by name. Usually it
        calls ``op(*arguments, **options)``. What is not callable in ``ops`` is returned as it is.
    """

    def __init__(self, ops: Ops, around: Callable[[str, Op, tuple[Any, ...], dict[str, Any]], Any]) -> None:
        self._ops, self._around = ops, around

    def __getattr__(self, name: str) -> Any:
        op = getattr(self._ops, name)
        if not callable(op):
            return op

        @functools.wraps(op)
        def wrapped(*arguments: Any, **options: Any) -> Any:
            return self._around(name, op, arguments, options)
        return wrapped


class Overlay:
    """An edition that has the functions ``own``, and takes every other op from ``ops``."""

    def __init__(self, ops: Ops, /, **own: Op) -> None:
        vars(self).update(own)
        self._ops = ops

    def __getattr__(self, name: str) -> Any:
        return getattr(self._ops, name)
