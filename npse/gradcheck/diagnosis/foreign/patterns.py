"""Values that several calls of NumPy compute together, such as a softmax, become one step.

The mistakes that people make are about the whole: a sigmoid without 1 - s, a softmax of which only the diagonal is
differentiated.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import partial
from typing import TYPE_CHECKING

import numpy as np

from npse.gradcheck.diagnosis.foreign.wholes import (
    log_softmax,
    log_sum_exp,
    normalizations,
    normalized,
    sums_of_exponentials,
)
from npse.gradcheck.diagnosis.nonlinear import relu, sigmoid, softmax, softmax_over
from npse.gradcheck.diagnosis.tape import Var
from npse.types import Array

if TYPE_CHECKING:
    from npse.gradcheck.diagnosis.foreign.recorder import Build, Node

NEAR = 24                # nodes; a whole function of the common kinds has fewer
SAME = 1e-13             # of the largest entry: two ways to compute one value


def simplified(output: Node) -> list[Node]:
    """The nodes that an output needs, in order, with each pattern as one step.

    A pattern begins at one of the last ``NEAR`` nodes before its end.
    """
    for node in _needed(output):
        if node.build is not None and len(node.inputs) and node.value.size > 1:
            for source, build in _patterns(node):
                node.inputs, node.build = (source,), build
                break
    return _needed(output)


def _patterns(node: Node) -> Iterator[tuple[Node, Build]]:
    """An earlier node and the step that gives this node in one."""
    sources = [source for source in _needed(node)[-NEAR:]
               if source is not node and source not in node.inputs and source.value.shape == node.value.shape
               and (source.build or source.is_argument)]
    sources += [source for source in node.inputs if source.value.shape == node.value.shape and source not in sources
                and (source.build or source.is_argument)]
    for source in sources:
        x = source.value
        if _same(node.value, np.maximum(x, 0)) and (x < 0).any():
            yield source, lambda read, name: relu(read[0], name)
        if _same(node.value, 0.5 * (1 + np.tanh(0.5 * x))):
            yield source, lambda read, name: sigmoid(read[0], name)
        for axis in range(x.ndim) if _is_distribution(node.value) else ():
            if x.shape[axis] > 1 and _same(node.value, softmax_over(x, (axis,))):
                yield source, partial(_softmax, (axis,))
        for axis in range(x.ndim) if (node.value <= 0).all() else ():
            if x.shape[axis] > 1 and _same(node.value, np.log(softmax_over(x, (axis,)))):
                yield source, partial(_log_softmax, (axis,))
        for how in normalizations(x, node.value) if x.ndim < 5 else ():
            yield source, partial(_normalized, how)
    for source in _needed(node)[-NEAR:]:
        if source.value.size > node.value.size and (source.build or source.is_argument):
            for axis in sums_of_exponentials(source.value, node.value):
                yield source, partial(_log_sum_exp, axis, node.value.shape)


def _log_sum_exp(axis: int, shape: tuple[int, ...], read: Sequence[Var], name: str) -> Var:
    return log_sum_exp(read[0], axis, shape, name)


def _softmax(axes: tuple[int, ...], read: Sequence[Var], name: str) -> Var:
    return softmax(read[0], axes, name)


def _log_softmax(axes: tuple[int, ...], read: Sequence[Var], name: str) -> Var:
    return log_softmax(read[0], axes, name)


def _normalized(how: tuple[tuple[int, ...], bool, int, float], read: Sequence[Var], name: str) -> Var:
    return normalized(read[0], *how, name)


def _is_distribution(p: Array) -> bool:
    return bool((p >= 0).all() and (p <= 1).all())


def _same(a: Array, b: Array) -> bool:
    return bool(np.abs(a - b).max() <= SAME * np.abs(b).max())


def _needed(output: Node) -> list[Node]:
    """The nodes that an output is computed from, and the output, in the order of computation."""
    order: dict[Node, None] = {}
    waiting: list[tuple[Node, bool]] = [(output, False)]
    while waiting:
        node, is_ready = waiting.pop()
        if is_ready:
            order[node] = None
        elif node not in order:
            waiting.append((node, True))
            waiting.extend((read, False) for read in reversed(node.inputs))
    return list(order)
