"""What can be named in a function."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import combinations
from typing import Any

import numpy as np

from npse.gradcheck.diagnosis.repair.source import is_array
from npse.types import Shape


@dataclass(frozen=True)
class Scope:
    """What can be named where an expression stands.

    Attributes
    ----------
    values : dict of name -> value
        The local variables at the end of the function.
    functions : tuple of str
        Functions that the code calls.
    """

    values: dict[str, Any]
    functions: tuple[str, ...] = ()
    sizes: tuple[str, ...] = field(default=(), init=False)

    def __post_init__(self) -> None:
        found: dict[int, str] = {}
        for name, value in self.values.items():
            if is_array(value) and np.ndim(value):
                for axis, n in enumerate(np.shape(value)):
                    found.setdefault(n, f"{name}.shape[{axis}]")
                found.setdefault(np.size(value), f"{name}.size")
                rest = f"{name}.size // {name}.shape[-1]"
                found.setdefault(np.size(value) // max(np.shape(value)[-1], 1), rest)
        counts = [name for name in self.numbers() if self.values[name] > 1]
        products = [f"({name} * {other})" for name, other in combinations(counts, 2)]
        object.__setattr__(self, "sizes", (*(text for n, text in found.items() if n > 1), *products))

    def instead_of(self, name: str) -> Iterator[str]:
        """Other variables that can stand in the place of one: first those of the same shape, then those that fit."""
        mine = _shape(self.values.get(name))

        def distance(other: str) -> int:
            its = _shape(self.values[other])
            if its is None or mine is None:
                return 0 if its is mine else 3
            return 0 if its == mine else 1 if _broadcast(its, mine) else 2
        return iter(sorted((other for other in self.values if other != name), key=distance))

    def names(self) -> Iterator[str]:
        """The variables that are arrays or numbers."""
        return (name for name, value in self.values.items() if is_array(value) or isinstance(value, (int, float)))

    def numbers(self) -> Iterator[str]:
        """The variables that are whole numbers, such as that of a loop."""
        return (name for name, value in self.values.items() if isinstance(value, (int, np.integer)) and name != "_")

    def scalars(self) -> Iterator[str]:
        """The variables that are numbers but not whole ones, such as eps."""
        return (name for name, value in self.values.items() if isinstance(value, (float, np.floating)))


def _shape(value: Any) -> Shape | None:
    """The shape of an array; None of any other value."""
    return value.shape if is_array(value) else None


def _broadcast(a: Shape, b: Shape) -> bool:
    try:
        np.broadcast_shapes(a, b)
    except ValueError:
        return False
    return True
