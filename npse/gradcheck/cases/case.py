"""What a case is, and how its arguments are drawn."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

CLEARANCE = 1e-3     # distance from a kink: far beyond any step, and beyond float32 rounding


@dataclass(frozen=True)
class Case:
    """One op on one set of shapes: how to draw arguments, run it forward and backward, and see its kinks.

    Attributes
    ----------
    ops : tuple of str
        The op this case is about, then every other op that it judges along the way.
    label : str
        What is special about the shapes.
    make : function of a Generator -> dict of arguments
        Drawn in float64; `arguments` casts the floating arrays.
    wrt : tuple of str
        The arguments to differentiate; none if only values are compared.
    forward : function of (ops, **arguments) -> array
        ``ops`` is the edition, any object that has the ops as attributes.
    backward : function of (ops, dy, **arguments) -> tuple of gradients in the order of ``wrt``
    kinks : function of (**arguments) -> list of arrays, optional
        What decides at the ReLUs and maxima; see `npse.gradcheck.kinks.choices`.
    """

    ops: tuple[str, ...]
    label: str
    make: Callable
    forward: Callable
    backward: Callable | None = None
    wrt: tuple[str, ...] = ()
    kinks: Callable | None = None

    @property
    def op(self):
        return self.ops[0]

    def __str__(self):
        return f"{self.op} [{self.label}]"

    def arguments(self, rng, dtype=np.float64):
        """Draw arguments; again and again if need be, until no kink is near, exact ties apart, and some ReLU lives."""
        for _ in range(100):
            drawn = {name: cast(value, dtype) for name, value in self.make(rng).items()}
            if self.kinks is None or all(_clear(np.asarray(a)) for a in self.kinks(**drawn)):
                return drawn
        raise RuntimeError(f"{self}: no arguments clear of kinks in 100 draws; draw them further apart")


def cast(value, dtype):
    """Floating arrays in ``dtype``, everything else as it is."""
    return value.astype(dtype) if isinstance(value, np.ndarray) and value.dtype.kind == "f" else value


def _clear(margin):
    if margin.dtype.kind != "f":
        return True
    return margin.max() > 0 and not np.any((margin != 0) & (np.abs(margin) < CLEARANCE))


def distinct(rng, *shape):
    """Numbers spread evenly over (-2, 2) in random order, any two at least 2 / size apart: no ties, no lumps."""
    size = int(np.prod(shape))
    return ((rng.permutation(size) + rng.uniform(0.25, 0.75, size)) * (4 / size) - 2).reshape(shape)


def signed(rng, *shape):
    """Numbers of size 0.5 to 1.5 and random sign: weights none of which is nearly zero."""
    return rng.uniform(0.5, 1.5, shape) * rng.choice((-1.0, 1.0), shape)
