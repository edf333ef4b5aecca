"""Steps that several calls of NumPy compute together, with the mistakes that people make about the whole."""

from collections.abc import Callable, Iterator
from functools import partial
from itertools import combinations
from typing import TypeAlias

import numpy as np

from npse.gradcheck.diagnosis.foreign.steps import way
from npse.gradcheck.diagnosis.nonlinear import softmax_over
from npse.gradcheck.diagnosis.primitives import spoken, total
from npse.gradcheck.diagnosis.tape import Hypothesis, Step, Var
from npse.types import Array, Shape

SAME = 1e-12             # of the largest entry: two ways to compute one value
LARGEST_EPS = 0.05       # that is added to a variance

Axes: TypeAlias = tuple[int, ...]

Gradient: TypeAlias = Callable[[Array, Array, Array], Array]
"""The gradient of x as a function of dy, the output and x."""


def log_softmax(x: Var, axes: Axes, name: str) -> Var:
    """The logarithm of the softmax over an axis."""
    d, own, over = f"d{name}", f"d{x.name}", spoken(x.sizes(axes)[0])

    def faults(step: Step) -> Iterator[Hypothesis]:
        advice = f"{own} = {d} - p * the sum of {d} over {over}, p = exp({name})."
        for kind, text, part in (
                ("path missing", f"is {d} alone: the sum of the exponentials depends on every score", lambda d, y: d),
                ("path missing", f"has {d}*p, where p * the sum of {d} over {over} belongs",
                 lambda d, y: d - np.exp(y) * d),
                ("path missing", f"lacks the factor p of the sum of {d}", lambda d, y: d - total(d, axes)),
                ("sign", "adds the term of the sum that is to be subtracted",
                 lambda d, y: d + np.exp(y) * total(d, axes)),
                ("averaged", f"averages {d} over {over}, where a sum belongs",
                 lambda d, y: d - np.exp(y) * d.mean(axis=axes, keepdims=True)),
                ("wrong value", f"takes {name} itself where p = exp({name}) belongs",
                 lambda d, y: d - y * total(d, axes)),
                ("wrong value", "has the derivative of the softmax, not of its logarithm",
                 lambda d, y: np.exp(y) * (d - total(d * np.exp(y), axes))),
                ("path missing", "has the factor 1 - p alone", lambda d, y: d * (1 - np.exp(y)))):
            yield Hypothesis(kind, f"{own} {text}", {
                (step, 0): lambda dy, y, x, part=part: part(np.broadcast_to(dy, y.shape), y)}, advice=advice)
        for other in _other_axes(x.shape, axes):
            yield Hypothesis("not summed", f"{own} sums over {spoken(x.sizes(other)[0])}, where the sum over {over} "
                             "belongs", {(step, 0): lambda dy, y, x, other=other: dy - np.exp(y) * total(
                                 np.broadcast_to(dy, y.shape), other)}, advice=advice)
    return x.tape.step(lambda x: np.log(softmax_over(x, axes)), [x],
                       [lambda dy, y, x: dy - np.exp(y) * total(np.broadcast_to(dy, y.shape), axes)], name, axes=x.axes,
                       faults=faults, ways=(way(name),))


def log_sum_exp(x: Var, axis: int, shape: Shape, name: str) -> Var:
    """The logarithm of the sum of the exponentials along an axis; ``shape`` is that of the result."""
    d, own, over = f"d{name}", f"d{x.name}", x.axes[axis]

    def wide(y: Array) -> Array:
        return y.reshape([1 if k == axis else n for k, n in enumerate(x.shape)])

    def softmax(x: Array, axis: int = axis) -> Array:
        return softmax_over(x, (axis,))

    def faults(step: Step) -> Iterator[Hypothesis]:
        for kind, text, slope in (
                ("path missing", f"lacks the factor p, the softmax of {x.name}", lambda x: np.ones(x.shape)),
                ("path missing", "has the exponentials as a factor, not divided by their sum", np.exp),
                ("path missing", "has the exponentials as a factor, not divided by their sum, where p belongs",
                 lambda x: np.exp(x - x.max(axis=axis, keepdims=True))),
                ("wrong value", "has the factor 1 - p, where p belongs", lambda x: 1 - softmax(x)),
                ("wrong value", "has the factor p*(1 - p), where p belongs", lambda x: softmax(x) * (1 - softmax(x))),
                ("path twice", "has the factor p twice", lambda x: softmax(x) ** 2),
                ("wrong value", f"goes to the largest entry along {over} alone, where p belongs",
                 lambda x: x == x.max(axis=axis, keepdims=True)),
                *(("not summed", f"has the softmax over {x.axes[other]}, where that over {over} belongs",
                   partial(softmax, axis=other)) for other in range(len(x.shape)) if other != axis)):
            yield Hypothesis(kind, f"{own} {text}", {
                (step, 0): lambda dy, y, x, slope=slope: wide(np.broadcast_to(dy, y.shape)) * slope(x)},
                advice=f"{own} = {d} * p, p the softmax of {x.name} over {over}.")
    return x.tape.step(lambda x: _log_sum_exp(x, axis).reshape(shape), [x],
                       [lambda dy, y, x: wide(np.broadcast_to(dy, y.shape)) * softmax(x)], name,
                       axes=tuple(f"axis {i}" for i in range(len(shape))), faults=faults, ways=(way(name),))


