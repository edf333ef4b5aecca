"""A forward pass recorded as steps, so that its backward pass can be run with a mistake in one step.

Each step knows the gradient that it returns to each of its inputs: a *part*. A `Hypothesis` replaces some parts, or
some of the values that they read. The gradients that follow are those of a backward pass with that mistake.
"""

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np


@dataclass(frozen=True)
class Hypothesis:
    """One possible mistake.

    Attributes
    ----------
    kind, text : str
        The text starts with the tensor that is wrong: "du lacks the mask of the ReLU, y > 0".
    parts : dict of (step, i) -> function(dy, y, *inputs)
        The wrong gradient that a step returns to its i-th input.
    values : dict of Var -> array
        Wrong values of the forward pass that the backward pass reads; later values change with them.
    advice : str
        The right formula and the paper's equation, as a sentence.
    size : int
        The number of single mistakes.
    """

    kind: str
    text: str
    parts: dict = field(default_factory=dict)
    values: dict = field(default_factory=dict)
    advice: str = ""
    size: int = 1

    def __add__(self, other):
        kind = self.kind if self.kind == other.kind or len(self.text) >= len(other.text) else other.kind
        advice = " ".join(dict.fromkeys(filter(None, (self.advice, other.advice))))
        return Hypothesis(kind, f"{self.text}, and {other.text}", self.parts | other.parts, self.values | other.values,
                          advice, self.size + other.size)

    def overlaps(self, other):
        """Whether both replace the same part or value, so that they cannot be combined."""
        return not self.parts.keys().isdisjoint(other.parts) or not self.values.keys().isdisjoint(other.values)


NO_MISTAKE = Hypothesis("", "")


@dataclass(eq=False)
class Var:
    """An array on a tape: its value, its name in the book, and a letter for each axis."""

    tape: object
    value: np.ndarray
    name: str
    axes: tuple[str, ...] = ()

    @property
    def shape(self):
        return self.value.shape

    def sizes(self, axes):
        """Name and product of the sizes of some axes: ("H*W", 12)."""
        names = [self.axes[axis] for axis in axes]
        return "*".join(names), int(np.prod([self.shape[axis] for axis in axes]))

    def __getitem__(self, key):
        """Insert or remove axes of size 1: `s[:, None, None, :]`, `z[:, 0, 0]`."""
        shape, letters, after = self.value[key].shape, list(self.axes), []
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
    """One step: its function, and for each input the gradient that it returns to it (a part).

    ``ways`` says for each input how the output depends on it, and which gradient returns: ``("through the squeeze",
    "dz/(H*W), Eq. 2")``. ``missing`` is the kind of mistake if that part is forgotten. ``faults(step)`` yields the
    hypotheses about this step.
    """

    run: Callable
    inputs: list
    parts: list
    output: Var
    ways: tuple = ()
    missing: str = "path missing"
    nonlinearity: str = ""
    faults: Callable = lambda step: ()


class Tape:
    """The steps of one forward pass, in order."""

    def __init__(self):
        self.steps, self.leaves = [], []

    def leaf(self, value, name, axes):
        """An argument of the forward pass."""
        self.leaves.append(Var(self, np.asarray(value), name, tuple(axes)))
        return self.leaves[-1]

    def step(self, run, inputs, parts, name, axes=(), **words):
        """Run one step, record it, and return its output."""
        output = Var(self, run(*(var.value for var in inputs)), name, tuple(axes))
        self.steps.append(Step(run, inputs, parts, output, **words))
        return output

    def variables(self):
        return [*self.leaves, *(step.output for step in self.steps)]

    def maker(self, var):
        """The step whose output a variable is; None for an argument."""
        return next((step for step in self.steps if step.output is var), None)

    def uses(self, var):
        """Every (step, i) that reads a variable."""
        return [(step, i) for step in self.steps for i, read in enumerate(step.inputs) if read is var]

    def gradients(self, output, dy, wrt, hypothesis=NO_MISTAKE):
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

    def output_with(self, output, changed):
        """The value of the output if some variables have other values."""
        return self._values(changed)[output]

    def _values(self, changed):
        values = {var: changed.get(var, var.value) for var in self.leaves}
        for step in self.steps:
            if step.output in changed:
                values[step.output] = changed[step.output]
            elif changed and any(values[var] is not var.value for var in step.inputs):
                values[step.output] = step.run(*(values[var] for var in step.inputs))
            else:
                values[step.output] = step.output.value
        return values
