"""A function that may be wrong, and its calls."""

from __future__ import annotations

import ast
import contextlib
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from npse.gradcheck.calls import Call, is_floating
from npse.gradcheck.diagnosis.repair.source import Source
from npse.types import Op


@dataclass(eq=False)
class Suspect:
    """A function that may be wrong, and its calls."""

    name: str
    source: Source
    calls: list[Call]

    @cached_property
    def values(self) -> dict[str, Any]:
        """Its variables at the end of the first call."""
        seen: dict[str, Any] = {}

        def after(k: int, names: dict[str, Any]) -> None:
            seen.update((name, value) for name, value in names.items() if self.source.is_local(name, names))
        with contextlib.suppress(Exception):     # then those that are known by then
            self.calls[0].repeat(self.source.observed(after))
        return seen

    def may_be_right(self, changed: Op) -> bool:
        """Whether a changed function gives something else in one of the calls."""
        try:
            return any(len(found := call.repeat(changed)) != len(call.results)
                       or not all(map(np.array_equal, found, call.results)) for call in self.calls)
        except Exception:                # it does not run, or returns no arrays
            return False


def assigned(step: ast.stmt) -> set[str]:
    """The variables that a statement gives a value, or changes."""
    targets = [target for node in ast.walk(step) if isinstance(node, (ast.Assign, ast.AugAssign, ast.For))
               for target in (node.targets if isinstance(node, ast.Assign) else [node.target])]
    return {name.id for target in targets for name in ast.walk(target) if isinstance(name, ast.Name)
            and (isinstance(name.ctx, ast.Store) or isinstance(target, ast.Subscript))}


def is_number(value: Any) -> bool:
    """Whether a value is a number, or a floating array."""
    return is_floating(value) or (isinstance(value, (int, float)) and not isinstance(value, bool))
