"""Run a forward pass on arrays that record what NumPy does with them, and make a tape of the record.

A record never changes a result: it is a run of its own, on copies. If anything in it fails, or if the values of the
tape are not those of the forward pass, there is no tape.
"""

from __future__ import annotations

import sys
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from types import FrameType
from typing import Any, TypeAlias

import numpy as np
from numpy.lib.mixins import NDArrayOperatorsMixin

from npse.gradcheck.diagnosis.foreign import calls, names
from npse.gradcheck.diagnosis.foreign.instrument import Edition, Instrument
from npse.gradcheck.diagnosis.foreign.patterns import simplified
from npse.gradcheck.diagnosis.foreign.steps import axes_of
from npse.gradcheck.diagnosis.result import alike
from npse.gradcheck.diagnosis.tape import Tape, Var
from npse.types import Array

MAX_STEPS = 300          # of a record; loops are unrolled
MAX_ENTRIES = 20_000     # of an array in a record
SAME = 1e-10             # relative to the largest entry: between the tape's result and that of the forward pass

Build: TypeAlias = Callable[[Sequence[Var], str], Var]
"""How a step is put on a tape: a function of its inputs and of the name of its output."""


class Untraceable(Exception):
    """A call that no step describes."""


@dataclass(eq=False)
class Node:
    """A recorded value: an argument or a constant (then ``build`` is None), or the output of a step."""

    value: Array
    name: str = ""
    inputs: tuple[Node, ...] = ()
    build: Build | None = None
    is_argument: bool = False
    is_named: bool = False
    expression: str = ""                                          # of the user's code, and where it stands
    place: tuple[int, int] | None = None


@dataclass
class Recording:
    """The nodes of one forward pass, in order."""

    nodes: list[Node] = field(default_factory=list)
    prefix: str = ""                                              # of steps inside one call, such as the mean in a var

    def add(self, value: Any, inputs: Sequence[Node], build: Build) -> Recorded:
        """Record a step; the names of its inputs and of its own are taken from the user's code."""
        value = np.asarray(value)
        if len(self.nodes) >= MAX_STEPS or value.size > MAX_ENTRIES:
            raise Untraceable("too many steps, or an array that is too large")
        frame = _user_frame()
        self._name_variables(frame)
        name = names.in_sentence(self.prefix or (names.expression(frame) if frame else ""))
        place = (id(frame.f_code), frame.f_lasti) if frame and not self.prefix else None
        for known in self.nodes:                                  # the same expression once more
            if known.expression == name and known.inputs == tuple(inputs) and (known.place != place or not place) \
                    and np.array_equal(known.value, value):
                return Recorded(self, known)
        node = Node(value, name, tuple(inputs), build, expression=name, place=place)
        self.nodes.append(node)
        return Recorded(self, node)

    def node(self, value: Any, side: int | None = None) -> Node:
        """The node of a recorded array; a new node of a constant for any other value.

        ``side`` is 0 for the left operand of an operator, 1 for the right one.
        """
        if isinstance(value, Recorded):
            return value.node
        array = np.asarray(value)
        if array.dtype.kind not in "fiub":
            raise Untraceable(f"a constant of dtype {array.dtype}")
        frame = _user_frame()
        words = names.operand(frame, side) if frame and side is not None and not self.prefix else ""
        name = f"{float(array):g}" if array.ndim == 0 else self._name_of(value)
        return Node(array.astype(np.float64), names.in_sentence(words) if words else name)

    def constant(self, value: Array) -> Recorded:
        """An array that the forward pass made, and may write into."""
        return Recorded(self, Node(np.array(value, np.float64), "0" if not np.any(value) else "a constant"))

    @contextmanager
    def inside(self, name: str) -> Iterator[None]:
        """The steps recorded in this context have this name: they are part of one call of the user."""
        before, self.prefix = self.prefix, name
        try:
            yield
        finally:
            self.prefix = before

    def condition(self) -> str:
        """The condition of the `np.where` that is being recorded, in the user's words."""
        frame = _user_frame()
        return (names.first_argument(frame) if frame else "") or "its condition holds"

    def _name_of(self, constant: Any) -> str:
        """The name of the user's variable that is this object."""
        frame = _user_frame()
        known = {**frame.f_globals, **frame.f_locals} if frame else {}
        return next((name for name, value in known.items() if value is constant), "a constant")

    def _name_variables(self, frame: FrameType | None) -> None:
        """Nodes that have become variables of the user's function get their names."""
        parameters = frame.f_code.co_varnames[:frame.f_code.co_argcount] if frame else ()
        for name, value in (frame.f_locals if frame else {}).items():
            if isinstance(value, Recorded) and not value.node.is_named and name not in parameters:
                value.node.name, value.node.is_named = name, True


