"""The elementary steps of a tape, each with the mistakes that are common in it.

Here are sums, products, means and matrix products, with broadcasting. `nonlinear` has the ReLU and the sigmoid,
`windows` has convolution and pooling.
"""

from collections.abc import Callable, Iterator, Sequence
from itertools import combinations
from typing import TypeAlias, Unpack

import numpy as np

from npse.gradcheck.diagnosis.tape import Faults, Hypothesis, Part, Step, Var, Words
from npse.types import Array, Shape

Factor: TypeAlias = Callable[..., Array | float]
"""The factor of dy in the gradient of one of two inputs: a function of the output and both inputs."""


def total(x: Array, axes: tuple[int, ...]) -> Array:
    """Sum over ``axes``, which are kept with size 1."""
    return x.sum(axis=axes, keepdims=True)


def fit(gradient: Array, shape: Shape) -> Array:
    """Sum a gradient over the axes along which its variable, of this shape, was repeated."""
    extra = gradient.ndim - len(shape)
    if extra > 0:
        gradient = gradient.sum(axis=tuple(range(extra)))
    return total(gradient, tuple(a for a, n in enumerate(shape) if n == 1 and gradient.shape[a] > 1))


def add(a: Var, b: Var, name: str, **words: Unpack[Words]) -> Var:
    """a + b, with broadcasting."""
    def faults(step: Step) -> Iterator[Hypothesis]:
        for i, (mine, other) in enumerate(((a, b), (b, a))):
            maker = mine.tape.maker(other)
            for factor in maker.inputs if maker and maker.run is np.multiply else ():
                if factor.shape != other.shape:
                    def part(dy: Array, y: Array, *read: Array, i: int = i, factor: Var = factor) -> Array:
                        return fit(dy * factor.value, read[i].shape)
                    yield Hypothesis("path twice", f"d{mine.name} has the factor {factor.name}, which belongs to "
                                     f"{other.name} alone", {(step, i): part},
                                     advice=f"{mine.name} reaches {name} {step.ways[i][0]}: add {step.ways[i][1]}."
                                     if step.ways else "")
    return _binary(np.add, a, b, (lambda y, a, b: 1.0, lambda y, a, b: 1.0), name, faults, **words)


def subtract(a: Var, b: Var, name: str, **words: Unpack[Words]) -> Var:
    """a - b, with broadcasting."""
    return _binary(np.subtract, a, b, (lambda y, a, b: 1.0, lambda y, a, b: -1.0), name, **words)


def multiply(a: Var, b: Var, name: str, **words: Unpack[Words]) -> Var:
    """a * b, with broadcasting: the gradient of each factor is dy times the other factor."""
    def faults(step: Step) -> Iterator[Hypothesis]:
        for i, (mine, other) in enumerate(((a, b), (b, a))):
            yield from _wrong_factors(step, i, mine, other)
    return _binary(np.multiply, a, b, (lambda y, a, b: b, lambda y, a, b: a), name, faults, **words)


def divide(a: Var, b: Var, name: str, **words: Unpack[Words]) -> Var:
    """a / b, with broadcasting."""
    def faults(step: Step) -> Iterator[Hypothesis]:
        for kind, text, factor in (
                ("path missing", f"is not divided by {b.name}", lambda a, b: 1.0),
                ("factor", f"is multiplied with {b.name}, where it must be divided by it", lambda a, b: b),
                ("path twice", f"is divided by {b.name} twice", lambda a, b: 1 / b**2)):
            yield Hypothesis(kind, f"d{a.name} {text}", {(step, 0): lambda dy, y, a, b, factor=factor: fit(
                dy * factor(a, b), a.shape)}, advice=f"d{a.name} = d{name} / {b.name}.")
        for kind, text, factor in (
                ("sign", f"lacks the minus sign of the derivative of 1/{b.name}", lambda a, b: a / b**2),
                ("factor", f"is divided by {b.name} once, where {b.name}^2 belongs", lambda a, b: -a / b),
                ("path missing", f"lacks its factor {a.name}", lambda a, b: -1 / b**2)):
            yield Hypothesis(kind, f"d{b.name} {text}", {(step, 1): lambda dy, y, a, b, factor=factor: fit(
                dy * factor(a, b), b.shape)}, advice=f"d{b.name} = -the sum of d{name} * {a.name} / {b.name}^2.")
    return _binary(np.divide, a, b, (lambda y, a, b: 1 / b, lambda y, a, b: -a / b**2), name, faults, **words)


