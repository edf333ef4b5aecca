"""The search for a repair: the first change after which the gradients are right, for other arguments too."""

from __future__ import annotations

import ast
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np

from npse.gradcheck.calls import Call, Recording
from npse.gradcheck.diagnosis.elsewhere import Right
from npse.gradcheck.diagnosis.repair.places import Edit, edits
from npse.gradcheck.diagnosis.repair.scope import Scope
from npse.gradcheck.diagnosis.repair.source import Source
from npse.gradcheck.diagnosis.repair.suspect import Suspect, assigned, is_number
from npse.gradcheck.diagnosis.repair.values import WrongValue, wrong_values
from npse.gradcheck.diagnosis.result import alike
from npse.gradcheck.measure import copies, is_the_books, run_backward
from npse.support.wrapped import Overlay
from npse.types import Op, Ops

MOST = 10_000            # changes that are tried
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

    def wrong_value(self, name: str) -> WrongValue | None:
        """The first statement that gives a wrong value and so makes the gradient of an argument wrong, if it is known.

        Ask for a repair first: it says more.
        """
        return next((found for found in self._wrong_values if name in found.repairs), None)

    def stale(self, name: str) -> str | None:
        """The dict, list or set of earlier values without which the gradient of an argument is right; None without."""
        for one in self._suspects:
            for kept, value in one.source.kept.items():
                if isinstance(value, (dict, list, set)) and value and name in self._repaired_by(
                        Overlay(self.measured.ops, **{one.name: one.source.forgetting(kept)})):
                    return kept
        return None

    def candidates(self) -> Iterator[tuple[Edit, Ops]]:
        """Every change that is tried, and the edition with it."""
        began, tried = time.process_time(), 0
        for one in self._suspects:
            scope, located = Scope(one.values, one.source.functions), [found.step for found in self._wrong_values]
            for edit in edits(one.source.tree, scope, located, self._likely(one)):
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
        own = {name: made for name, made in calls.items() if not is_the_books(made[0].op)}
        found = []
        for name, made in (own or calls).items():
            source = Source.of(made[0].op, self._forward_ops)
            if source is not None:
                found.append(Suspect(name, source, made))
        return found

    @cached_property
    def _wrong_values(self) -> list[WrongValue]:
        return [found for one in self._suspects for found in wrong_values(one, self.here, self.elsewhere)]

    def _calls(self) -> dict[str, list[Call]]:
        """The calls of each op in the backward pass."""
        recording = _Attempts(self.measured.ops)
        calls = recording.calls
        try:
            run_backward(self.measured.case, recording, self.measured.dy, self.measured.arguments)
        except Exception:                # the last call raises: an op of the book refuses what another one returned
            calls = calls if calls and is_the_books(calls[-1].op) else calls[-1:]
        by_name: dict[str, list[Call]] = {}
        for call in calls:
            by_name.setdefault(call.name, []).append(call)
        return by_name

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

        After each statement each of its values is changed a little; other gradients must stay as they are.
        """
        steps, found = one.source.tree.body, []
        for k, step in enumerate(steps):
            values = [name for name in assigned(step) if is_number(one.values.get(name))]
            changes = [self._changed_by(one, k, name) for name in values]
            if isinstance(step, (ast.Return, ast.If)) or not values or any(
                    change and change <= set(self.here.wrong) for change in changes):
                found.append(step)
        return found

    def _changed_by(self, one: Suspect, k: int, name: str) -> set[str]:
        """The gradients that change with a variable after the k-th statement."""
        def after(at: int, names: dict[str, Any]) -> None:
            if at == k and is_number(names.get(name)):
                value = names[name]
                size = np.abs(value).max(initial=0) or 1          # zeros are changed too
                names[name] = value + 1e-3 * size * np.random.default_rng(0).uniform(0.5, 1, np.shape(value))
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
