"""Measure: run a backward pass, and take numeric gradients of its forward pass.

The first of three stages: measure, `npse.gradcheck.compare`, `npse.gradcheck.diagnosis.explain`.
"""

from __future__ import annotations

import functools
import itertools
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import ArrayLike

from npse.gradcheck import contract, numeric
from npse.gradcheck.calls import is_floating
from npse.gradcheck.cases.case import Case
from npse.gradcheck.draw import generator, upstream
from npse.gradcheck.kinks import AtKinks
from npse.gradcheck.numeric import Forward, Kinks, NumericGradient
from npse.gradcheck.steps import TOLERANCE, Budget, step_sizes, typical_size
from npse.types import Arguments, Array, Index, Op, Ops

Progress: TypeAlias = Callable[[str, int, int], None]
"""Told before each call of forward: the argument that is moved, the calls so far, about how many there will be."""

MOST_ENTRIES = 4000        # of an array, all of which are looked at one by one
SAMPLED = 32, 200          # least and most entries of a larger array that are looked at
SAMPLED_NUMBERS = 2e7      # about as many numbers as forward computes for them
DIRECTIONS = 4             # random directions through all entries of a larger array


@dataclass(frozen=True)
class Options:
    """What a user may choose about a check.

    Attributes
    ----------
    entries : int
        How many entries of an array are looked at one by one; of a larger array a sample, see `numeric.sample`.
    tolerance : float
        Of the relative error of a gradient.
    step : float, optional
        Step of the central difference, relative to the size of an entry, in place of the cube root of eps.
    float32 : bool
        Whether float32 arguments are checked too.
    taylor : bool
        Whether the remainder of the first-order Taylor expansion is checked too.
    against : dict of str to function
        The forward pass in other libraries, for a second reference: "torch", "jax".
    progress : function of (name, calls of forward so far, calls in all), optional
    """

    entries: int = MOST_ENTRIES
    tolerance: float = TOLERANCE
    step: float | None = None
    float32: bool = True
    taylor: bool = False
    against: Mapping[str, Callable[..., Any]] = field(default_factory=dict)
    progress: Progress | None = None

    def __post_init__(self) -> None:
        if self.entries < 1:
            raise ValueError(f"entries must be 1 or more, but is {self.entries}")
        for name, value in (("tolerance", self.tolerance), ("step", self.step)):
            if value is not None and not 0 < value < 1:
                raise ValueError(f"{name} must lie between 0 and 1, but is {value}")


USUAL = Options()


@dataclass(frozen=True, eq=False)
class Measurement:
    """One forward and backward pass of a case in float64, with numeric gradients on demand.

    Attributes
    ----------
    case : Case
    ops : the edition that is judged
    arguments : dict by name
    y : array
        The result of forward.
    dy : array, shaped like y
        The upstream gradient: random; 0 where y is infinite, such as the logarithm of a masked probability.
    gradients : tuple of arrays
        In the order of ``case.wrt``, each (if right) shaped like its argument.
    options : Options
    """

    case: Case
    ops: Ops
    arguments: Arguments
    y: Array
    dy: Array
    gradients: tuple[Array, ...]
    options: Options = USUAL
    _numeric: dict[str, NumericGradient] = field(default_factory=dict, init=False, repr=False)

    @classmethod
    def of(cls, case: Case, ops: Ops, arguments: Arguments, rng: np.random.Generator,
           options: Options = USUAL) -> Measurement:
        """Run both passes; TypeError or ValueError if a result is not an array of numbers, or one is missing."""
        y = run_forward(case, ops, arguments)
        dy = np.where(np.isinf(y), 0, upstream(rng, y))[()]
        return cls(case, ops, arguments, y, dy, tuple(map(np.copy, run_backward(case, ops, dy, arguments))),
                   options)

    def gradient(self, name: str) -> Array:
        """The gradient that the backward pass gave for an argument."""
        return self.gradients[self.case.wrt.index(name)]

    def backward(self, dy: Array) -> tuple[Array, ...]:
        """The same backward pass once more, for any upstream gradient."""
        return run_backward(self.case, self.ops, dy, self.arguments)

    @functools.cached_property
    def backward_on_copies(self) -> tuple[tuple[Array, ...], str]:
        """Gradients if every op works on copies of its arguments, and which op changes what ("" if none does)."""
        edition = contract.Guarded(self.ops)
        return run_backward(self.case, edition, self.dy, self.arguments), edition.changes

    def numeric(self, name: str) -> NumericGradient:
        """The numeric gradient of an argument, by central differences; computed once."""
        if name not in self._numeric:
            x = self.arguments[name]
            chosen: dict[str, Any] = {}
            if x.size > self.options.entries:
                count = sample_size(x.size, self.options.entries)
                chosen["entries"] = numeric.sample(x.shape, count, generator(x.size, name))
            if self.options.step:
                chosen["steps"] = step_sizes(x, self.options.step)
            self._numeric[name] = numeric.numeric_gradient(*self._function_of(name), **chosen)
        return self._numeric[name]

    def known(self, name: str) -> NumericGradient | None:
        """The numeric gradient of an argument if it was computed."""
        return self._numeric.get(name)

    def slopes(self, name: str) -> Iterator[tuple[Array, Budget | None]]:
        """Random directions through all entries of an argument that are no exact zeros, and the slope along each.

        A zero may be a dead unit at the kink of a ReLU, where there is no slope.
        """
        f, x, dy, kinks = self._function_of(name)
        rng = generator(x.size, f"{name}: directions")
        for _ in range(DIRECTIONS):
            v = rng.standard_normal(x.shape) * typical_size(x) * (x != 0)
            yield v, numeric.slope_along(f, x, dy, v, kinks)

    def budget(self, name: str, index: Index) -> Budget | None:
        """The best central difference of one entry and its error budget; None if every step crosses a kink."""
        f, x, dy, kinks = self._function_of(name)
        return numeric.budget(f, x, dy, index, kinks)

    def curve(self, name: str, index: Index) -> tuple[Array, Array]:
        """Central differences of one entry at many steps: steps, values."""
        f, x, dy, _ = self._function_of(name)
        return numeric.curve(f, x, dy, index)

    def complex_step(self, name: str) -> Array | None:
        """A second numeric gradient of an argument, by the complex step.

        None if the function takes no complex numbers, or is not analytic: then the two numeric gradients differ. A
        ReLU is analytic on either side of its kink. None for a large array, too.
        """
        complex_arguments = {key: value.astype(complex) if is_floating(value) else value
                             for key, value in self.arguments.items()}

        def forward(value: Array) -> ArrayLike:
            return self.case.forward(self.ops, **complex_arguments | {name: value})
        if self.arguments[name].size > self.options.entries:
            return None
        found = numeric.complex_step(forward, self.arguments[name], self.dy)
        if found is None or numeric.relative_error(found, self.numeric(name)).max() > TOLERANCE:
            return None
        return found

    def _function_of(self, name: str) -> tuple[Forward, Array, Array, Kinks | None]:
        """The case as a function of one argument: (forward, argument, dy, kinks or None)."""
        calls, expected = itertools.count(), 2 * sample_size(self.arguments[name].size, self.options.entries)

        def forward(value: Array) -> Array:
            if self.options.progress:
                self.options.progress(name, next(calls), expected)
            return run_forward(self.case, self.ops, self.arguments | {name: value})
        kinks_of_all = self.case.kinks
        if kinks_of_all is None:
            return forward, self.arguments[name], self.dy, None

        def kinks(value: Array) -> AtKinks:
            return kinks_of_all(**self.arguments | {name: value})
        return forward, self.arguments[name], self.dy, kinks


