"""Steps of a tape for calls of NumPy that the book's ops do not need, each with mistakes that are common in it."""

from collections.abc import Callable, Iterator, Sequence
from itertools import pairwise
from typing import Any, TypeAlias

import numpy as np

from npse.gradcheck.diagnosis.primitives import fit
from npse.gradcheck.diagnosis.tape import Hypothesis, Part, Step, Var
from npse.types import Array

Slope: TypeAlias = Callable[[Array, Array], Array | float]
"""A derivative as a function of the output and the input."""

Key: TypeAlias = Any
"""What stands in the brackets of an index."""


def axes_of(value: Array) -> tuple[str, ...]:
    """A name for each axis of an array."""
    return tuple(f"axis {i}" for i in range(np.ndim(value)))


def elementwise(x: Var, name: str, run: Callable[[Array], Array], slope: Slope, formula: str,
                wrong: Sequence[tuple[str, Slope]] = ()) -> Var:
    """A function of each entry; ``formula`` is its derivative in words, ``wrong`` holds others: words and values."""
    def faults(step: Step) -> Iterator[Hypothesis]:
        known: tuple[tuple[str, str, Slope], ...] = (
            ("path missing", f"lacks the factor {formula}, the derivative of {step.output.name}", lambda y, x: 1.0),
            ("path twice", f"has the factor {formula} twice", lambda y, x: np.square(slope(y, x))),
            ("factor", f"is divided by {formula}, where it must be multiplied with it",
             lambda y, x: 1 / np.asarray(slope(y, x))),
            *(("wrong value", f"has the factor {words}, where {formula} belongs", other) for words, other in wrong))
        for kind, text, other in known:
            yield Hypothesis(kind, f"d{x.name} {text}",
                             {(step, 0): lambda dy, y, x, other=other: dy * other(y, x)},
                             advice=f"The derivative of {step.output.name} is {formula}.")
    return x.tape.step(run, [x], [lambda dy, y, x: dy * slope(y, x)], name, axes=x.axes, faults=faults,
                       ways=(way(name),))


def two_inputs(a: Var, b: Var, name: str, run: Callable[[Array, Array], Array],
               slopes: tuple[Callable[..., Array], Callable[..., Array]], formulas: tuple[str, str]) -> Var:
    """A function of each pair of entries, with broadcasting: the slopes are functions of the output and both inputs."""
    def part(i: int, slope: Callable[..., Array | float]) -> Part:
        return lambda dy, y, a, b: fit(np.broadcast_to(dy * slope(y, a, b), y.shape), (a, b)[i].shape)

    def faults(step: Step) -> Iterator[Hypothesis]:
        for i, (var, formula) in enumerate(zip((a, b), formulas, strict=True)):
            for kind, text, factor in (
                    ("path missing", f"lacks the factor {formula}", lambda y, a, b: 1.0),
                    ("path twice", f"has the factor {formula} twice", lambda y, a, b, i=i: slopes[i](y, a, b) ** 2),
                    ("factor", f"is divided by {formula}, where it must be multiplied with it",
                     lambda y, a, b, i=i: 1 / slopes[i](y, a, b))):
                yield Hypothesis(kind, f"d{var.name} {text}", {(step, i): part(i, factor)})
    value = run(a.value, b.value)
    return a.tape.step(run, [a, b], [part(0, slopes[0]), part(1, slopes[1])], name, axes=axes_of(value), faults=faults,
                       ways=(way(name), way(name)))


def power(a: Var, b: Var, name: str) -> Var:
    """a**b for an exponent that is a constant number."""
    n, base = float(b.value), a.name

    def part(slope: Callable[[Array], Array]) -> Part:
        return lambda dy, y, a, b: dy * slope(a)

    def faults(step: Step) -> Iterator[Hypothesis]:
        for kind, text, slope in (
                ("factor", f"lacks the factor {n:g} of the power", lambda a: a ** (n - 1)),
                ("path missing", f"lacks the factor {base}^{n - 1:g}", lambda a: n * np.ones(a.shape)),
                ("wrong value", f"has the exponent {n:g}, where {n - 1:g} belongs", lambda a: n * a**n),
                ("wrong value", f"has the exponent {n - 2:g}, where {n - 1:g} belongs", lambda a: n * a ** (n - 2)),
                ("factor", f"has the factor {n - 1:g}, where {n:g} belongs", lambda a: (n - 1) * a ** (n - 1))):
            yield Hypothesis(kind, f"d{base} {text}", {(step, 0): part(slope)},
                             advice=f"The derivative of {base}^{n:g} is {n:g}*{base}^{n - 1:g}.")
    return a.tape.step(np.power, [a, b], [part(lambda a: n * a ** (n - 1)), lambda dy, y, a, b: np.zeros(b.shape)],
                       name, axes=a.axes, faults=faults, ways=(way(name), way(name)))


