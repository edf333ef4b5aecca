"""Calls of NumPy with steps of their own: where, clip, products of matrices, sort, trace, diff."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from npse.gradcheck.diagnosis.foreign import contraction, steps
from npse.gradcheck.diagnosis.foreign.values import is_recorded, plain
from npse.gradcheck.diagnosis.tape import Var

if TYPE_CHECKING:
    from npse.gradcheck.diagnosis.foreign.recorder import Recording


def _where(recording: Recording, condition: Any, *choices: Any) -> Any:
    condition = np.asarray(plain(condition))
    if not choices:
        return np.where(condition)
    value = np.where(condition, *map(plain, choices))
    a, b = map(recording.node, choices)
    words = recording.condition()

    def build(read: Sequence[Var], name: str) -> Var:
        return steps.choose(read[0], read[1], condition.astype(bool), words,
                            lambda a, b: np.where(condition, a, b), name)
    return recording.add(value, [a, b], build)


def _clip(recording: Recording, x: Any, low: Any = None, high: Any = None, **options: Any) -> Any:
    low, high = options.pop("a_min", low), options.pop("a_max", high)
    low, high = options.pop("min", low), options.pop("max", high)
    if options or is_recorded(low) or is_recorded(high):
        raise NotImplementedError("clip with these options")
    return recording.add(np.clip(x.value, low, high), [x.node], lambda read, name: steps.clip(
        read[0], low, high, lambda x: np.clip(x, low, high), name))


def _contracted(recording: Recording, operands: Sequence[Any], terms: Sequence[str], out: str) -> Any:
    nodes = [recording.node(operand) for operand in operands]
    value = np.einsum(f"{','.join(terms)}->{out}", *(node.value for node in nodes))
    return recording.add(value, nodes, lambda read, name: contraction.contract(read, terms, out, name))


def _dot(recording: Recording, a: Any, b: Any) -> Any:
    if not np.ndim(plain(a)) or not np.ndim(plain(b)):
        return a * b
    return _contracted(recording, (a, b), *contraction.of_dot(np.ndim(plain(a)), np.ndim(plain(b))))


def _tensordot(recording: Recording, a: Any, b: Any, axes: Any = 2) -> Any:
    return _contracted(recording, (a, b), *contraction.of_tensordot(np.ndim(plain(a)), np.ndim(plain(b)), axes))


def _outer(recording: Recording, a: Any, b: Any) -> Any:
    return _contracted(recording, (np.ravel(a), np.ravel(b)), ["a", "b"], "ab")


def _einsum(recording: Recording, subscripts: str, *operands: Any, optimize: Any = False) -> Any:
    return _contracted(recording, operands,
                       *contraction.of_einsum(subscripts, [np.shape(plain(operand)) for operand in operands]))


def _sort(recording: Recording, x: Any, axis: int | None = -1, **kind: Any) -> Any:
    if axis is None:
        x, axis = np.ravel(x), -1
    return np.take_along_axis(x, np.argsort(x.value, axis=axis, **kind), axis=axis)


def _trace(recording: Recording, x: Any) -> Any:
    return np.sum(np.diagonal(x), axis=-1)


def _diff(recording: Recording, x: Any, n: int = 1, axis: int = -1) -> Any:
    if n != 1:
        raise NotImplementedError("differences of a higher order")
    count = x.shape[axis]
    return np.take(x, np.arange(1, count), axis=axis) - np.take(x, np.arange(count - 1), axis=axis)


SPECIAL: dict[str, Callable[..., Any]] = {
    "where": _where, "clip": _clip, "dot": _dot, "tensordot": _tensordot, "outer": _outer, "einsum": _einsum,
    "sort": _sort, "trace": _trace, "diff": _diff}
