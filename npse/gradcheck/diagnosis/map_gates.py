"""Steps of gates that differ between the pixels of a map, each with the mistakes that are common in it."""

from collections.abc import Callable, Iterator
from typing import Unpack

import numpy as np

from npse.gradcheck.diagnosis.nonlinear import sigmoid
from npse.gradcheck.diagnosis.primitives import average, multiply, square, subtract
from npse.gradcheck.diagnosis.tape import Faults, Hypothesis, Part, Parts, Step, Var, Words
from npse.types import Array


def channel_pool(u: Var) -> Var:
    """Maximum and mean over the channels of u (N, H, W, C), one after the other: (N, H, W, 2)."""
    most = largest_channel(u, "max", ways=(("through the maximum", "dy[..., 0] at the first maximum"),))
    mean = average(u, (3,), "mean", ways=(("through the mean", "dy[..., 1]/C"),))
    return joined(most, mean, 3, "y")


def largest_channel(u: Var, name: str, **words: Unpack[Words]) -> Var:
    """The maximum over the last axis, which is kept with size 1; the first winner takes the gradient."""
    C = u.shape[3]

    def only(index: Array) -> Array:
        return np.arange(C) == index[..., None]

    def winners(u: Array) -> Array:
        return u == u.max(axis=3, keepdims=True)

    others: tuple[tuple[str, str, Callable[[Array], Array]], ...] = (
        ("ties", "goes in full to every one of equal maxima", winners),
        ("ties", "is shared by equal maxima", lambda u: winners(u) / winners(u).sum(axis=3, keepdims=True)),
        ("ties", "goes to the last of equal maxima", lambda u: only(C - 1 - u[..., ::-1].argmax(axis=3))),
        ("mask missing", "goes to all channels, not only to the largest", np.ones_like),
        ("mask missing", "is spread evenly over the channels, as if it were a mean", lambda u: np.full_like(u, 1 / C)),
        ("mask misplaced", "goes to the smallest channel, not to the largest", lambda u: only(u.argmin(axis=3))),
        ("mask misplaced", "goes to the first channel, not to the largest", lambda u: only(0 * u.argmax(axis=3))))

    def faults(step: Step) -> Iterator[Hypothesis]:
        for kind, text, share in others:
            yield Hypothesis(kind, f"d{u.name}, in the part that comes back through the maximum, {text}",
                             {(step, 0): lambda dy, y, u, share=share: dy * share(u)},
                             advice="The first channel that has the maximum takes the whole gradient.")
    return u.tape.step(lambda u: u.max(axis=3, keepdims=True), [u], [lambda dy, y, u: dy * only(u.argmax(axis=3))],
                       name, axes=u.axes, faults=faults, **words)


def joined(a: Var, b: Var, axis: int, name: str) -> Var:
    """The entries of a, then those of b, along an axis."""
    ends = a.shape[axis], a.shape[axis] + b.shape[axis]

    def part(begin: int, end: int) -> Part:
        return lambda dy, *read: np.take(dy, range(begin, end), axis)

    def faults(step: Step) -> Iterator[Hypothesis]:
        text = f"d{a.name} and d{b.name} are swapped: the last part of d{name} goes to {a.name}, the first to {b.name}"
        wrong: Parts = {(step, 0): part(b.shape[axis], ends[1]), (step, 1): part(0, b.shape[axis])}
        yield Hypothesis("swapped", text, wrong,
                         advice=f"The first part of d{name} is d{a.name}, the last is d{b.name}.")
    return a.tape.step(lambda a, b: np.concatenate([a, b], axis), [a, b], [part(0, ends[0]), part(*ends)], name,
                       axes=a.axes, faults=faults)


def piece(z: Var, axis: int, begin: int, end: int, name: str, letter: str) -> Var:
    """The entries begin .. end of z along an axis, called ``letter`` from here on."""
    at = (*[slice(None)] * axis, slice(begin, end))

    def back(dy: Array, z: Array, first: int = begin) -> Array:
        dz = np.zeros(z.shape)
        dz[(*at[:axis], slice(first, first + end - begin))] = dy
        return dz

    def faults(step: Step) -> Iterator[Hypothesis]:
        other = z.shape[axis] - end if begin == 0 else 0
        if other != begin:
            yield Hypothesis("swapped", f"d{name} is put at the wrong end of d{z.name}: the parts are swapped",
                             {(step, 0): lambda dy, y, z: back(dy, z, other)})
    return z.tape.step(lambda z: z[at], [z], [lambda dy, y, z: back(dy, z)], name,
                       axes=(*z.axes[:axis], letter, *z.axes[axis + 1:]), faults=faults)