def choose(a: Var, b: Var, condition: Array, words: str, run: Callable[[Array, Array], Array], name: str) -> Var:
    """The entries of a where a condition holds, those of b elsewhere, with broadcasting; ``words`` is the condition."""
    value = np.where(condition, a.value, b.value)
    condition = np.broadcast_to(condition, value.shape)

    def part(i: int, mask: Array | float) -> Part:
        return lambda dy, y, a, b: fit(np.broadcast_to(dy * mask, y.shape), (a, b)[i].shape)

    def faults(step: Step) -> Iterator[Hypothesis]:
        right = condition, ~condition
        advice = f"{name} is {a.name} where {words}, and {b.name} elsewhere."
        for i, var in enumerate((a, b)):
            where = words if i == 0 else f"not ({words})"
            yield Hypothesis("mask missing", f"d{var.name} lacks the mask, {where}", {(step, i): part(i, 1.0)},
                             advice=advice)
            yield Hypothesis("mask misplaced", f"d{var.name} is masked inversely: it passes where {where} is false",
                             {(step, i): part(i, ~right[i])}, advice=advice)
        both: tuple[Part, Part] = part(0, ~condition), part(1, condition)
        yield Hypothesis("mask misplaced", f"d{a.name} and d{b.name} are swapped: the mask is inverse",
                         {(step, 0): both[0], (step, 1): both[1]}, advice=advice)
        for var in a.tape.variables():
            if var.shape == value.shape and not var.constant and ((var.value > 0) != condition).any():
                mask = var.value > 0
                yield Hypothesis("mask misplaced", f"d{a.name} is masked by {var.name} > 0, not by {words}",
                                 {(step, 0): part(0, mask), (step, 1): part(1, ~mask)}, advice=advice)
    return a.tape.step(run, [a, b], [part(0, condition), part(1, ~condition)], name, axes=axes_of(value),
                       faults=faults, ways=(way(name), way(name)))


def clip(x: Var, low: Array | None, high: Array | None, run: Callable[[Array], Array], name: str) -> Var:
    """The entries of x, limited to a range."""
    above = True if low is None else x.value >= low
    below = True if high is None else x.value <= high

    def faults(step: Step) -> Iterator[Hypothesis]:
        for kind, text, mask in (("mask missing", "passes where it was clipped, too", 1.0),
                                 ("mask missing", "passes below the lower bound, too", below),
                                 ("mask missing", "passes above the upper bound, too", above),
                                 ("mask misplaced", "passes only where it was clipped", ~(above & below))):
            yield Hypothesis(kind, f"d{x.name} {text}", {(step, 0): lambda dy, y, x, mask=mask: dy * mask},
                             advice=f"A clipped entry of {x.name} has the derivative 0.")
    return x.tape.step(run, [x], [lambda dy, y, x: dy * (above & below)], name, axes=x.axes, faults=faults,
                       ways=(way(name),))


def gather(inputs: Sequence[Var], places: Array, name: str) -> Var:
    """Entries of the inputs at other places: an index, a transpose, a concatenation, a padding.

    ``places`` has the shape of the result: the number of each entry among all entries of all inputs, counted from 1; 0
    for a constant 0.
    """
    starts = np.cumsum([1, *(x.value.size for x in inputs)])
    count = np.bincount(places.ravel(), minlength=int(starts[-1]))

    def run(*read: Array) -> Array:
        return np.concatenate([[0.0], *(x.ravel() for x in read)])[places]

    def back(dy: Array, at: Array = places) -> Array:
        return np.bincount(at.ravel(), weights=dy.ravel(), minlength=int(starts[-1]))

    def overwritten(dy: Array) -> Array:
        total = np.zeros(int(starts[-1]))
        total[places.ravel()] = dy.ravel()
        return total

    def part(i: int, way_back: Callable[[Array], Array]) -> Part:
        first, last = list(pairwise(starts))[i]
        return lambda dy, y, *read: way_back(np.broadcast_to(dy, y.shape))[first:last].reshape(read[i].shape)

    def faults(step: Step) -> Iterator[Hypothesis]:
        for i, x in enumerate(inputs):
            if count[starts[i]:starts[i + 1]].max(initial=0) > 1:
                yield Hypothesis("not summed", f"d{x.name} keeps the last gradient of an entry that {name} reads more "
                                 "than once: the gradients must be added up", {(step, i): part(i, overwritten)})
                yield Hypothesis("averaged", f"d{x.name} is divided by how often {name} reads an entry, where a sum "
                                 "belongs", {(step, i): part(i, lambda dy: back(dy) / np.maximum(count, 1))})
            yield from _misplaced(step, i, x, part, back, places)
    return inputs[0].tape.step(run, inputs, [part(i, back) for i in range(len(inputs))], name,
                               axes=axes_of(places), faults=faults, ways=tuple(way(name) for _ in inputs))