def sums_of_exponentials(x: Array, y: Array) -> Iterator[int]:
    """The axis along which y is the logarithm of the sum of the exponentials of x."""
    for axis in range(x.ndim):
        if x.shape[axis] > 1 and y.size * x.shape[axis] == x.size:
            whole = _log_sum_exp(x, axis)
            fits = y.shape in (whole.shape, np.squeeze(whole, axis).shape)
            if fits and np.abs(whole.ravel() - y.ravel()).max() <= SAME * np.abs(y).max():
                yield axis


def _log_sum_exp(x: Array, axis: int) -> Array:
    m = x.max(axis=axis, keepdims=True)
    return np.asarray(m + np.log(np.exp(x - m).sum(axis=axis, keepdims=True)))


def normalized(x: Var, axes: Axes, is_centred: bool, divisor: int, eps: float, name: str) -> Var:
    """x, less its mean if ``is_centred``, divided by sqrt(the sum of its squares / divisor + eps), over some axes."""
    def centred(x: Array) -> Array:
        return x - x.mean(axis=axes, keepdims=True) if is_centred else x

    def inverse(x: Array, divisor: float = divisor, eps: float = eps) -> Array:
        return 1 / np.sqrt(total(centred(x) ** 2, axes) / divisor + eps)

    def mean(dy: Array, axes: Axes = axes) -> Array | float:
        return dy.mean(axis=axes, keepdims=True) if is_centred else 0.0

    def slope(dy: Array, y: Array, axes: Axes = axes) -> Array:
        """The mean of dy*y, or the sum if the squares are summed."""
        return total(dy * y, axes) / (1 if divisor == 1 else dy.size / total(dy, axes).size * divisor / count)

    def right(dy: Array, y: Array, x: Array) -> Array:
        dy = np.broadcast_to(dy, y.shape)
        return inverse(x) * (dy - mean(dy) - y * slope(dy, y))

    def faults(step: Step) -> Iterator[Hypothesis]:
        advice = f"{own} = ({d}{middle} - {name} * the {mean_of} of {d}*{name} over {over}) / the {by}."

        def wrong(kind: str, text: str, part: Gradient) -> Hypothesis:
            return Hypothesis(kind, f"{own} {text}", {
                (step, 0): lambda dy, y, x: part(np.broadcast_to(dy, y.shape), y, x)}, advice=advice)
        both = f"the mean and the {by}" if is_centred else f"the {by}"
        yield wrong("constant statistics", f"treats {both} of {x.name} over {over} as "
                    f"{'constants' if is_centred else 'a constant'}", lambda dy, y, x: inverse(x) * dy)
        if is_centred:
            yield wrong("constant statistics", f"treats the mean of {x.name} over {over} as a constant",
                        lambda dy, y, x: inverse(x) * (dy - y * slope(dy, y)))
            yield wrong("constant statistics", f"treats the {by} of {x.name} over {over} as a constant",
                        lambda dy, y, x: inverse(x) * (dy - mean(dy)))
            yield wrong("averaged", f"sums {d} over {over}, where its mean belongs",
                        lambda dy, y, x: inverse(x) * (dy - total(dy, axes) - y * slope(dy, y)))
            yield wrong("sign", f"adds the mean of {d}, which is to be subtracted",
                        lambda dy, y, x: inverse(x) * (dy + mean(dy) - y * slope(dy, y)))
        else:
            yield wrong("path twice", f"subtracts the mean of {d} over {over}, but {name} is not centred",
                        lambda dy, y, x: right(dy, y, x) - inverse(x) * dy.mean(axis=axes, keepdims=True))
        yield wrong("sign", f"adds the term of the {by}, which is to be subtracted",
                    lambda dy, y, x: inverse(x) * (dy - mean(dy) + y * slope(dy, y)))
        yield wrong("path missing", f"is not divided by the {by}", lambda dy, y, x: right(dy, y, x) / inverse(x))
        yield wrong("path twice", f"is divided by the {by} twice", lambda dy, y, x: right(dy, y, x) * inverse(x))
        ones = np.ones(x.shape)
        c, less = centred(x.value), f"{x.name} less its mean" if is_centred else x.name
        for outer, inner, words in ((None, ones, f"lacks the factor {name} inside the {mean_of}"),
                                    (ones, None, f"lacks the factor {name} of the {mean_of}"),
                                    (c, c, f"has {less} in both places, where {name} belongs"),
                                    (c, None, f"has {less} as the factor of the {mean_of}, where {name} belongs"),
                                    (None, c, f"has {less} inside the {mean_of}, where {name} belongs")):
            def replaced(dy: Array, y: Array, x: Array, outer: Array | None = outer,
                         inner: Array | None = inner) -> Array:
                return inverse(x) * (dy - mean(dy) - (y if outer is None else outer) * slope(
                    dy, y if inner is None else inner))
            yield wrong("variance", f"{words} in the term of the {by}", replaced)
        for number in {count, count - 1, 1} - {divisor, 0}:
            def other_slope(dy: Array, y: Array, x: Array, number: int = number) -> Array:
                return inverse(x) * (dy - mean(dy) - y * slope(dy, y) * divisor / number)

            def other_inverse(dy: Array, y: Array, x: Array, number: int = number) -> Array:
                return right(dy, y, x) / inverse(x) * inverse(x, number)
            def other_divisor(dy: Array, y: Array, x: Array, number: int = number) -> Array:
                r = inverse(x, number)
                other = centred(x) * r
                return r * (dy - mean(dy) - other * slope(dy, other))
            yield wrong("variance", f"is computed with a {by} whose sum of squares is divided by {number}, not by "
                        f"{divisor}", other_divisor)
            yield wrong("variance" if number > 1 else "averaged", f"divides the sum of {d}*{name} by {number}, not by "
                        f"{divisor}, in the term of the {by}", other_slope)
            yield wrong("variance", f"is divided by a {by} whose sum of squares is divided by {number}, not by "
                        f"{divisor}", other_inverse)
        if eps:
            yield wrong("variance", f"is divided by a {by} without eps",
                        lambda dy, y, x: right(dy, y, x) / inverse(x) * inverse(x, eps=0.0))
        for other in _other_axes(x.shape, axes):
            others = spoken(x.sizes(other)[0])
            for first, second, words in ((other, other, f"the mean of {d} and the {mean_of} of {d}*{name}"),
                                         (other, axes, f"the mean of {d}"),
                                         (axes, other, f"the {mean_of} of {d}*{name}")):
                def over_others(dy: Array, y: Array, x: Array, first: Axes = first, second: Axes = second) -> Array:
                    return inverse(x) * (dy - mean(dy, first) - y * slope(dy, y, second))
                if is_centred or first is axes:
                    yield wrong("not summed", f"takes {words} over {others}, where {over} belongs", over_others)

    over, count = spoken(x.sizes(axes)[0]), int(np.prod([x.shape[a] for a in axes]))
    by = "deviation" if is_centred else "norm" if divisor == 1 else "root mean square"
    d, own, mean_of = f"d{name}", f"d{x.name}", "sum" if divisor == 1 else "mean"
    middle = f" - the mean of {d} over {over}" if is_centred else ""
    return x.tape.step(lambda x: centred(x) * inverse(x), [x], [right], name, axes=x.axes, faults=faults,
                       ways=(way(name),))


