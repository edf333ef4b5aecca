"""The checker designs that are compared: npse's judge, and short versions of four that other projects use.

A design checks one case on the book with one bug in it, and returns its first `Finding`, or None. All designs get the
same shapes and the same arguments. Step sizes, tolerances and the order of work are those of the named projects. Here
all designs work in float64; some of the projects do not.
"""

import functools
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from npse.gradcheck import check_case
from npse.gradcheck.draw import generator
from npse.zoo.bug import BOOK


@dataclass(frozen=True)
class Finding:
    """A mistake that a design reports: one line, and the kind of diagnosis if there is one."""

    text: str
    kind: str = ""


def judge(case, bug, seed):
    """Run npse's judge as `npse check` does: every entry, the contract, float32, and agreement with the book."""
    return _first(_verdicts(case, bug, seed))


def judge_alone(case, bug, seed):
    """Run npse's judge as on functions of your own: the same checks, except agreement with the book."""
    return _first(result for result in _verdicts(case, bug, seed) if result.judged != "book")


def _first(results):
    wrong = next((result for result in results if result.verdict == "wrong"), None)
    if wrong is None:
        return None
    return Finding(wrong.diagnosis.text, wrong.diagnosis.kind) if wrong.diagnosis else Finding(str(wrong))


@functools.lru_cache(4096)
def _verdicts(case, bug, seed):
    return tuple(check_case(case, bug.edition(), seed, BOOK))


@dataclass(frozen=True)
class Design:
    """A checker that compares values with difference quotients, argument by argument.

    Attributes
    ----------
    upstream : function of (rng, shape) -> dy
    estimate : function of (forward, x, dy, rng) -> (look, number or array)
        Returns the numeric gradient, or a part of it; ``look(analytic gradient)`` returns the same part of that one.
    close : function of (ours, numeric) -> bool
    numeric_first : bool
        Whether the difference quotients are computed before backward runs; then changes by backward are not detected.
    """

    upstream: Callable
    estimate: Callable
    close: Callable
    numeric_first: bool

    def __call__(self, case, bug, seed):
        """Return the first finding on a case, or None. An error that an op raises is a finding of every design."""
        if not case.wrt:
            return None                                           # there is no gradient to check
        ops, rng = bug.edition(), generator(seed, str(case))
        arguments = case.arguments(rng)
        try:
            dy = np.asarray(self.upstream(rng, np.shape(case.forward(ops, **arguments))))[()]
            passes = [lambda: self._numeric(case, ops, arguments, dy, rng),
                      lambda: case.backward(ops, dy.copy(), **arguments)]
            if self.numeric_first:
                numeric, analytic = (run() for run in passes)
            else:
                analytic, numeric = (run() for run in reversed(passes))
            for name, ours, (look, theirs) in zip(case.wrt, analytic, numeric, strict=True):
                if not self.close(look(np.asarray(ours)), theirs):
                    return Finding(f"gradient of {name}")
        except Exception as error:
            return Finding(f"raises {type(error).__name__}: {error}")
        return None

    def _numeric(self, case, ops, arguments, dy, rng):
        return [self.estimate(lambda x, name=name: case.forward(ops, **arguments | {name: x}), arguments[name], dy, rng)
                for name in case.wrt]


def _ones(rng, shape):
    return np.ones(shape)                                         # the gradient of the sum of all outputs


def _quotient(forward, x, dy, index, h):
    """Return the central difference of sum(dy * forward(x)) at an index."""
    above, below = x.copy(), x.copy()
    above[index] += h
    below[index] -= h
    return (np.sum(dy * forward(above)) - np.sum(dy * forward(below))) / (2 * h)


def _every_entry(h):
    def estimate(forward, x, dy, rng):
        numeric = [_quotient(forward, x, dy, index, h) for index in np.ndindex(x.shape)]
        return lambda ours: ours, np.reshape(numeric, x.shape)
    return estimate


def _one_entry(forward, x, dy, rng):
    index = tuple(rng.integers(size) for size in x.shape)
    return lambda ours: ours[index], _quotient(forward, x, dy, index, 1e-6)


def _one_direction(forward, x, dy, rng):
    direction, h = rng.standard_normal(x.shape), 5e-7

    def along(ours):
        if ours.shape != x.shape or ours.dtype != x.dtype:
            raise TypeError("the gradient has another shape or dtype than the argument")
        return np.sum(ours * direction)
    return along, np.sum(dy * (forward(x + h * direction) - forward(x - h * direction))) / (2 * h)


def _relatively(ours, numeric):
    return (np.abs(ours - numeric) / np.maximum(1e-8, np.abs(ours) + np.abs(numeric))).max() < 1e-6


def _either(ours, numeric):
    return abs(ours - numeric) < 1e-6 or abs(ours - numeric) / abs(ours + numeric) < 1e-6


def _same_shape(ours, numeric):
    return ours.shape == numeric.shape and np.allclose(ours, numeric, rtol=1e-4, atol=1e-5)


def _roughly(ours, numeric):
    return np.allclose(ours, numeric, rtol=1e-2, atol=1e-2)


DESIGNS = {
    "judge": judge,
    "judge, no book": judge_alone,
    # The notebooks of the course CS231n: the numeric gradient comes first.
    "all elements": Design(np.random.Generator.standard_normal, _every_entry(1e-5), _relatively, numeric_first=True),
    # HIPS autograd, autograd/test_util.py; JAX does the same.
    "random direction": Design(np.random.Generator.standard_normal, _one_direction, _either, numeric_first=False),
    # The book DeZero, dezero/utils.py.
    "sum, all": Design(_ones, _every_entry(1e-4), _same_shape, numeric_first=True),
    # minitorch, tensor_functions.py.
    "sum, one index": Design(_ones, _one_entry, _roughly, numeric_first=False),
}