def _misplaced(step: Step, i: int, x: Var, part: Callable[..., Part], back: Callable[..., Array],
               places: Array) -> Iterator[Hypothesis]:
    """Hypotheses about a gather whose gradient goes to the wrong places of x."""
    name, right = step.output.name, part(i, back)
    if places.shape == x.shape and places.any():
        yield Hypothesis("transposed", f"d{x.name} is d{name} in its own order: it is not moved back to the places in "
                         f"{x.name}", {(step, i): lambda dy, y, *read: np.broadcast_to(dy, y.shape)})
        if len(step.inputs) == 1 and places.all():
            yield Hypothesis("transposed", f"d{x.name} is d{name} rearranged as in the forward pass, not back",
                             {(step, i): lambda dy, y, *read: dy.ravel()[places - 1].reshape(x.shape)})
    for axis in range(len(x.shape)):
        for shift in (1, -1) if x.shape[axis] > 2 else ():
            yield Hypothesis("borders", f"d{x.name} is shifted by one along axis {axis}", {
                (step, i): lambda *read, axis=axis, shift=shift: np.roll(right(*read), shift, axis)},
                advice=f"It comes back from {name} to the places that were read.")


def extreme(x: Var, axes: tuple[int, ...], run: Callable[[Array], Array], largest: bool, name: str) -> Var:
    """The largest or the smallest entry along some axes, which are kept with size 1."""
    word = "largest" if largest else "smallest"

    def one_of(x: Array, largest: bool, axes: tuple[int, ...] = axes) -> Array:
        """1 at the first of the extreme entries, 0 elsewhere."""
        order = [axis for axis in range(x.ndim) if axis not in axes] + list(axes)
        rows = x.transpose(order).reshape(*(x.shape[a] for a in order if a not in axes), -1)
        at = (rows.argmax if largest else rows.argmin)(axis=-1)
        one = np.arange(rows.shape[-1]) == at[..., None]
        return one.reshape([x.shape[a] for a in order]).transpose(np.argsort(order))

    def faults(step: Step) -> Iterator[Hypothesis]:
        for kind, text, share in (
                ("ties", f"goes to all of equal {word} entries, not to the first", lambda y, x: x == y),
                ("ties", f"is shared among equal {word} entries", lambda y, x: (x == y) / (x == y).sum(
                    axis=axes, keepdims=True)),
                ("mask missing", f"goes to every entry, not to the {word} alone", lambda y, x: np.ones(x.shape)),
                ("averaged", f"is spread evenly, as for a mean: it belongs to the {word} entry alone",
                 lambda y, x: np.ones(x.shape) * y.size / x.size),
                ("mask misplaced", f"goes to the wrong end: the {word} entry must get it",
                 lambda y, x: one_of(x, not largest))):
            yield Hypothesis(kind, f"d{x.name} {text}", {
                (step, 0): lambda dy, y, x, share=share: dy * share(y, x)},
                advice=f"Only the {word} entry of {x.name} passes to {name}.")
        for other in range(len(x.shape)):
            if (other,) != axes:
                own = ", ".join(x.axes[axis] for axis in axes)
                yield Hypothesis("mask misplaced", f"d{x.name} goes to the {word} entries along axis {other}, not to "
                                 f"those along {own}", {
                                     (step, 0): lambda dy, y, x, other=other: dy * one_of(x, largest, (other,))})
    return x.tape.step(run, [x], [lambda dy, y, x: dy * one_of(x, largest)], name, axes=x.axes, faults=faults,
                       ways=(way(name),))


