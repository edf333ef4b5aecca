"""Steps that multiply arrays and sum over some axes: matmul, dot, outer, tensordot, einsum."""

from collections.abc import Iterator, Sequence
from string import ascii_letters

import numpy as np

from npse.gradcheck.diagnosis.foreign.steps import axes_of, way
from npse.gradcheck.diagnosis.primitives import fit
from npse.gradcheck.diagnosis.tape import Hypothesis, Part, Step, Var
from npse.types import Array, Shape


def contract(inputs: Sequence[Var], terms: Sequence[str], out: str, name: str) -> Var:
    """An einsum: ``terms`` has the letters of each input, ``out`` those of the result; no letter twice in a term."""
    subscripts = f"{','.join(terms)}->{out}"

    def run(*read: Array) -> Array:
        return np.asarray(np.einsum(subscripts, *read))

    def faults(step: Step) -> Iterator[Hypothesis]:
        for i in range(len(inputs)):
            yield from _wrong_product(step, i, terms, out)
    return inputs[0].tape.step(run, inputs, [_part(i, terms, out) for i in range(len(inputs))], name,
                               axes=axes_of(run(*(x.value for x in inputs))), faults=faults,
                               ways=tuple(way(name) for _ in inputs))


def _part(i: int, terms: Sequence[str], out: str) -> Part:
    """The gradient of the i-th input: dy times the other inputs, summed over the letters that the input lacks."""
    def part(dy: Array, y: Array, *read: Array) -> Array:
        others = [k for k in range(len(terms)) if k != i]
        mine = dict(zip(terms[i], read[i].shape, strict=True))
        known = set(out).union(*(terms[k] for k in others))
        alone = "".join(letter for letter in terms[i] if letter not in known)     # summed within the input
        operands = [np.broadcast_to(dy, y.shape), *(read[k] for k in others), np.ones([mine[a] for a in alone])]
        factors = ",".join([out, *(terms[k] for k in others), alone])
        return fit(np.asarray(np.einsum(f"{factors}->{terms[i]}", *operands)), read[i].shape)
    return part


def _wrong_product(step: Step, i: int, terms: Sequence[str], out: str) -> Iterator[Hypothesis]:
    """Hypotheses about the gradient of the i-th input."""
    x, right = step.inputs[i], step.parts[i]
    d, name = f"d{x.name}", step.output.name
    formula = f"{d} is d{name} times {' times '.join(step.inputs[k].name for k in range(len(terms)) if k != i)}" \
              f", summed over the axes that {x.name} lacks."
    summed = [letter for letter in out if letter not in terms[i]]
    size = int(np.prod([step.output.shape[out.index(letter)] for letter in summed]))
    if size > 1:
        axes = ", ".join(f"axis {out.index(letter)}" for letter in summed)
        yield Hypothesis("averaged", f"{d} is averaged over {axes} of {name}, where a sum belongs ({size} entries)",
                         {(step, i): lambda *read: right(*read) / size}, advice=formula)
    for letter in summed:
        axis = out.index(letter)
        for place, at in (("first", 0), ("last", -1)):
            def one(dy: Array, *read: Array, axis: int = axis, at: int = at) -> Array:
                alone = np.zeros(np.shape(read[0]))
                np.moveaxis(alone, axis, 0)[at] = np.moveaxis(np.broadcast_to(dy, alone.shape), axis, 0)[at]
                return right(alone, *read)
            yield Hypothesis("not summed", f"{d} takes only the {place} entry along axis {axis} of {name}, where a sum "
                             "belongs", {(step, i): one}, advice=formula)
    for k, other in enumerate(step.inputs):
        if k != i and not other.constant:
            yield Hypothesis("path missing", f"{d} lacks its factor {other.name}", {
                (step, i): _replacing(right, k, np.ones(other.shape))}, advice=formula)
        if k != i and len(terms) > 2 and other.shape == x.shape:
            alone = f"{out},{terms[i]}->{terms[i]}"
            lost = " and ".join(step.inputs[m].name for m in range(len(terms)) if m not in (i, k))
            yield Hypothesis("path missing", f"{d} lacks its factor {lost}", {
                (step, i): lambda dy, y, *read, k=k, alone=alone: np.einsum(alone, dy, read[k])}, advice=formula)
        if k != i and _is_square(other.shape):
            yield Hypothesis("channels swapped", f"{d} uses {other.name} transposed, or not transposed, the other way "
                             "than it must be", {(step, i): _replacing(right, k, other.value.swapaxes(-1, -2))},
                             advice=formula)


def _replacing(part: Part, k: int, value: Array) -> Part:
    """A part that reads another value in place of its k-th input."""
    def replaced(dy: Array, y: Array, *read: Array) -> Array:
        return part(dy, y, *read[:k], value, *read[k + 1:])
    return replaced


def _is_square(shape: Shape) -> bool:
    return len(shape) > 1 and shape[-1] == shape[-2] > 1


def of_einsum(subscripts: str, shapes: Sequence[Shape]) -> tuple[list[str], str]:
    """The letters of each input and of the result, without dots; ValueError if a letter is twice in a term."""
    left, arrow, out = subscripts.replace(" ", "").partition("->")
    terms = left.split(",")
    free = [letter for letter in ascii_letters if letter not in subscripts]
    longest = max(len(shape) - len(term.replace(".", "")) for term, shape in zip(terms, shapes, strict=True))
    dots = "".join(free[:longest])
    terms = [term.replace("...", dots[len(dots) - (len(shape) - len(term.replace(".", ""))):])
             for term, shape in zip(terms, shapes, strict=True)]
    if not arrow:
        joined = "".join(terms)
        out = dots + "".join(sorted(letter for letter in set(joined) - set(dots) if joined.count(letter) == 1))
    out = out.replace("...", dots)
    if any(len(set(term)) < len(term) for term in terms):
        raise ValueError("an einsum with a letter twice in a term is not a product of arrays")
    return terms, out


def of_matmul(a: int, b: int) -> tuple[list[str], str]:
    """The letters of `matmul` for arrays with so many axes."""
    batch = ascii_letters[3:3 + max(a, b) - 2]
    left = "b" if a == 1 else batch[len(batch) - (a - 2):] + "ab"
    right = "b" if b == 1 else batch[len(batch) - (b - 2):] + "bc"
    return [left, right], batch + "a" * (a > 1) + "c" * (b > 1)


def of_dot(a: int, b: int) -> tuple[list[str], str]:
    """The letters of `dot` for arrays with axes: the last axis of a goes with the last but one of b."""
    left, rest = ascii_letters[:a], ascii_letters[26:26 + b]
    at = max(b - 2, 0)
    right = rest[:at] + left[-1] + rest[at + 1:]
    return [left, right], left[:-1] + rest[:at] + rest[at + 1:]


def of_tensordot(a: int, b: int, axes: int | tuple[Sequence[int], Sequence[int]]) -> tuple[list[str], str]:
    """The letters of `tensordot` for arrays with so many axes."""
    if isinstance(axes, int):
        axes = list(range(a - axes, a)), list(range(axes))
    mine, theirs = (np.atleast_1d(chosen) % n for chosen, n in zip(axes, (a, b), strict=True))
    left, right = list(ascii_letters[:a]), list(ascii_letters[26:26 + b])
    for i, k in zip(mine, theirs, strict=True):
        right[k] = left[i]
    kept = [letter for i, letter in enumerate(left) if i not in mine]
    kept += [letter for k, letter in enumerate(right) if k not in theirs]
    return ["".join(left), "".join(right)], "".join(kept)
