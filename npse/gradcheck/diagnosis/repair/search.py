"""The search for a repair: the first change after which the gradients are right, for other arguments too."""

from __future__ import annotations

import inspect
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

import npse.reference
from npse.gradcheck.contract import Recording
from npse.gradcheck.diagnosis.repair.edits import Scope
from npse.gradcheck.diagnosis.repair.places import Edit, edits
from npse.gradcheck.diagnosis.repair.source import Source
from npse.gradcheck.diagnosis.elsewhere import Right
from npse.gradcheck.measure import run_backward
from npse.support.wrapped import Overlay
from npse.types import Op, Ops

MOST = 6000              # changes that are tried
SECONDS = 15.0           # of processor time: only a slow function has fewer tries
BOOK = Path(npse.reference.__file__).parent

@dataclass(eq=False)
class Repairs:
    """The repairs of the backward pass of a case.

    Parameters
    ----------
    here : Right
        The wrong backward pass, arguments for which it can be called, and the right gradients.
    elsewhere : function of () -> list of Right
        The same for other arguments: called once a change makes the gradients right here.
    """

    here: Right
    elsewhere: Callable[[], list[Right]]
    found: dict[str, Edit] = field(default_factory=dict, init=False)

    def __post_init__(self) -> None:
        self.measured = self.here.measured
        self._rest = iter(self.candidates())

    def of(self, name: str) -> Edit | None:
        """The first change after which the gradient of an argument is right, and no other one worse; None without any.

        The search goes on where the search for another argument has ended.
        """
        while name not in self.found:
            edit, edition = next(self._rest, (None, None))
            if edit is None:
                return None
            for key in self._repaired_by(edition):
                self.found.setdefault(key, edit)
        return self.found[name]

    def candidates(self) -> Iterator[tuple[Edit, Ops]]:
        """Every change that is tried, and the edition with it."""
        began, tried = time.process_time(), 0
        for name, source, scope in self._sources:
            for edit in edits(source.tree, scope):
                tried += 1
                if tried > MOST or time.process_time() - began > SECONDS:
                    return
                with edit.made():
                    try:
                        changed = source.compiled(edit.place.root)
                    except (SyntaxError, ValueError, TypeError):
                        continue
                yield edit, Overlay(self.measured.ops, **{name: changed})

    def _repaired_by(self, edition: Ops) -> list[str]:
        """The arguments whose wrong gradients an edition repairs."""
        right = self.here.repaired(edition)
        for other in self.elsewhere() if right else ():
            other.forward()
            right = [name for name in right if name in other.repaired(edition)]
            self.here.forward()
        return right

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
