"""A case: one op on one set of shapes, and how its arguments are drawn."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
from numpy.random import Generator
from numpy.typing import ArrayLike, DTypeLike

from npse.gradcheck.kinks import AtKinks
from npse.types import Arguments, Array

Draw: TypeAlias = Callable[[Generator, *tuple[int, ...]], Array]
"""How an array is drawn: ``draw(rng, *shape)``."""

CLEARANCE = 1e-3     # least distance from a kink: much more than any step or float32 rounding


@dataclass(frozen=True)
class Case:
    """One op on one set of shapes: how to draw arguments, and how to run it forward and backward.

    Attributes
    ----------
    ops : tuple of str
        The op this case is about, then every other op that it checks.
    label : str
        What is special about the shapes, such as "H < W".
    make : function of a Generator -> dict of arguments
        Drawn in float64; `arguments` casts the floating arrays.
    wrt : tuple of str
        The arguments to differentiate; none if only values are compared.
    forward : function of (ops, **arguments) -> array
        ``ops`` is the edition, any object that has the ops as attributes.
    backward : function of (ops, dy, **arguments) -> tuple of gradients in the order of ``wrt``
    kinks : function of (**arguments) -> list of arrays, optional
        The inputs of the ReLUs and maxima; see `npse.gradcheck.kinks.choices`.
    """

    ops: tuple[str, ...]
    label: str
    make: Callable[[Generator], Arguments]
    forward: Callable[..., ArrayLike]
    backward: Callable[..., Sequence[ArrayLike]] | None = None
    wrt: tuple[str, ...] = ()
    kinks: Callable[..., AtKinks] | None = None

    @property
    def op(self) -> str:
        """The first of its ops, by which it is listed."""
        return self.ops[0]

    def __str__(self) -> str:
        return f"{self.op} [{self.label}]"

    def arguments(self, rng: Generator, dtype: DTypeLike = np.float64) -> Arguments:
        """Draw arguments until no kink is nearer than CLEARANCE (exact ties may be) and some values are positive."""
        for _ in range(100):
            drawn = {name: cast(value, dtype) for name, value in self.make(rng).items()}
            if self.kinks is None or all(_clear(np.asarray(a)) for a in self.kinks(**drawn)):
                return drawn
        raise RuntimeError(f"{self}: no arguments clear of kinks in 100 draws; draw them further apart")


def cast(value: Any, dtype: DTypeLike) -> Any:
    """A floating array in ``dtype``; any other value unchanged."""
    return value.astype(dtype) if isinstance(value, np.ndarray) and value.dtype.kind == "f" else value


def _clear(margin: Array) -> bool:
    if margin.dtype.kind != "f":
        return True
    return bool(margin.max() > 0) and not np.any((margin != 0) & (np.abs(margin) < CLEARANCE))


def distinct(rng: Generator, *shape: int) -> Array:
    """Values spread evenly over (-2, 2) in random order, any two at least 2 / size apart."""
    size = int(np.prod(shape))
    return ((rng.permutation(size) + rng.uniform(0.25, 0.75, size)) * (4 / size) - 2).reshape(shape)


def signed(rng: Generator, *shape: int) -> Array:
    """Values of size 0.5 to 1.5 and random sign: none is nearly zero."""
    return rng.uniform(0.5, 1.5, shape) * rng.choice((-1.0, 1.0), shape)
