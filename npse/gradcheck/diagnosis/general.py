"""Mistakes that any step of a record may have: a wrong saved value, results exchanged, a loop that overwrites.

The steps that a loop repeats form a group; a mistake in the loop's body is made in every turn.
"""

import re
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from itertools import combinations

import numpy as np

from npse.gradcheck.diagnosis.tape import Hypothesis, Part, Parts, Step, Tape, Use, Var
from npse.types import Array, Shape

LONG = 40                # steps of a tape; on a longer one a loop is looked at as a whole only


def once(text: str) -> str:
    """A text without the numbers of the turns of a loop: "dh (2)" becomes "dh"."""
    return re.sub(r" \(\d+\)", "", text)


def groups_of(tape: Tape) -> list[list[Step]]:
    """The steps that a loop repeats, by the user's expression; a step that is not repeated is a group alone."""
    found: dict[tuple[str, int], list[Step]] = defaultdict(list)
    seen: dict[int, str] = {}
    for k, step in enumerate(tape.steps):
        seen[k] = once(step.output.name)
        found[seen[k], len(step.inputs)].append(step)
    return list(found.values())


def in_every_turn(tape: Tape) -> Iterator[Hypothesis]:
    """The mistakes of the steps; those of a loop's steps all together."""
    for group in groups_of(tape):
        turns = [[_of_a_part(tape, step, found) for found in step.faults(step)] for step in group]
        if len(group) == 1 or len(tape.steps) <= LONG:
            for turn in turns:
                yield from turn
        if len(group) > 1:
            yield from together(turns)


def _of_a_part(tape: Tape, step: Step, found: Hypothesis) -> Hypothesis:
    """The hypothesis in words that say which part of a gradient it is about, if the gradient has several parts."""
    uses = list(found.parts)
    var = uses[0][0].inputs[uses[0][1]] if len(uses) == 1 else None
    if var is None or len(tape.uses(var)) < 2 or not found.text.startswith(f"d{var.name} "):
        return found
    part = f"the part of d{var.name} that comes back from {step.output.name}"
    return replace(found, text=part + found.text.removeprefix(f"d{var.name}"))


def cut_off(tape: Tape) -> Iterator[Hypothesis]:
    """In every turn of a loop nothing comes back to an input, or it comes back twice or with the wrong sign."""
    for group in groups_of(tape):
        for i in range(len(group[0].inputs) if len(group) > 1 else 0):
            uses = [(step, i) for step in group if not step.inputs[i].constant]
            names = {once(step.inputs[i].name) for step, _ in uses}
            if len(names) != 1 or names == {once(group[0].output.name)}:
                continue
            (x,), y = names, once(group[0].output.name)
            for factor, kind, text in ((0, "path missing", f"d{x} is cut off: nothing comes back to {x} from {y}"),
                                       (2, "path twice", f"d{x} has the part that comes back from {y} twice"),
                                       (-1, "sign", f"d{x} has the part that comes back from {y} with the wrong sign")):
                yield Hypothesis(kind, text, {
                    (step, i): lambda *read, right=step.parts[i], factor=factor: factor * right(*read)
                    for step, i in uses})


def together(turns: list[list[Hypothesis]]) -> Iterator[Hypothesis]:
    """The mistake with the same text in every turn of a loop."""
    by_text: list[dict[str, Hypothesis]] = [{once(found.text): found for found in turn} for turn in turns]
    for text, first in by_text[0].items():
        same = [turn[text] for turn in by_text if text in turn]
        if len(same) > 1 and not first.values:
            parts: Parts = {}
            for hypothesis in same:
                parts |= hypothesis.parts
            yield Hypothesis(first.kind, text, parts, advice=once(first.advice))