def scale_axes(u: Var, sh: Var, sw: Var) -> Var:
    """u (N, H, W, C) times gates of rows sh (N, H, C) and of columns sw (N, W, C)."""
    gate = multiply(sh[:, :, None], sw[:, None], "(sh*sw)", ways=(
        ("as the gate of the rows", "the sum over W of dy*u*sw"),
        ("as the gate of the columns", "the sum over H of dy*u*sh")))
    y = multiply(u, gate, "y", ways=(("directly, as the factor of the gates", "dy*sh*sw"), ("as the gates", "dy*u")))
    step = u.tape.step_of(y)

    def faults(of: Step, others: Faults = step.faults) -> Iterator[Hypothesis]:
        yield from others(of)
        for kept, missing in (((sh.value[:, :, None]), sw.name), (sw.value[:, None], sh.name)):
            yield Hypothesis("path missing", f"d{u.name} lacks the factor {missing}",
                             {(of, 0): lambda dy, *read, kept=kept: dy * kept},
                             advice=f"d{u.name} = dy*{sh.name}*{sw.name}.")
        yield Hypothesis("wrong value", f"d{u.name} has the sum of the gates as its factor, not their product",
                         {(of, 0): lambda dy, *read: dy * (sh.value[:, :, None] + sw.value[:, None])})
    step.faults = faults
    return y


def simam(u: Var, lam: float) -> Var:
    """u * sigmoid((u - mean)^2 / (4 (var + lam)) + 1/2), with the unbiased variance of each map."""
    missing = "constant statistics"
    mean = average(u, (1, 2), "mean", missing=missing, ways=(("through the mean of the map", "dmean/(H*W)"),))
    d = subtract(u, mean, "d", ways=(("through the distance from the mean", "dd"), ("as the mean", "-sum of dd")))
    squares = square(d, "squares", ways=(("through the square", "2*d*dsquares"),))
    var = _unbiased_variance(squares, "var", missing=missing, faults=_constants(mean), ways=(
        ("through the variance of the map", "dvar/(H*W - 1)"),))
    inverse = _inverse_of_four_times(var, lam, "1/q")
    energy = multiply(squares, inverse, "e", ways=(
        ("in the numerator", "de/q, q = 4*(var + lam)"), ("in the denominator", "the sum over H, W of de*d^2")))
    s = sigmoid(_plus_half(energy, "e"), "s")
    return multiply(u, s, "y", ways=(("directly, as the factor of s", "dy*s"), ("as the gate", "dy*u")))


def _constants(mean: Var) -> Callable[[Step], Iterator[Hypothesis]]:
    """The hypothesis that mean and variance of a map are both treated as constants."""
    def faults(step: Step) -> Iterator[Hypothesis]:
        nothing: Parts = {(of, 0): lambda *read, part=of.parts[0]: 0 * part(*read)
                          for of in (mean.tape.step_of(mean), step)}
        yield Hypothesis("constant statistics", "du treats the mean and the variance of the map as constants", nothing,
                         advice="The mean and the variance depend on every pixel of the map.")
    return faults


def _unbiased_variance(squares: Var, name: str, faults: Faults, **words: Unpack[Words]) -> Var:
    """The sum of the squares over the map divided by H*W - 1, or by 1 for a map of one pixel."""
    _, size = squares.sizes((1, 2))
    divisor = max(size - 1, 1)

    def all_faults(step: Step) -> Iterator[Hypothesis]:
        yield from faults(step)
        for other, text in ((size, f"is divided by H*W = {size} instead of H*W - 1"),
                            (1, "is not divided by H*W - 1"), (divisor**2, "is divided by H*W - 1 twice")):
            yield Hypothesis("variance", f"dvar {text} on its way into d{squares.name}",
                             {(step, 0): lambda dy, y, x, other=other: np.broadcast_to(dy / other, x.shape)},
                             advice="The variance is unbiased: the sum of the squares divided by H*W - 1.")
        biased = squares.value.sum(axis=(1, 2), keepdims=True) / size
        yield Hypothesis("variance", "var is computed once more, divided by H*W instead of H*W - 1",
                         values={step.output: biased})
    return squares.tape.step(lambda x: x.sum(axis=(1, 2), keepdims=True) / divisor, [squares],
                             [lambda dy, y, x: np.broadcast_to(dy / divisor, x.shape)], name, axes=squares.axes,
                             faults=all_faults, **words)


