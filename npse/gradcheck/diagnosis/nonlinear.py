"""Non-linear steps of a tape: ReLU, sigmoid and softmax, each with mistakes in its mask or derivative."""

from collections.abc import Callable, Iterator
from itertools import combinations
from typing import Unpack

import numpy as np

from npse.gradcheck.diagnosis.primitives import spoken
from npse.gradcheck.diagnosis.tape import Hypothesis, Parts, Step, Var, Words
from npse.types import Array


def relu(x: Var, name: str, **words: Unpack[Words]) -> Var:
    """max(x, 0)."""
    def faults(step: Step) -> Iterator[Hypothesis]:
        def mask(kind: str, text: str, chosen: Callable[..., Array | float]) -> Hypothesis:
            """``chosen(dy, y)`` is the wrong mask."""
            return Hypothesis(kind, f"d{x.name} {text}", {(step, 0): lambda dy, y, x: dy * chosen(dy, y)},
                              advice=f"The ReLU passes d{name} on where {name} > 0 and stops it elsewhere.")
        yield mask("relu at zero", f"lets the gradient through where {x.name} is exactly 0: relu'(0) is 0",
                   lambda dy, y: x.value >= 0)
        yield mask("relu at zero", f"takes half of the gradient where {x.name} is exactly 0: relu'(0) is 0",
                   lambda dy, y: (x.value > 0) + 0.5 * (x.value == 0))
        yield mask("mask missing", f"lacks the mask of the ReLU, {name} > 0", lambda dy, y: 1.0)
        yield mask("mask misplaced", f"is masked inversely: it passes where {name} is 0",
                   lambda dy, y: y <= 0)
        yield mask("mask misplaced", f"is masked by its own sign, d{name} > 0, not by {name} > 0", lambda dy, y: dy > 0)
        yield mask("mask misplaced", f"is masked by d{name} > 0 and {name} > 0 both", lambda dy, y: (dy > 0) & (y > 0))
        yield mask("mask misplaced", f"has {name} itself as a factor, where its mask {name} > 0 belongs",
                   lambda dy, y: y)
        yield from _masks_elsewhere(step, x, name)
        for var in x.tape.variables():
            if var.shape == x.shape and var not in (x, step.output) and ((var.value > 0) != (x.value > 0)).any():
                other = _told_apart(var, x)
                yield mask("mask misplaced", f"is masked by {other} > 0, not by {name} > 0",
                           lambda dy, y, var=var: var.value > 0)
                yield mask("mask misplaced", f"is masked by {other} > 0 besides {name} > 0",
                           lambda dy, y, var=var: (y > 0) & (var.value > 0))
    return x.tape.step(lambda x: np.maximum(x, 0), [x], [lambda dy, y, x: dy * (y > 0)], name, axes=x.axes,
                       faults=faults, nonlinearity="relu", **words)


def _told_apart(var: Var, x: Var) -> str:
    """The name of a variable; if x has the same name, it is x without the term that was added to the variable."""
    maker = x.tape.maker(x)
    added = [read.name for read in maker.inputs if read is not var] if maker and var in maker.inputs else []
    return f"({var.name} without {added[0]})" if added and var.name == x.name else var.name


def _masks_elsewhere(step: Step, x: Var, name: str) -> Iterator[Hypothesis]:
    """Hypotheses about a ReLU whose mask is applied too late in the backward pass, or not on all paths."""
    tape, mask = x.tape, x.value > 0
    whole: Parts = {(step, 0): lambda dy, y, x: dy}
    for var, others in _ways_but_one(x, mask):
        yield Hypothesis("mask missing", f"d{var.name} alone lacks the mask of the ReLU, {name} > 0", whole | others,
                         advice=f"The mask comes before the paths split: d{x.name} = d{name} where {name} > 0.")
    for var in tape.variables():
        if var.shape == x.shape and var not in (x, step.output) and tape.uses(var):
            late: Parts = {(use, i): lambda *read, part=use.parts[i]: part(*read) * mask for use, i in tape.uses(var)}
            yield Hypothesis("mask misplaced", f"the mask of the ReLU, {name} > 0, is applied to d{var.name}, not to "
                             f"d{name}", whole | late, advice=f"d{x.name} = d{name} where {name} > 0, first of all.")


def _ways_but_one(x: Var, mask: Array) -> Iterator[tuple[Var, Parts]]:
    """Each variable that x is computed from, with the parts of all others masked."""
    maker = x.tape.maker(x)
    if maker is None or len(maker.inputs) < 2 or x.shape != mask.shape:
        return
    for i, var in enumerate(maker.inputs):
        others: Parts = {(maker, k): lambda dy, *read, part=maker.parts[k]: part(dy * mask, *read)
                         for k in range(len(maker.inputs)) if k != i}
        yield var, others
        for deeper, more in _ways_but_one(var, mask):
            yield deeper, others | more


