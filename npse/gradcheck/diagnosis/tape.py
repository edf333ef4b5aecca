"""A forward pass recorded as steps, so that its backward pass can be run with a mistake in one step.

A step has one function for each of its inputs, a *part*. It computes the gradient that the step returns to that input.
A `Hypothesis` replaces some parts, or some of the values that they read. The gradients that follow are those of a
backward pass with that mistake.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TypeAlias, TypedDict, Unpack

import numpy as np

from npse.types import Array, Shape

Part: TypeAlias = Callable[..., Array]
"""The gradient that a step returns to one input: ``part(dy, y, *inputs)``, dy and y of the step's output."""

Use: TypeAlias = "tuple[Step, int]"
"""The i-th input of a step."""

Parts: TypeAlias = "dict[Use, Part]"
"""A part for some inputs of some steps."""

Faults: TypeAlias = "Callable[[Step], Iterable[Hypothesis]]"
"""The hypotheses about a step."""

Way: TypeAlias = tuple[str, str]
"""How an output depends on an input, and the gradient that returns: "through the squeeze", "dz/(H*W), Eq. 2"."""


@dataclass(frozen=True)
class Hypothesis:
    """One possible mistake.

    Attributes
    ----------
    kind, text : str
        The text starts with the tensor that is wrong: "du lacks the mask of the ReLU, y > 0".
    parts : dict of (step, i) -> function of (dy, y, *inputs)
        The wrong gradient that a step returns to its i-th input.
    values : dict of Var -> array
        Wrong values of the forward pass that the backward pass reads; later values change with them.
    advice : str
        The right formula and the paper's equation, as a sentence.
    size : int
        The number of single mistakes.
    made_of : tuple of str
        The texts of the single mistakes, if there are several.
    """

    kind: str
    text: str
    parts: Parts = field(default_factory=dict)
    values: dict[Var, Array] = field(default_factory=dict)
    advice: str = ""
    size: int = 1
    made_of: tuple[str, ...] = ()

    def __add__(self, other: Hypothesis) -> Hypothesis:
        kind = self.kind if self.kind == other.kind or len(self.text) >= len(other.text) else other.kind
        advice = " ".join(dict.fromkeys(filter(None, (self.advice, other.advice))))
        return Hypothesis(kind, f"{self.text}, and {other.text}", self.parts | other.parts, self.values | other.values,
                          advice, self.size + other.size,
                          (*(self.made_of or (self.text,)), *(other.made_of or (other.text,))))

    def overlaps(self, other: Hypothesis) -> bool:
        """Whether both replace the same part or value, so that they cannot be combined."""
        return not self.parts.keys().isdisjoint(other.parts) or not self.values.keys().isdisjoint(other.values)


NO_MISTAKE = Hypothesis("", "")


@dataclass(eq=False)
class Var:
    """An array on a tape: its value, its name in the book, and a letter for each axis.

    No gradient of a ``constant`` is ever asked for.
    """

    tape: Tape
    value: Array
    name: str
    axes: tuple[str, ...] = ()
    constant: bool = False

    @property
    def shape(self) -> Shape:
        return self.value.shape

    def sizes(self, axes: Sequence[int]) -> tuple[str, int]:
        """The letters of some axes and the product of their sizes: ("H*W", 12)."""
        names = [self.axes[axis] for axis in axes]
        return "*".join(names), int(np.prod([self.shape[axis] for axis in axes]))

    def __getitem__(self, key: tuple[slice | int | None, ...]) -> Var:
        """Insert or remove axes of size 1: `s[:, None, None, :]`, `z[:, 0, 0]`."""
        shape, letters = self.value[key].shape, list(self.axes)
        after: list[str] = []
        if self.value[key].size != self.value.size:
            raise NotImplementedError("on a tape only axes of size 1 can be indexed")
        for item in key:
            if item is None:
                after.append("1")
            elif isinstance(item, slice):
                after.append(letters.pop(0))
            else:
                letters.pop(0)
        return self.tape.step(lambda x: x.reshape(shape), [self], [lambda dy, y, x: dy.reshape(x.shape)], self.name,
                              axes=(*after, *letters))