def normalizations(x: Array, y: Array) -> Iterator[tuple[Axes, bool, int, float]]:
    """How y is x normalized: axes, whether the mean is subtracted, divisor of the sum of squares, eps."""
    for axes in _subsets(x.ndim):
        count = int(np.prod([x.shape[a] for a in axes]))
        for is_centred in (True, False) if count > 1 else ():
            c = x - x.mean(axis=axes, keepdims=True) if is_centred else x
            squares = total(c * c, axes)
            r = total(c * y, axes) / squares
            if not (r > 0).all() or np.abs(c * r - y).max() > SAME * np.abs(y).max():
                continue
            for divisor in (count, count - 1, 1) if is_centred else (1, count):
                eps = 1 / r**2 - squares / divisor
                if np.ptp(eps) <= 1e-9 * (1 / r**2).max() and -1e-9 <= eps.min() <= LARGEST_EPS:
                    yield axes, is_centred, divisor, float(eps.mean()) if eps.mean() > 1e-13 else 0.0
                    return


def _other_axes(shape: Shape, axes: Axes) -> Iterator[Axes]:
    """Other axes along which a sum can be taken by mistake."""
    for other in _subsets(len(shape)):
        if other != axes and all(shape[a] > 1 for a in other):
            yield other


def _subsets(ndim: int) -> Iterator[Axes]:
    for size in range(1, ndim + 1):
        yield from combinations(range(ndim), size)