def overwritten(tape: Tape) -> Iterator[Hypothesis]:
    """A variable that is read entry by entry, in a loop or by slices, keeps the last gradient only, or the first."""
    for var in tape.variables():
        if var.constant:
            continue
        by_name: dict[str, list[Use]] = defaultdict(list)
        for step, i in tape.uses(var):
            by_name[once(step.output.name)].append((step, i))
        for name, uses in by_name.items():
            covers = [_reached(step, i) for step, i in uses]
            if len(uses) < 2 or not (np.sum(covers, axis=0) > 1).any():
                continue
            for word, order in (("last", uses), ("first", uses[::-1])):
                yield Hypothesis("not summed", f"d{var.name} keeps the {word} gradient of an entry that {name} reads "
                                 "more than once: the gradients must be added up", _last_alone(order),
                                 advice=f"Write d{once(var.name)}[...] += in the loop, starting from zeros.")


def _last_alone(uses: list[Use]) -> Parts:
    parts: Parts = {}
    later: Array | bool = False
    for step, i in reversed(uses):
        free = ~np.asarray(later, bool)

        def part(*read: Array, right: Part = step.parts[i], free: Array = free) -> Array:
            return right(*read) * free
        parts[step, i] = part
        later = later | _reached(step, i)
    return parts


def _reached(step: Step, i: int) -> Array:
    """Which entries of its i-th input a step reads, if a gradient of ones comes back."""
    read = [var.value for var in step.inputs]
    with np.errstate(all="ignore"):
        return np.asarray(step.parts[i](np.ones(step.output.shape), step.output.value, *read)) != 0


def exchanged(tape: Tape) -> Iterator[Hypothesis]:
    """The gradients of two inputs of a step, or of two slices of a variable, are exchanged."""
    for step in tape.steps:
        if len(step.inputs) == 2:
            a, b = step.inputs
            if a is not b and a.shape == b.shape and not a.constant and not b.constant:
                yield Hypothesis("swapped", f"d{a.name} and d{b.name} are swapped",
                                 {(step, 0): step.parts[1], (step, 1): step.parts[0]})
    for var in tape.variables():
        uses = [(step, i) for step, i in tape.uses(var) if len(step.inputs) == 1]
        for k, (step, i) in enumerate(uses):
            for other, j in uses[k + 1:]:
                if step.output.shape == other.output.shape and not var.constant and len(uses) < 8 \
                        and once(step.output.name) != once(other.output.name):
                    yield Hypothesis("swapped", f"d{step.output.name} and d{other.output.name} are swapped on their "
                                     f"way into d{var.name}", {(step, i): other.parts[j], (other, j): step.parts[i]},
                                     advice="Each goes to the place that was read.")
                    mine, theirs = step.output, other.output
                    yield Hypothesis("swapped", f"{mine.name} and {theirs.name} are exchanged in the backward pass",
                                     values={mine: theirs.value, theirs: mine.value})


def turned(tape: Tape) -> Iterator[Hypothesis]:
    """The gradient that a step returns is transposed."""
    for step in tape.steps:
        for i, var in enumerate(step.inputs):
            if len(var.shape) > 1 and var.shape[-1] == var.shape[-2] > 1 and not var.constant:
                def part(*read: Array, right: Part = step.parts[i], shape: tuple[int, ...] = var.shape) -> Array:
                    return np.broadcast_to(right(*read), shape).swapaxes(-1, -2)
                yield Hypothesis("transposed", f"d{var.name} is transposed", {(step, i): part})


def stale(tape: Tape, only: Callable[..., Array] | None = None) -> Iterator[Hypothesis]:
    """A step reads another value of the same shape in place of its own; ``only`` looks at steps that run this alone."""
    first = tape.variables()[::-1][:1]                            # the output, of values that agree
    values = [var for var in first + tape.variables() if var.value.size > 1 and np.ptp(var.value) > 0]
    families: dict[str, list[Var]] = defaultdict(list)
    for var in tape.variables():
        families[once(var.name)].append(var)
    for group in groups_of(tape) if only is None else [[step] for step in tape.steps if step.run is only]:
        for i in range(len(group[0].inputs)):
            for r in range(len(group[0].inputs) + 1):
                if len(group) == 1:
                    yield from _other_values(group[0], i, r, values)
                else:
                    yield from _other_turns(group, i, r, families)