def _wrong_factors(step: Step, i: int, mine: Var, other: Var) -> Iterator[Hypothesis]:
    """Hypotheses about a wrong factor of dy, in place of the other factor."""
    d, f = f"d{mine.name}", other.name
    formula = step.ways[i][1] if step.ways else f"dy*{f}"

    def with_factor(kind: str, text: str, factor: Factor) -> Hypothesis:
        """``factor`` is a function of the output, the other input, and this one."""
        def part(dy: Array, y: Array, *read: Array) -> Array:
            return fit(dy * factor(y, read[1 - i], read[i]), read[i].shape)
        return Hypothesis(kind, f"{d} {text}", {(step, i): part}, advice=f"{d} = {formula}.")

    yield with_factor("path missing", f"is the upstream gradient without its factor {f}", lambda y, f, m: 1.0)
    yield with_factor("changed in place", f"takes the output {step.output.name} where {f} belongs: "
                      f"as if {f} had been overwritten", lambda y, f, m: y)
    yield with_factor("path missing", f"takes {mine.name} itself as the factor, where {f} belongs", lambda y, f, m: m)
    yield with_factor("path twice", f"has the factor {f} twice", lambda y, f, m: f * f)
    maker = other.tape.maker(other)
    is_rest = other.tape.is_record and maker is not None and maker.run is np.subtract      # 1 - s, not s
    if other.value.min() > 0 and other.value.max() < 1 and not is_rest:
        yield with_factor("sigmoid", f"takes {f}*(1 - {f}), the derivative of the sigmoid, where {f} belongs",
                          lambda y, f, m: f * (1 - f))
        yield with_factor("sigmoid", f"takes 1 - {f} where {f} belongs", lambda y, f, m: 1 - f)
    yield with_factor("factor", f"is divided by its factor {f}, where it must be multiplied with it",
                      lambda y, f, m: 1 / f)
    for kind, before in _before(other):
        yield with_factor(kind, f"takes {before.name} where {f} belongs", lambda y, f, m, before=before: before.value)
    for axis, letter in enumerate(other.axes):
        if other.shape[axis] > 1:
            yield with_factor("averaged", f"takes the mean of {f} over {letter}, where {f} itself belongs",
                              lambda y, f, m, axis=axis: f.mean(axis=axis, keepdims=True))


def _binary(run: np.ufunc, a: Var, b: Var, factors: tuple[Factor, Factor], name: str,
            faults: Faults = lambda step: (), **words: Unpack[Words]) -> Var:
    """A step of two inputs with broadcasting; ``factors`` are its derivatives with respect to a and to b."""
    def part(i: int) -> Part:
        return lambda dy, y, a, b: fit(dy * factors[i](y, a, b), (a, b)[i].shape)

    def all_faults(step: Step) -> Iterator[Hypothesis]:
        yield from faults(step)
        for i in range(2):
            yield from _wrong_sums(step, i, factors[i])

    axes = a.axes if len(a.shape) >= len(b.shape) else b.axes
    if len(a.axes) == len(b.axes):                                # the letter of an axis of size 1 may be "1"
        axes = tuple(mine if n > 1 else other for mine, n, other in zip(a.axes, a.shape, b.axes, strict=True))
    return a.tape.step(run, [a, b], [part(0), part(1)], name, axes=axes, faults=all_faults, **words)