def variance(x: Var, axes: tuple[int, ...], ddof: int, name: str) -> Var:
    """The variance over some axes, which are kept with size 1; the sum of squares is divided by their size - ddof."""
    count = int(np.prod([x.shape[axis] for axis in axes]))
    divisor = count - ddof

    def centred(x: Array) -> Array:
        return x - x.mean(axis=axes, keepdims=True)

    def faults(step: Step) -> Iterator[Hypothesis]:
        for kind, text, part in (
                ("factor", "lacks the factor 2", lambda x: centred(x) / divisor),
                ("variance", f"has {x.name} where {x.name} less its mean belongs", lambda x: 2 * x / divisor),
                ("averaged", f"is not divided by {divisor}", lambda x: 2 * centred(x)),
                ("variance", f"is divided by {divisor - 1}, not by {divisor}",
                 lambda x: 2 * centred(x) / max(divisor - 1, 1)),
                ("variance", f"is divided by {divisor + 1}, not by {divisor}",
                 lambda x: 2 * centred(x) / (divisor + 1))):
            yield Hypothesis(kind, f"the part of d{x.name} that comes back from the variance {text}", {
                (step, 0): lambda dy, y, x, part=part: dy * part(x)},
                advice=f"It is d{name} * 2 * ({x.name} - its mean) / {divisor}.")
    return x.tape.step(lambda x: x.var(axis=axes, ddof=ddof, keepdims=True), [x],
                       [lambda dy, y, x: dy * 2 * centred(x) / divisor], name, axes=x.axes, faults=faults,
                       ways=(way(name),))


def cumulative_sum(x: Var, axis: int, name: str) -> Var:
    """Each entry is the sum of the entries up to it along an axis."""
    def from_end(dy: Array) -> Array:
        return np.flip(np.cumsum(np.flip(dy, axis), axis), axis)

    def faults(step: Step) -> Iterator[Hypothesis]:
        for kind, text, part in (
                ("wrong value", "is summed from the start, where it must be summed from the end",
                 lambda dy: np.cumsum(dy, axis)),
                ("not summed", f"is d{name} itself, without the sum over the entries after it", lambda dy: dy),
                ("borders", "leaves out its own entry in the sum from the end", lambda dy: from_end(dy) - dy),
                ("not summed", "is the whole sum at every place, where the sum from the place to the end belongs",
                 lambda dy: dy.sum(axis=axis, keepdims=True) + 0 * dy)):
            yield Hypothesis(kind, f"d{x.name} {text}", {(step, 0): lambda dy, y, x, part=part: part(dy)},
                             advice=f"An entry of {x.name} is part of every later sum.")
        for other in range(len(x.shape)):
            if other != axis:
                yield Hypothesis("not summed", f"d{x.name} is summed along axis {other}, where axis {axis} belongs", {
                    (step, 0): lambda dy, y, x, other=other: np.flip(np.cumsum(np.flip(dy, other), other), other)})
    return x.tape.step(lambda x: np.cumsum(x, axis), [x], [lambda dy, y, x: from_end(dy)], name, axes=x.axes,
                       faults=faults, ways=(way(name),))


def product(x: Var, axes: tuple[int, ...], name: str) -> Var:
    """The product along some axes, which are kept with size 1."""
    def faults(step: Step) -> Iterator[Hypothesis]:
        for kind, text, factor in (("path twice", f"has the factor {name}, where the product of the other entries "
                                    "belongs", lambda y, x: y + 0 * x),
                                   ("path missing", "lacks the product of the other entries", lambda y, x: 1 + 0 * x)):
            yield Hypothesis(kind, f"d{x.name} {text}", {
                (step, 0): lambda dy, y, x, factor=factor: dy * factor(y, x)},
                advice=f"d{x.name} = d{name} * {name} / {x.name}.")
    return x.tape.step(lambda x: x.prod(axis=axes, keepdims=True), [x], [lambda dy, y, x: dy * y / x], name,
                       axes=x.axes, faults=faults, ways=(way(name),))


def assign(old: Var, new: Var, key: Key, adds: bool, name: str) -> Var:
    """The array ``old`` with other values at some places, or with values added there."""
    def run(old: Array, new: Array) -> Array:
        result = old.copy()
        if adds:
            np.add.at(result, key, new)
        else:
            result[key] = new
        return result

    def kept(dy: Array, y: Array, old: Array, new: Array) -> Array:
        rest = np.array(np.broadcast_to(dy, y.shape))
        if not adds:
            rest[key] = 0
        return rest

    def at_key(dy: Array, y: Array, old: Array, new: Array) -> Array:
        return fit(np.broadcast_to(dy, y.shape)[key], new.shape)
    return old.tape.step(run, [old, new], [kept, at_key], name, axes=axes_of(old.value), ways=(way(name), way(name)))


def way(name: str) -> tuple[str, str]:
    """How an output depends on an input, and the gradient that returns, for a step of that name."""
    return f"through {name}", f"the part that comes back from {name}"
