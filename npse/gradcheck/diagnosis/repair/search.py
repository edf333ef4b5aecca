"""The search for a repair: the first change after which the gradients are right, for other arguments too."""

from __future__ import annotations

import inspect
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np

import npse.reference
from npse.gradcheck.contract import Recording
from npse.gradcheck.diagnosis.repair.edits import Scope
from npse.gradcheck.diagnosis.repair.places import Edit, edits
from npse.gradcheck.diagnosis.repair.source import Source
from npse.gradcheck.measure import Measurement, run_backward
from npse.support.wrapped import Overlay
from npse.types import Op, Ops

MOST = 6000              # changes that are tried
SECONDS = 15.0           # of processor time: only a slow function has fewer tries
BOOK = Path(npse.reference.__file__).parent

Test = Callable[[Ops], bool]
"""Whether an edition, in which one function is changed, is right."""


@dataclass(frozen=True, eq=False)
class Repair:
    """One change of one function of an edition."""

    ops: Ops
    name: str
    source: Source
    edit: Edit

    def passes(self, tests: list[Test]) -> bool:
        """Whether all tests are passed after the change."""
        with self.edit.made():
            try:
                changed = self.source.compiled()
            except (SyntaxError, ValueError, TypeError):
                return False
        edition = Overlay(self.ops, **{self.name: changed})
        try:
            return all(test(edition) for test in tests)
        except Exception:                # the changed function does not run
            return False


@dataclass(eq=False)
class Repairs:
    """The repairs of the backward pass of a case.

    Parameters
    ----------
    measured : Measurement
        The wrong backward pass, and arguments for which it can be called.
    """

    measured: Measurement

    def first(self, tests: list[Test]) -> Repair | None:
        """The first change after which all tests are passed; None if there is none."""
        began, tried = time.process_time(), 0
        for name, source, scope in self._sources:
            for edit in edits(source.tree, scope):
                tried += 1
                if tried > MOST or time.process_time() - began > SECONDS:
                    return None
                repair = Repair(self.measured.ops, name, source, edit)
                if repair.passes(tests):
                    return repair
        return None

    @cached_property
    def _sources(self) -> list[tuple[str, Source, Scope]]:
        """The functions that may be wrong, those outside of the book first."""
        measured = self.measured
        recording = Recording(measured.ops)
        try:
            run_backward(measured.case, recording, measured.dy, measured.arguments)
        except Exception:
            return []
        called = {call.name: call.op for call in recording.calls}
        own = {name: op for name, op in called.items() if not _is_the_books(op)}
        found = []
        for name, op in (own or called).items():
            source = Source.of(op, self._relatives)
            if source is not None:
                found.append((name, source, Scope(self._values(name, source), source.functions)))
        return found

    @property
    def _relatives(self) -> Iterator[Op]:
        """The functions of the forward pass."""
        recording = Recording(self.measured.ops)
        try:
            self.measured.case.forward(recording, **self.measured.arguments)
        except Exception:
            return iter(())
        return iter([call.op for call in recording.calls])

    def _values(self, name: str, source: Source) -> dict[str, object]:
        def run(function: Op) -> object:
            edition = Overlay(self.measured.ops, **{name: function})
            return run_backward(self.measured.case, edition, self.measured.dy, self.measured.arguments)
        try:
            return source.values(run)
        except Exception:
            return {}


def _is_the_books(op: Op) -> bool:
    code = getattr(inspect.unwrap(op), "__code__", None)
    return code is not None and BOOK in Path(code.co_filename).parents