def _inverse_of_four_times(var: Var, lam: float, name: str) -> Var:
    """1 / (4 (var + lam))."""
    def faults(step: Step) -> Iterator[Hypothesis]:
        for text, other in (("without lam", lambda v: 1 / (4 * np.maximum(v, np.finfo(float).tiny))),
                            ("without the factor 4", lambda v: 1 / (v + lam)),
                            ("with lam outside the parentheses", lambda v: 1 / (4 * v + lam)),
                            ("with lam = 1e-4", lambda v: 1 / (4 * (v + 1e-4)))):
            yield Hypothesis("variance", f"{name} is taken {text}", values={step.output: other(var.value)},
                             advice="q = 4*(var + lam), in the backward pass as in the forward pass.")
        for text, slope in (("lacks the factor 4 of q", lambda y: -y * y), ("is divided by q once, not twice",
                                                                           lambda y: -4 * y)):
            yield Hypothesis("factor", f"d{var.name} {text}",
                             {(step, 0): lambda dy, y, v, slope=slope: dy * slope(y)},
                             advice=f"d{var.name} = 4*dq, dq = -the sum over H, W of de*d^2/q^2.")
    return var.tape.step(lambda v: 1 / (4 * (v + lam)), [var], [lambda dy, y, v: -4 * dy * y * y], name,
                         axes=var.axes, faults=faults)


def _plus_half(x: Var, name: str) -> Var:
    """x + 1/2."""
    def faults(step: Step) -> Iterator[Hypothesis]:
        yield Hypothesis("wrong value", "s is computed once more without the 1/2 in its argument",
                         values={step.output: x.value}, advice="s = sigma(d^2/q + 1/2).")
    return x.tape.step(lambda x: x + 0.5, [x], [lambda dy, y, x: dy], name, axes=x.axes, faults=faults)


def larger(a: Var, b: Var, name: str) -> Var:
    """The larger of two variables at each element; of equal values the first takes the gradient."""
    advice = f"d{a.name} = d{name} where {a.name} >= {b.name}, else 0; d{b.name} = d{name} elsewhere."

    def both(kind: str, text: str, first: Callable[[Array, Array], Array | float],
             second: Callable[[Array, Array], Array | float]) -> tuple[str, str, Callable[[Step], Parts]]:
        return kind, text, lambda step: {(step, 0): lambda dy, y, a, b: dy * first(a, b),
                                         (step, 1): lambda dy, y, a, b: dy * second(a, b)}

    def faults(step: Step) -> Iterator[Hypothesis]:
        for kind, text, parts in (
                both("mask missing", f"d{a.name} and d{b.name} are d{name} everywhere, as for a sum",
                     lambda a, b: 1.0, lambda a, b: 1.0),
                both("mask missing", f"d{a.name} and d{b.name} are half of d{name} everywhere, as for a mean",
                     lambda a, b: 0.5, lambda a, b: 0.5),
                both("mask misplaced", f"d{name} goes to the smaller of {a.name} and {b.name}",
                     lambda a, b: a < b, lambda a, b: a >= b),
                both("mask misplaced", f"d{a.name} and d{b.name} are masked by their own sign, as for a ReLU",
                     lambda a, b: a > 0, lambda a, b: b > 0)):
            yield Hypothesis(kind, text, parts(step), advice=advice)
    return a.tape.step(np.maximum, [a, b], [lambda dy, y, a, b: dy * (a >= b), lambda dy, y, a, b: dy * (a < b)], name,
                       axes=a.axes, faults=faults,
                       ways=(("where it is the larger", f"d{name} there"),) * 2)