@dataclass(eq=False)
class Step:
    """One step of a forward pass.

    Attributes
    ----------
    run : function of the values of the inputs -> value of the output
    inputs : sequence of Var
    parts : sequence of function of (dy, y, *inputs)
        For each input the gradient that the step returns to it.
    output : Var
    ways : tuple of (str, str)
        For each input how the output depends on it, and which gradient returns: ``("through the squeeze",
        "dz/(H*W), Eq. 2")``. May be empty.
    missing : str
        The kind of mistake if a part is missing.
    nonlinearity : str
        "relu", "sigmoid" or empty.
    faults : function of the step -> hypotheses about it
    """

    run: Callable[..., Array]
    inputs: Sequence[Var]
    parts: Sequence[Part]
    output: Var
    ways: tuple[Way, ...] = ()
    missing: str = "path missing"
    nonlinearity: str = ""
    faults: Faults = lambda step: ()


class Words(TypedDict, total=False):
    """Attributes of a `Step` that whoever calls a primitive may state."""

    ways: tuple[Way, ...]
    missing: str


class Options(Words, total=False):
    """All attributes of a `Step` that have a default."""

    nonlinearity: str
    faults: Faults


class Tape:
    """The steps of one forward pass, in order; ``is_record`` says that they are NumPy's calls, not the book's steps."""

    def __init__(self, is_record: bool = False) -> None:
        self.is_record = is_record
        self.steps: list[Step] = []
        self.leaves: list[Var] = []

    def leaf(self, value: Array, name: str, axes: tuple[str, ...], constant: bool = False) -> Var:
        """Record an argument of the forward pass, or a constant."""
        self.leaves.append(Var(self, np.asarray(value), name, axes, constant))
        return self.leaves[-1]

    def step(self, run: Callable[..., Array], inputs: Sequence[Var], parts: Sequence[Part], name: str,
             axes: tuple[str, ...] = (), **options: Unpack[Options]) -> Var:
        """Run one step, record it, and return its output."""
        output = Var(self, run(*(var.value for var in inputs)), name, axes)
        self.steps.append(Step(run, inputs, parts, output, **options))
        return output

    def variables(self) -> list[Var]:
        """The arguments, then the output of each step, in order."""
        return [*self.leaves, *(step.output for step in self.steps)]

    def maker(self, var: Var) -> Step | None:
        """The step whose output a variable is; None for an argument."""
        return next((step for step in self.steps if step.output is var), None)

    def step_of(self, var: Var) -> Step:
        """The step whose output a variable is; ValueError for an argument."""
        step = self.maker(var)
        if step is None:
            raise ValueError(f"{var.name} is an argument of the forward pass, not the output of a step")
        return step

    def uses(self, var: Var) -> list[Use]:
        """Every (step, i) that reads a variable."""
        return [(step, i) for step in self.steps for i, read in enumerate(step.inputs) if read is var]

    def gradients(self, output: Var, dy: Array, wrt: Sequence[Var], hypothesis: Hypothesis = NO_MISTAKE) -> list[Array]:
        """Gradients of sum(dy * output) with respect to the variables ``wrt``, under the given hypothesis."""
        values = self._values(hypothesis.values)
        flowing = {output: dy}
        for step in reversed(self.steps):
            if step.output not in flowing:
                continue
            read = [values[var] for var in step.inputs]
            for i, var in enumerate(step.inputs):
                part = hypothesis.parts.get((step, i), step.parts[i])
                gradient = part(flowing[step.output], values[step.output], *read)
                flowing[var] = flowing[var] + gradient if var in flowing else gradient
        return [flowing.get(var, np.zeros(var.shape)) for var in wrt]

    def output_with(self, output: Var, changed: Mapping[Var, Array]) -> Array:
        """The value of the output if some variables have other values."""
        return self._values(changed)[output]

    def _values(self, changed: Mapping[Var, Array]) -> dict[Var, Array]:
        values = {var: changed.get(var, var.value) for var in self.leaves}
        for step in self.steps:
            if step.output in changed:
                values[step.output] = changed[step.output]
            elif changed and any(values[var] is not var.value for var in step.inputs):
                values[step.output] = step.run(*(values[var] for var in step.inputs))
            else:
                values[step.output] = step.output.value
        return values


def and_then(faults: Faults, hypothesis: Hypothesis) -> Faults:
    """The mistakes of a step, and one more."""
    return lambda step: [*faults(step), hypothesis]
