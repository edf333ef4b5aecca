"""Other arguments for a backward pass: what explains its gradients by chance does not explain them there."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from npse.gradcheck.calls import is_floating
from npse.gradcheck.cases import CASES
from npse.gradcheck.cases.case import Case
from npse.gradcheck.diagnosis.result import EXACT, NUMERIC, alike, constant_factor
from npse.gradcheck.diagnosis.trace import Trace, sizes_in, taped
from npse.gradcheck.draw import draw_arguments, generator, upstream
from npse.gradcheck.measure import Measurement, run_backward, run_forward
from npse.types import Arguments, Array, Ops

OTHER_SEED = 1_000_003
MOST_SHAPES = 2          # other cases of the same op
NEARER = 0.01            # of the error of a wrong gradient: that of a right one is smaller


@dataclass(eq=False)
class Right:
    """The right gradients for some arguments, in float64.

    Attributes
    ----------
    measured : Measurement
    gradients : tuple of arrays
        By the tape, else by central differences; nan where a step crossed a kink.
    trace : Trace or None
        The forward pass on a tape that gives the same values.
    """

    measured: Measurement
    gradients: tuple[Array, ...]
    trace: Trace | None

    @classmethod
    def of(cls, measured: Measurement) -> Right:
        """By the tape of the forward pass if it has one; else by central differences."""
        tape, wrt = taped(measured), measured.case.wrt
        if tape is not None and alike(tape.output.value, measured.y):
            return cls(measured, tuple(tape.gradients(measured.dy, wrt)), tape)
        numeric = map(measured.numeric, wrt)
        return cls(measured, tuple(np.where(one.crossed, np.nan, one.value) for one in numeric), None)

    @property
    def tolerance(self) -> float:
        """The tolerance of a comparison with the right gradients, relative to the largest entry."""
        return EXACT if self.trace else NUMERIC

    @cached_property
    def wrong(self) -> tuple[str, ...]:
        """The arguments whose gradients are wrong."""
        pairs = zip(self.measured.case.wrt, self.measured.gradients, self.gradients, strict=True)
        return tuple(name for name, ours, right in pairs if not alike(1.0 * ours, right, self.tolerance))

    def factor(self, k: int) -> float | None:
        """The factor between the k-th gradient and the right one; None if it is not the same for all entries."""
        return constant_factor(np.asarray(self.measured.gradients[k], np.float64), self.gradients[k], self.tolerance)

    @cached_property
    def sizes(self) -> dict[str, int]:
        """The sizes of axes and their products, by name."""
        return sizes_in(self.measured, self.trace)

    def forward(self) -> None:
        """Run the forward pass, which may keep values for the backward pass."""
        run_forward(self.measured.case, self.measured.ops, self.measured.arguments)

    def repaired(self, edition: Ops) -> list[str]:
        """The arguments whose gradients by an edition are right; the others are right too, or as they were measured.

        Empty if the edition raises an exception. A gradient that was wrong must be much nearer to the right one.
        """
        case, measured = self.measured.case, self.measured
        try:
            found = run_backward(case, edition, measured.dy, measured.arguments)
        except Exception:                # a changed function need not run
            return []
        right = []
        befores = (np.asarray(gradient, np.float64) for gradient in measured.gradients)
        for name, new, before, its in zip(case.wrt, found, befores, self.gradients, strict=True):
            was_wrong = before.shape != its.shape or not alike(before, its, self.tolerance)
            if new.shape == its.shape and alike(new, its, self.tolerance):
                if was_wrong and before.shape == its.shape and _distance(new, its) > NEARER * _distance(before, its):
                    return []
                right.append(name)
            elif not was_wrong or new.shape != before.shape or not np.isfinite(before).all() or not alike(new, before):
                return []
        return right


def _distance(ours: Array, right: Array) -> float:
    known = ~np.isnan(right)
    return float(np.abs(ours - right)[known].max(initial=0))


def others(measured: Measurement) -> Iterator[Measurement]:
    """The same backward pass with other arguments: of the same shapes, and of other shapes if it is an op's."""
    case = measured.case
    found = [(case, _drawn(measured))]
    siblings = [other for other in CASES if other.op == case.op and other.wrt == case.wrt and other.label != case.label]
    found += [(other, draw_arguments(other, OTHER_SEED)) for other in siblings[:MOST_SHAPES] if case in CASES]
    for other, arguments in found:
        try:
            yield measured_anyway(other, measured.ops, arguments)
        except Exception:                # the user's functions do not take these arguments
            continue


def measured_anyway(case: Case, ops: Ops, arguments: Arguments) -> Measurement:
    """A measurement for some arguments; if the backward pass raises an exception, each gradient is nan."""
    rng = generator(OTHER_SEED, str(case))
    try:
        return Measurement.of(case, ops, arguments, rng)
    except Exception:
        y = run_forward(case, ops, arguments)
        nothing = tuple(np.full(arguments[name].shape, np.nan) for name in case.wrt)
        return Measurement(case, ops, arguments, y, upstream(rng, y), nothing)


def _drawn(measured: Measurement) -> Arguments:
    """Other arguments of the same shapes: those of another seed, or if they were given, the same ones rearranged."""
    case = measured.case
    if case in CASES:
        return draw_arguments(case, OTHER_SEED)
    rng = np.random.default_rng(0)
    return {name: (rng.permutation(value.ravel()) * rng.uniform(0.8, 1.25, value.size)).reshape(value.shape)
            if is_floating(value) else value for name, value in measured.arguments.items()}