def _wrong_sums(step: Step, i: int, factor: Factor) -> Iterator[Hypothesis]:
    """Hypotheses about the sum over broadcast axes."""
    var, shape = step.inputs[i], step.output.shape
    own = (1,) * (len(shape) - len(var.shape)) + var.shape
    repeated = [axis for axis, (n, size) in enumerate(zip(own, shape, strict=True)) if n == 1 and size > 1]

    def terms(dy: Array, y: Array, a: Array, b: Array) -> Array:
        return np.broadcast_to(dy * factor(y, a, b), shape)

    for count in range(len(repeated), 0, -1):
        for over in combinations(repeated, count):
            name, size = step.output.sizes(over)
            yield Hypothesis("averaged", f"d{var.name} is averaged over {spoken(name)}, where a sum belongs ({name} is "
                             f"{size} here)",
                             {(step, i): lambda *read, size=size: fit(terms(*read), var.shape) / size},
                             advice=f"d{var.name} = {step.ways[i][1]}." if step.ways else "")
    yield from _other_axes(step, i, terms, repeated)
    for axis in repeated:
        for place, at in (("first", 0), ("last", -1)):
            letter = step.output.axes[axis]
            yield Hypothesis("not summed", f"d{var.name} takes only the {place} entry along {letter}, where a sum over "
                             f"{letter} belongs", {(step, i): lambda *read, axis=axis, at=at: fit(
                                 np.take(terms(*read), [at], axis), var.shape)})


def _other_axes(step: Step, i: int, terms: Part, repeated: Sequence[int]) -> Iterator[Hypothesis]:
    """Hypotheses about a sum over other axes than the repeated ones."""
    var, y = step.inputs[i], step.output
    letters, size = y.sizes(repeated)
    long = [axis for axis, n in enumerate(y.shape) if n > 1]
    for other in combinations(long, len(repeated)):
        others, count = y.sizes(other)
        if not var.tape.is_record or not repeated or list(other) == list(repeated):
            continue
        for ratio, verb in dict.fromkeys(((1.0, "summed"), (size / count, "averaged"))):
            def part(*read: Array, other: tuple[int, ...] = other, ratio: float = ratio) -> Array:
                found = total(terms(*read), other) * ratio
                return found if len(var.shape) == found.ndim else found.reshape(var.shape)
            yield Hypothesis("not summed", f"d{var.name} is {verb} over {spoken(others)}, where {spoken(letters)} "
                             "belongs", {(step, i): part})
            if ratio == 1.0 == size / count:
                break


def average(x: Var, axes: tuple[int, ...], name: str, divisor: int | None = None, **words: Unpack[Words]) -> Var:
    """Mean over axes, which are kept with size 1; or their sum divided by ``divisor``, 1 or the size less 1."""
    letters, size = x.sizes(axes)
    own = size if divisor is None else divisor
    right = letters if own == size else f"({letters} - 1)"

    def faults(step: Step) -> Iterator[Hypothesis]:
        instead = f"instead of {right}" if own > 1 else "where a sum belongs"
        divisors = {1: ("averaged", f"is not divided by {right} = {own}")}
        for count in range(len(axes), 0, -1):
            for over in combinations(axes, count):
                some, product = x.sizes(over)
                divisors.setdefault(product, ("variance" if product == size and own == size - 1 > 1 else "averaged",
                                              f"is divided by {some} = {product} {instead}"))
        divisors.setdefault(size - 1, ("variance" if name == "var" else "averaged",
                                       f"is divided by {letters} - 1 {instead}"))
        divisors.setdefault(own**2, ("averaged", f"is divided by {right} = {own} twice"))
        way = f"d{x.name} gets {step.ways[0][1]}." if step.ways else ""
        for other, (kind, text) in divisors.items():
            sentence, advice = f"d{name} {text} on its way into d{x.name}", way
            if x.tape.is_record and other == 1:
                sentence = f"the mean over {spoken(letters)} divides by {own}, its gradient does not"
                advice = f"Divide by {own}, the size of {spoken(letters)}."
            if other not in (0, own):
                yield Hypothesis(kind, sentence, {(step, 0): lambda dy, y, x, other=other: np.broadcast_to(
                    dy / other, x.shape)}, advice=advice)
        for place, at in (("first", slice(0, 1)), ("last", slice(-1, None))):
            def part(dy: Array, y: Array, x: Array, at: slice = at) -> Array:
                dx = np.zeros(x.shape)
                dx[tuple(at if a in axes else slice(None) for a in range(x.ndim))] = dy
                return dx
            if size > 1:
                yield Hypothesis("path missing", f"d{x.name} has all of d{name} at the {place} place along "
                                 f"{spoken(letters)}: each of the {size} must get {'all' if own == 1 else 'a share'}",
                                 {(step, 0): part}, advice=way)

    return x.tape.step(lambda x: total(x, axes) / own, [x], [lambda dy, y, x: np.broadcast_to(dy / own, x.shape)],
                       name, axes=x.axes, faults=faults, **words)


