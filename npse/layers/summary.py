"""A network as a tree: names, kinds of layers, shapes and numbers of parameters."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from npse.layers.layer import Layer


def summary(layer: Layer) -> str:
    """Return a line for each layer, indented below the layer that contains it, and the total on the last line."""
    rows = list(_rows(layer, type(layer).__name__, ""))
    names, kinds, shapes = (max(len(row[column]) for row in rows) for column in range(3))
    total = sum(array.size for array in layer.named_parameters().values())
    lines = [f"{name:{names}}  {kind:{kinds}}  {shape:{shapes}}  {count:>9}".rstrip()
             for name, kind, shape, count in rows]
    return "\n".join([*lines, f"total: {total:,} parameters"])


def _rows(layer: Layer, name: str, kind: str, depth: int = 0) -> Iterator[tuple[str, str, str, str]]:
    """Yield (indented name, kind, shapes, count) for a layer and all layers below it; count is for its own arrays."""
    own = layer.parameters
    shapes = ", ".join(f"{key} {tuple(array.shape)}" for key, array in own.items())
    count = f"{sum(array.size for array in own.values()):,}" if own else ""
    yield "  " * depth + name, kind, shapes, count
    for key, child in layer.children.items():
        yield from _rows(child, key, type(child).__name__, depth + 1)