def sigmoid(x: Var, name: str, **words: Unpack[Words]) -> Var:
    """1 / (1 + exp(-x))."""
    def run(x: Array) -> Array:
        e = np.exp(-np.abs(x))
        return np.where(x >= 0, 1, e) / (1 + e)

    def faults(step: Step) -> Iterator[Hypothesis]:
        s, a = name, x.name
        for text, slope in ((f"taken at {a} instead of {s}: {a}*(1 - {a})", lambda y, x: x * (1 - x)),
                            (f"taken at sigma({s}): {s} is the gate already, {s}*(1 - {s}) is all",
                             lambda y, x: run(y) * (1 - run(y))),
                            (f"taken at {s} overwritten: t*(1 - t) with t = {s}*(1 - {s})",
                             lambda y, x: y * (1 - y) * (1 - y * (1 - y))),
                            (f"left out: the factor {s}*(1 - {s}) is missing", lambda y, x: 1.0),
                            (f"{s} alone, without 1 - {s}", lambda y, x: y),
                            (f"1 - {s} alone, without {s}", lambda y, x: 1 - y),
                            (f"that of tanh, 1 - {s}^2", lambda y, x: 1 - y**2),
                            (f"{s}*(1 + {s})", lambda y, x: y * (1 + y)),
                            (f"that of a ReLU, {a} > 0", lambda y, x: x > 0),
                            ("counted twice", lambda y, x: (y * (1 - y)) ** 2)):
            yield Hypothesis("sigmoid", f"d{a} has the derivative of the sigmoid {text}",
                             {(step, 0): lambda dy, y, x, slope=slope: dy * slope(y, x)},
                             advice=f"d{a} = d{s} * {s}*(1 - {s}).")
    return x.tape.step(run, [x], [lambda dy, y, x: dy * y * (1 - y)], name, axes=x.axes, faults=faults,
                       nonlinearity="sigmoid", **words)


def softmax_over(x: Array, axes: tuple[int, ...] = (1,)) -> Array:
    """The softmax of an array over some axes together."""
    e = np.exp(x - x.max(axis=axes, keepdims=True))
    return e / e.sum(axis=axes, keepdims=True)


def softmax(x: Var, axes: tuple[int, ...], name: str) -> Var:
    """exp(x) divided by its sum over some axes together."""
    letters, _ = x.sizes(axes)
    over, own, d, dp = spoken(letters), f"d{x.name}", f"d{name}", f"d{name}*{name}"
    rest = tuple(axis for axis in range(len(x.shape)) if axis not in axes)

    def sum_over(a: Array) -> Array:
        return a.sum(axis=axes, keepdims=True)

    def faults(step: Step) -> Iterator[Hypothesis]:
        advice = f"{own} = {name}*({d} - sum over {over} of {dp})."
        for text, part in ((f"is {dp} only: each score also lowers the other probabilities", lambda dp, p, x: dp * p),
                           (f"takes the diagonal of the Jacobian only, {name}*(1 - {name}): the other scores are "
                            "forgotten", lambda dp, p, x: dp * p * (1 - p)),
                           (f"lacks its factor {name}", lambda dp, p, x: dp - sum_over(dp * p)),
                           (f"sums {d} without {name}", lambda dp, p, x: p * (dp - sum_over(dp)))):
            yield Hypothesis("path missing", f"{own} {text}", {(step, 0): part}, advice=advice)
        yield Hypothesis("sign", f"{own} adds the sum of {dp} that is to be subtracted", {
            (step, 0): lambda dp, p, x: p * (dp + sum_over(dp * p))}, advice=advice)
        others = spoken(x.sizes(rest)[0])
        yield Hypothesis("not summed", f"{own} sums over {others} where the sum over {over} belongs", {
            (step, 0): lambda dp, p, x: p * (dp - (dp * p).sum(axis=rest, keepdims=True))}, advice=advice)
        yield Hypothesis("averaged", f"{own} averages {dp} over {over}, where a sum belongs", {
            (step, 0): lambda dp, p, x: p * (dp - (dp * p).mean(axis=axes, keepdims=True))}, advice=advice)
        yield Hypothesis("path missing", f"{name} is {x.name} itself: the softmax is missing",
                         values={step.output: x.value})
        long = [axis for axis in range(len(x.shape)) if x.shape[axis] > 1]
        for count in range(1, len(long) + 1):
            for other in combinations(long, count):
                if other != axes:
                    yield Hypothesis("wrong value", f"{name} is the softmax over {spoken(x.sizes(other)[0])}, where it "
                                     f"belongs over {over}", values={step.output: softmax_over(x.value, other)})
    return x.tape.step(lambda x: softmax_over(x, axes), [x], [lambda dp, p, x: p * (dp - sum_over(dp * p))], name,
                       axes=x.axes, faults=faults)
