"""Reductions of NumPy as steps: sum, mean, var, std, max, min, prod, cumsum, and norms."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from npse.gradcheck.diagnosis.foreign import steps
from npse.gradcheck.diagnosis.primitives import average
from npse.gradcheck.diagnosis.tape import Var

if TYPE_CHECKING:
    from npse.gradcheck.diagnosis.foreign.recorder import Recorded, Recording

Axis = int | Sequence[int] | None


def _axes(axis: Axis, ndim: int) -> tuple[int, ...]:
    """The axes of a reduction as a tuple of numbers from 0."""
    if axis is None:
        return tuple(range(ndim))
    return tuple(sorted(int(a) % ndim for a in np.atleast_1d(axis)))


def _reduced(recording: Recording, x: Recorded, run: Callable[..., Any], build: Callable[..., Var], axis: Axis,
             keepdims: bool, options: dict[str, Any]) -> Recorded:
    """A reduction; ``build(x, axes, name)`` keeps the axes with size 1."""
    if any(value is not None and key != "dtype" for key, value in options.items()):
        raise NotImplementedError(f"a reduction with {', '.join(options)}")
    axes, value = _axes(axis, x.ndim), run(x.value, axis=axis, keepdims=keepdims)
    shape = np.shape(value)

    def whole(read: Sequence[Var], name: str) -> Var:
        result = build(read[0], axes, name)
        if result.shape == shape:
            return result
        return result.tape.step(lambda y: y.reshape(shape), [result], [lambda dy, y, x: dy.reshape(x.shape)], name,
                                axes=tuple(f"axis {i}" for i in range(len(shape))))
    return recording.add(value, [x.node], whole)


def _sum(recording: Recording, x: Recorded, axis: Axis = None, dtype: Any = None, out: Any = None,
         keepdims: bool = False, **options: Any) -> Recorded:
    return _reduced(recording, x, np.sum, lambda x, axes, name: average(x, axes, name, divisor=1,
                                                                        ways=(steps.way(name),)),
                    axis, keepdims, options | {"out": out})


def _mean(recording: Recording, x: Recorded, axis: Axis = None, dtype: Any = None, out: Any = None,
          keepdims: bool = False, **options: Any) -> Recorded:
    return _reduced(recording, x, np.mean, lambda x, axes, name: average(x, axes, name, ways=(steps.way(name),)),
                    axis, keepdims, options | {"out": out})


def _extreme(largest: bool) -> Callable[..., Recorded]:
    def reduction(recording: Recording, x: Recorded, axis: Axis = None, out: Any = None, keepdims: bool = False,
                  **options: Any) -> Recorded:
        run = np.max if largest else np.min

        def build(x: Var, axes: tuple[int, ...], name: str) -> Var:
            return steps.extreme(x, axes, lambda x: run(x, axis=axes, keepdims=True), largest, name)
        return _reduced(recording, x, run, build, axis, keepdims, options | {"out": out})
    return reduction


def _prod(recording: Recording, x: Recorded, axis: Axis = None, dtype: Any = None, out: Any = None,
          keepdims: bool = False, **options: Any) -> Recorded:
    return _reduced(recording, x, np.prod, steps.product, axis, keepdims, options | {"out": out})


def _cumsum(recording: Recording, x: Any, axis: int | None = None, dtype: Any = None, out: Any = None) -> Recorded:
    if axis is None:
        x, axis = np.ravel(x), 0
    along = axis % x.ndim
    return recording.add(np.cumsum(x.value, along), [x.node],
                         lambda read, name: steps.cumulative_sum(read[0], along, name))


def _var(recording: Recording, x: Recorded, axis: Axis = None, dtype: Any = None, out: Any = None, ddof: int = 0,
         keepdims: bool = False) -> Recorded:
    return _reduced(recording, x, partial(np.var, ddof=ddof), partial(_variance, ddof), axis, keepdims, {"out": out})


def _variance(ddof: int, x: Var, axes: tuple[int, ...], name: str) -> Var:
    return steps.variance(x, axes, ddof, name)


def _std(recording: Recording, x: Recorded, axis: Axis = None, dtype: Any = None, out: Any = None, ddof: int = 0,
         keepdims: bool = False) -> Any:
    with recording.inside(f"the variance of {x.node.name}"):
        variance = _var(recording, x, axis, ddof=ddof, keepdims=keepdims)
    return np.sqrt(variance)


def _norm(recording: Recording, x: Any, ord: Any = None, axis: Axis = None, keepdims: bool = False) -> Any:
    if ord not in (None, 2) or (ord == 2 and axis is None and x.ndim > 1):
        raise NotImplementedError("a norm of another order")
    with recording.inside(f"the squares of {x.node.name}"):
        squares = np.square(x)
    with recording.inside(f"the sum of the squares of {x.node.name}"):
        total = np.sum(squares, axis=axis, keepdims=keepdims)
    return np.sqrt(total)


REDUCTIONS: dict[str, Callable[..., Any]] = {
    "sum": _sum, "mean": _mean, "max": _extreme(True), "min": _extreme(False), "prod": _prod, "cumsum": _cumsum,
    "var": _var, "std": _std, "norm": _norm}