def square(x: Var, name: str, faults: Faults = lambda step: (), **words: Unpack[Words]) -> Var:
    """x**2."""
    def all_faults(step: Step) -> Iterator[Hypothesis]:
        yield from faults(step)
        yield Hypothesis("factor", f"d{x.name} lacks the factor 2 from the square of {x.name}",
                         {(step, 0): lambda dy, y, x: dy * x})
        if x.tape.is_record:
            yield Hypothesis("path missing", f"d{x.name} lacks the factor {x.name} of the derivative 2*{x.name}",
                             {(step, 0): lambda dy, y, x: 2 * dy + 0 * x})
    return x.tape.step(np.square, [x], [lambda dy, y, x: 2 * dy * x], name, axes=x.axes, faults=all_faults, **words)


def dense(x: Var, w: Var, name: str, **words: Unpack[Words]) -> Var:
    """x @ w.T: (N, C), (K, C) -> (N, K). NotImplementedError if one of them is no matrix."""
    if len(x.shape) != 2 or len(w.shape) != 2:
        raise NotImplementedError("on a tape both factors of a dense layer are matrices")
    dx, dw = f"d{x.name}", f"d{w.name}"

    def faults(step: Step) -> Iterator[Hypothesis]:
        advice_w = f"{dw} = dy^T @ {x.name}, of shape ({', '.join(w.axes)}), where dy is the gradient of {name}."
        if w.shape[0] == w.shape[1]:
            yield Hypothesis("channels swapped", f"{dx} uses {w.name} transposed: {w.name}^T stands where {w.name} "
                             "belongs", {(step, 0): lambda dy, y, x, w: dy @ w.T}, advice=f"{dx} = dy @ {w.name}.")
            yield Hypothesis("transposed", f"{dw} is transposed", {(step, 1): lambda dy, y, x, w: x.T @ dy},
                             advice=advice_w)
        N = x.shape[0]
        yield Hypothesis("averaged", f"{dw} is averaged over N = {N}, where a sum belongs",
                         {(step, 1): lambda dy, y, x, w: dy.T @ x / N}, advice=advice_w)
        for place, rows in (("first", slice(0, 1)), ("last", slice(-1, None))):
            yield Hypothesis("not summed", f"{dw} takes only the {place} row of the batch, where a sum over N belongs",
                             {(step, 1): lambda dy, y, x, w, rows=rows: dy[rows].T @ x[rows]}, advice=advice_w)
        if N > 1:
            yield Hypothesis("averaged", f"{dw} takes the mean of {x.name} over N, where {x.name} itself belongs",
                             {(step, 1): lambda dy, y, x, w: dy.T @ (0 * x + x.mean(axis=0))}, advice=advice_w)
        for kind, before in _before(x):
            yield Hypothesis(kind, f"{dw} takes {before.name} where {x.name} belongs",
                             {(step, 1): lambda dy, y, x, w, v=before.value: dy.T @ v}, advice=advice_w)
        yield Hypothesis("path missing", f"{dx} is dy's sum without the weights {w.name}",
                         {(step, 0): lambda dy, y, x, w: np.broadcast_to(dy.sum(1, keepdims=True), x.shape)})
    return x.tape.step(lambda x, w: x @ w.T, [x, w], [lambda dy, y, x, w: dy @ w, lambda dy, y, x, w: dy.T @ x], name,
                       axes=(x.axes[0], w.axes[0]), faults=faults, **words)


def _before(var: Var) -> Iterator[tuple[str, Var]]:
    """Variables from which a variable was computed, each with the kind of mistake if it is used instead."""
    maker = var.tape.maker(var)
    if maker is None:
        return
    kind = {"relu": "mask missing", "sigmoid": "sigmoid"}.get(maker.nonlinearity) or (
        "path missing" if maker.run in (np.add, np.multiply) else "wrong value")
    for made_of in maker.inputs:
        if made_of.shape in (var.shape, ()) and made_of.name != var.name:
            yield kind, made_of
            yield from (("wrong value", earlier) for _, earlier in _before(made_of))


def spoken(name: str) -> str:
    """A product of sizes as a list of axes: "N*H*W" becomes "N, H, W"."""
    return name.replace("*", ", ")