def sample_size(size: int, entries: int) -> int:
    """How many of the entries of an array are looked at one by one; ``entries`` is the most that the user wants."""
    return size if size <= entries else min(entries, int(np.clip(SAMPLED_NUMBERS / size, *SAMPLED))) or 1


def run_forward(case: Case, ops: Ops, arguments: Arguments) -> Array:
    """The result of a case's forward pass on copies of the arguments; TypeError if it is no floating array."""
    y = case.forward(ops, **copies(arguments))
    if y is None:
        raise TypeError("forward returned None: is a return missing?")
    if isinstance(y, (tuple, dict)):
        raise TypeError(f"forward must return one array, but returned a {type(y).__name__} of {len(y)} values; return "
                        "the array alone: backward is given the arguments of forward, so it needs no cache")
    if isinstance(y, np.ma.MaskedArray):
        raise TypeError("forward must return a plain array, but returned a masked one; use .filled(0)")
    y = np.array(y)                                               # a copy, in case forward returns one array each time
    if y.dtype.kind != "f":
        raise TypeError(f"forward must return an array of floating-point numbers, but returned {y.dtype}")
    if not y.size:
        raise ValueError(f"forward returned an empty array, of shape {y.shape}: there is nothing to differentiate")
    return y


def run_backward(case: Case, ops: Ops, dy: Array, arguments: Arguments) -> tuple[Array, ...]:
    """The gradients of a case's backward pass, in the order of ``case.wrt``; TypeError or ValueError as above."""
    if case.backward is None:
        raise TypeError(f"{case} names arguments to differentiate, so it needs a backward pass, but has none")
    gradients = case.backward(ops, dy.copy(), **copies(arguments))
    if len(gradients) != len(case.wrt):
        raise ValueError(f"backward must return {len(case.wrt)} gradient{'s' * (len(case.wrt) != 1)} "
                         f"({', '.join(case.wrt)}), but returned {len(gradients)}")
    for name, gradient in zip(case.wrt, gradients, strict=True):
        if gradient is None:
            raise TypeError(f"backward returned None as the gradient of {name}: is a return missing?")
    arrays = tuple(np.asarray(gradient) for gradient in gradients)
    for name, array in zip(case.wrt, arrays, strict=True):
        if array.dtype.kind not in "fiub":
            raise TypeError(f"the gradient of {name} must be an array of real numbers, but has dtype {array.dtype}")
    return arrays


def copies(arguments: Arguments) -> Arguments:
    """The arguments with a copy of each array."""
    return {name: value.copy() if isinstance(value, np.ndarray) else value for name, value in arguments.items()}


def is_the_books(op: Op) -> bool:
    """Whether an op has a declaration, as those of the book have."""
    return getattr(op, "contract", None) is not None