def _other_turns(group: list[Step], i: int, r: int, families: dict[str, list[Var]]) -> Iterator[Hypothesis]:
    """The r-th value that the i-th part reads is that of the turn before or after, in every turn of a loop."""
    reads = [[step.output, *step.inputs][r] for step in group]
    name = once(reads[0].name)
    for shift, word in ((1, "next"), (-1, "previous")):
        parts: Parts = {}
        for step, var in zip(group, reads, strict=True):
            family = families[once(var.name)]
            at = next((k for k, other in enumerate(family) if other is var), 0) + shift
            if once(var.name) == name and 0 <= at < len(family) and family[at].shape == var.shape:
                def part(dy: Array, *read: Array, right: Part = step.parts[i],
                         value: Array = family[at].value) -> Array:
                    return right(dy, *read[:r], value, *read[r + 1:])
                parts[step, i] = part
        if len(parts) > 1:
            yield Hypothesis("wrong value", f"d{once(group[0].inputs[i].name)} takes the {word} {name} where {name} of "
                             "the same turn belongs", parts)


def not_applied(tape: Tape) -> Iterator[Hypothesis]:
    """The backward pass takes the input of a function for its output."""
    for step in tape.steps:
        if len(step.inputs) == 1 and step.output.shape == step.inputs[0].shape:
            x, y = step.inputs[0], step.output
            if x.name != y.name and not np.array_equal(x.value, y.value):
                yield Hypothesis("wrong value", f"{y.name} is computed as {x.name} in the backward pass: a function is "
                                 "missing", values={y: x.value})


def mirrored(tape: Tape) -> Iterator[Hypothesis]:
    """The backward pass reads an argument mirrored, or transposed."""
    for leaf in tape.leaves:
        if leaf.constant:
            continue
        for axis in range(len(leaf.shape)):
            if leaf.shape[axis] > 1:
                yield Hypothesis("flipped kernel",
                                 f"{leaf.name} is read mirrored along axis {axis} in the backward pass",
                                 values={leaf: np.flip(leaf.value, axis)})
        for a, b in combinations(range(len(leaf.shape)), 2):
            if leaf.shape[a] == leaf.shape[b] > 1:
                yield Hypothesis("transposed", f"{leaf.name} is read with axis {a} and axis {b} swapped in the "
                                 "backward pass", values={leaf: leaf.value.swapaxes(a, b)})


def _fits(shape: Shape, other: Shape) -> bool:
    """Whether an array can stand where one of another shape, with as many axes, belongs."""
    return len(shape) == len(other) and all(n in (1, m) for n, m in zip(shape, other, strict=True))


def _other_values(step: Step, i: int, r: int, values: Iterable[Var]) -> Iterator[Hypothesis]:
    """The r-th value that the i-th part reads, the output first, is another one."""
    mine, reads = step.inputs[i], [step.output, *step.inputs]
    right = reads[r]
    if mine.constant or right.value.size < 2:
        return
    rng = np.random.default_rng(0)
    dy, before = rng.standard_normal(step.output.shape), [var.value for var in reads]
    with np.errstate(all="ignore"):
        usual = step.parts[i](dy, *before)
        for var in values:
            if var.shape != right.shape or var.name == right.name:
                continue

            def part(dy: Array, *read: Array, value: Array = var.value) -> Array:
                return step.parts[i](dy, *read[:r], value, *read[r + 1:])
            changed = part(dy, *before)
            if np.shape(changed) == np.shape(usual) and not np.array_equal(changed, usual):
                yield Hypothesis("wrong value", f"d{mine.name} takes {var.name} where {right.name} belongs",
                                 {(step, i): part})
