"""The search for a repair: the first change after which the gradients are right, for other arguments too."""

from __future__ import annotations

import ast
import contextlib
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np

from npse.gradcheck.contract import Call, Recording
from npse.gradcheck.diagnosis.elsewhere import Right
from npse.gradcheck.diagnosis.repair.places import Edit, edits
from npse.gradcheck.diagnosis.repair.scope import Scope
from npse.gradcheck.diagnosis.repair.source import Source
from npse.gradcheck.diagnosis.result import alike
from npse.gradcheck.measure import copies, is_floating, run_backward
from npse.support.wrapped import Overlay
from npse.types import Op, Ops

MOST = 5000              # changes that are tried
SECONDS = 6.0            # of processor time: only a slow function has fewer tries


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
            candidate = next(self._rest, None)
            if candidate is None:
                return None
            edit, edition = candidate
            for key in self._repaired_by(edition):
                self.found.setdefault(key, edit)
        return self.found[name]

    def candidates(self) -> Iterator[tuple[Edit, Ops]]:
        """Every change that is tried, and the edition with it."""
        began, tried = time.process_time(), 0
        for one in self._suspects:
            for edit in edits(one.source.tree, Scope(one.values, one.source.functions), self._likely(one)):
                tried += 1
                if tried > MOST or time.process_time() - began > SECONDS:
                    return
                with edit.made():
                    try:
                        changed = one.source.compiled(edit.place.root)
                    except (SyntaxError, ValueError, TypeError):
                        continue
                if one.may_be_right(changed):
                    yield edit, Overlay(self.measured.ops, **{one.name: changed})

    def _repaired_by(self, edition: Ops) -> list[str]:
        """The arguments whose wrong gradients an edition repairs."""
        right = self.here.repaired(edition)
        for other in self.elsewhere() if right else ():
            other.forward()
            right = [name for name in right if name in other.repaired(edition)]
            self.here.forward()
        return right

    @cached_property
    def _suspects(self) -> list[Suspect]:
        """The functions that may be wrong: those outside of the book, if there is one."""
        calls = self._calls()
        own = {name: call for name, call in calls.items() if not _is_the_books(call.op)}
        found = []
        for name, call in (own or calls).items():
            source = Source.of(call.op, self._forward_ops)
            if source is not None:
                found.append(Suspect(name, source, call))
        return found

    def _calls(self) -> dict[str, Call]:
        """The first call of each op in the backward pass."""
        recording = _Attempts(self.measured.ops)
        try:
            run_backward(self.measured.case, recording, self.measured.dy, self.measured.arguments)
        except Exception:                # the last call is the one that raises
            return {call.name: call for call in recording.calls[-1:]}
        return {call.name: call for call in reversed(recording.calls)}

    @property
    def _forward_ops(self) -> list[Op]:
        """The functions of the forward pass."""
        recording = Recording(self.measured.ops)
        try:
            self.measured.case.forward(recording, **copies(self.measured.arguments))
        except Exception:
            return []
        return [call.op for call in recording.calls]

    def _likely(self, one: Suspect) -> list[ast.stmt]:
        """The statements that have to do with the wrong gradients alone.

        After each statement each of its arrays is changed a little; other gradients must stay as they are.
        """
        steps, found = one.source.tree.body, []
        for k, step in enumerate(steps):
            arrays = [name for name in _assigned(step) if is_floating(one.values.get(name))]
            changes = [self._changed_by(one, k, name) for name in arrays]
            if isinstance(step, (ast.Return, ast.If)) or not arrays or any(
                    change and change <= self._wrong for change in changes):
                found.append(step)
        return found

    @cached_property
    def _wrong(self) -> set[str]:
        pairs = zip(self.measured.case.wrt, self.measured.gradients, self.here.gradients, strict=True)
        return {name for name, ours, right in pairs
                if ours.shape != right.shape or not alike(1.0 * ours, right, self.here.tolerance)}

    def _changed_by(self, one: Suspect, k: int, name: str) -> set[str]:
        """The gradients that change with a variable after the k-th statement."""
        def after(at: int, names: dict[str, Any]) -> None:
            if at == k and is_floating(names.get(name)):
                value = names[name]
                names[name] = value * (1 + 1e-3 * np.random.default_rng(0).uniform(0.5, 1, np.shape(value)))
        edition = Overlay(self.measured.ops, **{one.name: one.source.observed(after)})
        try:
            found = run_backward(self.measured.case, edition, self.measured.dy, self.measured.arguments)
        except Exception:
            return set(self.measured.case.wrt)
        return {key for key, new, before in zip(self.measured.case.wrt, found, self.measured.gradients, strict=True)
                if not alike(1.0 * new, 1.0 * before, 1e-9)}


class _Attempts(Recording):
    """A recording that keeps a call that raises an exception too, without results."""

    def _record(self, name: str, op: Op, arguments: tuple[Any, ...], options: dict[str, Any]) -> Any:
        try:
            return super()._record(name, op, arguments, options)
        except Exception:
            self.calls.append(Call(name, op, dict(enumerate(arguments)) | options, (), ()))
            raise


@dataclass(eq=False)
class Suspect:
    """A function that may be wrong, and its first call."""

    name: str
    source: Source
    call: Call

    @cached_property
    def values(self) -> dict[str, Any]:
        """Its variables at the end of the call."""
        seen: dict[str, Any] = {}

        def after(k: int, names: dict[str, Any]) -> None:
            seen.update((name, value) for name, value in names.items() if self.source.is_local(name, names))
        with contextlib.suppress(Exception):     # then those that are known by then
            self.call.repeat(self.source.observed(after))
        return seen

    def may_be_right(self, changed: Op) -> bool:
        """Whether a changed function gives something else in the same call."""
        try:
            found = self.call.repeat(changed)
            return len(found) != len(self.call.results) or not all(map(np.array_equal, found, self.call.results))
        except Exception:                # it does not run, or returns no arrays
            return False


def _assigned(step: ast.stmt) -> set[str]:
    """The variables that a statement gives a value, or changes."""
    targets = [target for node in ast.walk(step) if isinstance(node, (ast.Assign, ast.AugAssign, ast.For))
               for target in (node.targets if isinstance(node, ast.Assign) else [node.target])]
    return {name.id for target in targets for name in ast.walk(target) if isinstance(name, ast.Name)
            and (isinstance(name.ctx, ast.Store) or isinstance(target, ast.Subscript))}


def _is_the_books(op: Op) -> bool:
    """Whether an op has a declaration, as those of the book have."""
    return getattr(op, "contract", None) is not None
