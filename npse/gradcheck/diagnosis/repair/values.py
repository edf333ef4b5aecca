"""Statements that give a wrong value: with the value of a step of the tape in its place the gradients are right.

A tape has every value of the forward pass, and its gradient. So it says what a variable of the backward pass should be,
also where no small change of the statement makes it so.
"""

from __future__ import annotations

import ast
import contextlib
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from npse.gradcheck.diagnosis.elsewhere import Right
from npse.gradcheck.diagnosis.repair.suspect import Suspect, assigned, is_number
from npse.gradcheck.diagnosis.result import alike
from npse.support.wrapped import Overlay
from npse.types import Array


@dataclass(frozen=True)
class WrongValue:
    """A variable that a statement sets to a wrong value, and what it should be, in words.

    Attributes
    ----------
    step : ast.stmt
    variable : str
    wanted : str
    repairs : tuple of str
        The arguments whose gradients are right with the other value.
    """

    step: ast.stmt
    variable: str
    wanted: str
    repairs: tuple[str, ...]

    def described(self) -> str:
        """What is wrong, in words, with the line of the user's file."""
        code = ast.unparse(self.step).splitlines()[0]
        name = f" as {self.variable}" if len(assigned(self.step)) > 1 else ""
        return f"`{code}` (line {self.step.lineno}) does not give {self.wanted}{name}"


def wrong_values(one: Suspect, here: Right, elsewhere: Callable[[], list[Right]]) -> Iterator[WrongValue]:
    """Every statement with a wrong value, in their order, that the tapes of ``here`` and of other arguments confirm."""
    if here.trace is None or len(one.calls) > 1:
        return
    wanted = _known(here)
    for k, variable, value in _values(one):
        for words in sorted(wanted, key=lambda words: words != _forward(variable)):
            if not _is_another(value, wanted[words]):
                continue
            repairs = set(here.wrong) & set(_repaired(one, here, k, variable, wanted[words]))
            for other in elsewhere() if repairs else ():
                there = _known(other).get(words)
                repairs &= set(() if there is None else _repaired(one, other, k, variable, there))
            here.forward()
            if repairs:
                yield WrongValue(one.source.tree.body[k], variable, words, tuple(repairs))
                break


def _values(one: Suspect) -> Iterator[tuple[int, str, Any]]:
    """The number of each statement, and each number or floating array that it gives: its name and its value."""
    found: list[tuple[int, str, Any]] = []

    def after(k: int, names: dict[str, Any]) -> None:
        if k >= 0:
            found.extend((k, name, np.copy(names[name])) for name in sorted(assigned(one.source.tree.body[k]))
                         if is_number(names.get(name)))
    with contextlib.suppress(Exception):     # then those that are known by then
        one.calls[0].repeat(one.source.observed(after))
    return iter(found)


def _known(right: Right) -> dict[str, Array]:
    """The values on a tape, their gradients, and the sizes, by words; but not the gradients that are asked for."""
    if right.trace is None:
        return {}
    tape, output = right.trace.tape, right.trace.output
    steps = [step.output for step in tape.steps]
    found: dict[str, Array] = {_forward(var.name): var.value for var in steps}
    gradients = tape.gradients(output, right.measured.dy, steps)
    found |= {f"d{var.name}": gradient for var, gradient in zip(steps, gradients, strict=True) if var is not output}
    found |= {name: np.array(size) for name, size in right.sizes.items()}
    return {words: value for words, value in found.items()
            if not any(value.size == one.size and alike(value.ravel(), one.ravel()) for one in right.gradients)}


def _forward(name: str) -> str:
    return f"{name} of the forward pass"


def _is_another(value: Array, wanted: Array) -> bool:
    """Whether an array could have the entries of another one, but has not."""
    return value.size == wanted.size and not alike(1.0 * value.ravel(), 1.0 * wanted.ravel())


def _repaired(one: Suspect, right: Right, k: int, variable: str, wanted: Array) -> Iterable[str]:
    """The arguments whose gradients are right if the k-th statement gives the wanted value."""
    def after(at: int, names: dict[str, Any]) -> None:
        if at == k:
            shape = np.shape(names[variable])
            names[variable] = wanted.reshape(shape).copy() if shape else wanted.item()
    return right.repaired(Overlay(right.measured.ops, **{one.name: one.source.observed(after)}))
