"""The table of all ops that have nodes, and what several chapters use."""

from collections.abc import Callable
from typing import Any

import numpy as np

from npse.interop.graph import Graph, Value

TABLE: dict[str, Callable[..., Any]] = {}
PIXELS = [2, 3]                                    # axes of maps (N, C, H, W)


def lowers(function: Callable[..., Any]) -> Callable[..., Any]:
    """Enter a function as the nodes of the op of its name; a last underscore keeps a name of Python free."""
    TABLE[function.__name__.rstrip("_")] = function
    return function


def like(x: Value, name: str) -> Value:
    return Value(x.graph, x.shape, name)


def one_node(op: str, **attributes: Any) -> Callable[..., Value]:
    """Return the nodes of an op that is one elementwise operator of ONNX."""
    def lowered(graph: Graph, *arrays: Value) -> Value:
        return like(arrays[0], graph.add(op, *[array.name for array in arrays], **attributes))
    return lowered


def same_everywhere(array: Any) -> float | None:
    """Return the number of a constant array that holds one number only; None for all other arrays."""
    return float(array.flat[0]) if isinstance(array, np.ndarray) and (array == array.flat[0]).all() else None