class Recorded(NDArrayOperatorsMixin):
    """An array whose operations are recorded. It behaves as an array of the same values."""

    def __init__(self, recording: Recording, node: Node) -> None:
        self.recording, self.node = recording, node

    @property
    def value(self) -> Array:
        """The values as a plain array."""
        return self.node.value

    def __array_ufunc__(self, ufunc: np.ufunc, method: str, *inputs: Any, **options: Any) -> Any:
        return calls.ufunc(self.recording, ufunc, method, inputs, options)

    def __array_function__(self, function: Callable[..., Any], types: Any, arguments: Any, options: Any) -> Any:
        return calls.function(self.recording, function, arguments, options)

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> Array:
        raise Untraceable("a recorded array would become a plain one")

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_"):
            raise AttributeError(name)
        return calls.attribute(self, name)

    def __getitem__(self, key: Any) -> Any:
        return calls.index(self.recording, self, key)

    def __setitem__(self, key: Any, value: Any) -> None:
        self.node = calls.assigned(self.recording, self, key, value).node

    def __len__(self) -> int:
        return len(self.value)

    def __iter__(self) -> Iterator[Any]:
        return (self[i] for i in range(len(self.value)))

    def __bool__(self) -> bool:
        return bool(self.value)


def _user_frame() -> FrameType | None:
    """The frame of the user's code that makes the call which is being recorded."""
    frame: FrameType | None = sys._getframe(1)
    while frame and str(frame.f_globals.get("__name__")).startswith(("npse.gradcheck.", "numpy.")):
        frame = frame.f_back
    return frame


def record(forward: Callable[..., Any], ops: Any, arguments: Mapping[str, Any],
           y: Array) -> tuple[Tape, Var, dict[str, Var]] | None:
    """The forward pass ``forward(ops, **arguments)`` as a tape, its output and its arguments by name.

    None if it cannot be recorded, or if the record gives other values than y.
    """
    try:
        with np.errstate(all="ignore"):
            recording = Recording()
            instrument = Instrument(recording)
            edition = Edition(ops, instrument)
            nodes = {name: Node(np.array(value, np.float64), name, is_argument=True, is_named=True)
                     for name, value in arguments.items() if getattr(getattr(value, "dtype", None), "kind", "") == "f"}
            recorded = {name: Recorded(recording, node) for name, node in nodes.items()}
            output = forward(edition, **{**_copies(arguments), **recorded})
            if not isinstance(output, Recorded) or not alike(output.value, y, SAME):
                return None
            _complete_names(recording.nodes, output.node)
            order = simplified(output.node)
            saved = [node for node in recording.nodes if node not in order]
            tape, variables = _tape(order, list(nodes.values()), saved)
    except Exception:                # whatever the user's function does with a recorded array
        return None
    result = variables[output.node]
    return (tape, result, {name: variables[node] for name, node in nodes.items()}) \
        if alike(result.value, y, SAME) else None


def _complete_names(nodes: Sequence[Node], output: Node) -> None:
    """The last value of a loop's variable gets the name of the others; the output is called y, if nothing else is."""
    of_place: dict[Any, set[str]] = defaultdict(set)
    for node in nodes:
        if node.is_named and node.place:
            of_place[node.place].add(node.name)
    for node in nodes:
        if not node.is_named and len(of_place.get(node.place, ())) == 1:
            node.name, = of_place[node.place]
    if output.build and output.place not in of_place and all(node.name != "y" for node in nodes):
        output.name = "y"                                         # its gradient is called dy


def _copies(arguments: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value.copy() if isinstance(value, np.ndarray) else value for name, value in arguments.items()}


def _tape(order: Sequence[Node], arguments: Sequence[Node],
          saved: Sequence[Node]) -> tuple[Tape, dict[Node, Var]]:
    """A tape with the steps of some nodes, in this order; every name is used once.

    ``saved`` are values that no step needs, but that the backward pass may read by mistake.
    """
    tape, variables, used = Tape(is_record=True), {}, dict.fromkeys((node.name for node in arguments), 1)
    for node in arguments:
        variables[node] = tape.leaf(node.value, node.name, axes_of(node.value))
    for node in order:
        if node.build is None and node not in variables:
            variables[node] = tape.leaf(node.value, node.name, axes_of(node.value), constant=True)
        elif node.build is not None:
            name = node.name
            used[name] = used.get(name, 0) + 1
            name = name if used[name] == 1 else f"{name} ({used[name]})"
            variables[node] = node.build([variables[read] for read in node.inputs], name)
    for node in saved:
        if node.name not in used:
            tape.leaf(node.value, node.name, axes_of(node.value), constant=True)
    return tape, variables
