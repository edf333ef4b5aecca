"""A failed check: everything that a diagnosis can use."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np

from npse.gradcheck.diagnosis.elsewhere import Right, others
from npse.gradcheck.diagnosis.repair import Repairs
from npse.gradcheck.diagnosis.result import EXACT, NUMERIC, Diagnosis, alike
from npse.gradcheck.diagnosis.search import Search
from npse.gradcheck.diagnosis.sizes import readings
from npse.gradcheck.diagnosis.trace import Trace, arrays_in, letters_in, sizes_in, taped
from npse.gradcheck.measure import Measurement, run_forward
from npse.types import Array, Arrays


@dataclass(eq=False)
class FailedCheck:
    """A backward pass with a wrong gradient, and its forward pass on a tape.

    Attributes
    ----------
    measured : Measurement
        Arguments, upstream gradient, gradients and numeric gradients. They are stored nowhere else.
    trace : Trace or None
        The forward pass on a tape; None if no tape can follow it.
    found : dict of str to Diagnosis or None
        What `explain` has found so far by comparing values, by argument; None if that says nothing.
    """

    measured: Measurement
    trace: Trace | None
    found: dict[str, Diagnosis | None] = field(default_factory=dict, init=False)

    @classmethod
    def of(cls, measured: Measurement) -> FailedCheck:
        """A failed check with the tape of the case, of the op of the book that gives the same values, or a record."""
        return cls(measured, taped(measured))

    @cached_property
    def search(self) -> Search | None:
        """The search for mistakes on the tape; None if the tape gives other values than forward."""
        if self.trace is None or not alike(self.trace.output.value, self.measured.y):
            return None
        return Search(self.trace, self.measured, self.sizes, lambda: self.elsewhere)

    @cached_property
    def elsewhere(self) -> list[Right]:
        """The right gradients for other arguments."""
        found = [Right.of(other) for other in others(self.measured)]
        run_forward(self.measured.case, self.measured.ops, self.measured.arguments)   # it may keep values for backward
        return found

    @cached_property
    def repairs(self) -> Repairs:
        """Small changes of the source of the backward pass."""
        here = Right(self.measured, tuple(map(self.right, self.wrt)), self.trace if self.search else None)
        return Repairs(here, lambda: self.elsewhere)

    @property
    def changes(self) -> str:
        """Which op changes which argument; "" if none does, or if backward raises an exception."""
        try:
            return self.measured.backward_on_copies[1]
        except Exception:                # the check itself reports what it raises
            return ""

    @property
    def tolerance(self) -> float:
        """The tolerance of a comparison with the right gradients, relative to the largest entry."""
        return EXACT if self.search else NUMERIC

    @property
    def wrt(self) -> tuple[str, ...]:
        return self.measured.case.wrt

    def gradient(self, name: str) -> Array:
        """The gradient that was checked, in float64."""
        return np.asarray(self.measured.gradient(name), np.float64)

    def right(self, name: str) -> Array:
        """The right gradient: by the tape if there is one, else by central differences."""
        return self.search.right[self.wrt.index(name)] if self.search else self.measured.numeric(name).value

    @property
    def arrays(self) -> Arrays:
        """The floating arrays among the arguments."""
        return arrays_in(self.measured)

    @cached_property
    def letters(self) -> dict[str, tuple[str, ...]]:
        """A letter for each axis of each array."""
        return letters_in(self.measured, self.trace)

    @cached_property
    def sizes(self) -> dict[str, int]:
        """The sizes of axes and their products, by name."""
        return sizes_in(self.measured, self.trace)

    def readings(self, name: str) -> Callable[[float], list[str]]:
        """A function that says by which sizes a gradient with a wrong factor may be too large or too small.

        The sizes are right for other arguments, too.
        """
        def found(factor: float) -> list[str]:
            there = [(other.factor(self.wrt.index(name)), other.sizes) for other in self.elsewhere]
            if abs(factor) > 1:
                return readings(factor, self.sizes, there)
            return readings(1 / factor, self.sizes, ((1 / one if one else None, sizes) for one, sizes in there))
        return found

    @property
    def stride(self) -> int:
        """2 if the sizes of x and y show that an op with windows has a stride of 2 or more; else 1."""
        x, y = next(iter(self.arrays.values())), self.measured.y
        if y.ndim != 4 or x.ndim != 4 or y.shape[1:3] == x.shape[1:3]:
            return 1
        return max(2 if n > 2 * m - 1 else 1 for n, m in zip(x.shape[1:3], y.shape[1:3], strict=True))
