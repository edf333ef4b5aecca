"""See and change the gates of a network while it runs. The layers know nothing of it.

    with visiting_gates(network, visit):
        network.predict(x)                # calls visit(name, s) for each excitation; the gates it returns are applied

An excitation has gates of one of four shapes, in the memory of the active edition:

    (N, C)                    one for each channel
    (N, H, W)                 one for each pixel
    (N, H, W, C)              one for each element
    (N, H, C) and (N, W, C)   a pair, one for each row and one for each column; an element has their product
"""

import contextlib
from collections.abc import Callable, Iterator
from typing import Any, TypeAlias

from npse.backend import active, op_by_op, reshape, to_host
from npse.layers.excitation import Excitation, SqueezedGates
from npse.layers.layer import Layer
from npse.types import Array

Gates: TypeAlias = Array | tuple[Array, ...]
Visit: TypeAlias = Callable[[str, Gates], Gates]

KINDS = {2: "channel", 3: "pixel", 4: "element"}      # what has a gate, by the number of axes


@contextlib.contextmanager
def visiting_gates(network: Layer, visit: Visit) -> Iterator[None]:
    """Within the ``with`` block call ``visit(name, s)`` for all gates that are computed, and apply what it returns.

    Parameters
    ----------
    network : Layer
        It must not be trained in the block: the backward passes are those of the computed gates. Other threads that
        run the network call ``visit`` too.
    visit : function of a name and gates
        The name is that of the block, such as ``layer1.0``. In a structure with two sorts of gates it has one part
        more, such as ``layer1.0.spatial``. It returns gates of the same shapes, most often the same.
    """
    replaced = []

    def replace(layer: Layer, method: str, by: Callable[..., Any]) -> None:
        replaced.append((layer, method, vars(layer).get(method)))
        setattr(layer, method, by)

    for name, layer in gated_layers(network):
        if isinstance(layer, SqueezedGates):                      # both ways lead through `excite`,
            replace(layer, "excite", _visited(layer.excite, name, visit))
            replace(layer, "weights", lambda: None)               # and no op computes the gates without it
        else:
            replace(layer, "gates", _visited(getattr(layer, "gates"), name, visit))  # noqa: B009  `gated_layers` has it
    try:
        with op_by_op():                                          # a recorded call would not call ``visit``
            yield
    finally:
        for layer, method, outer in reversed(replaced):
            if outer:                                             # that of an outer block
                setattr(layer, method, outer)
            else:
                delattr(layer, method)                            # the method of the class is back


def _visited(method: Callable[[Array], tuple[Gates, Any]], name: str, visit: Visit
             ) -> Callable[[Array], tuple[Gates, Any]]:
    def visited(x: Array) -> tuple[Gates, Any]:
        s, backward = method(x)
        return visit(name, s), backward
    return visited


def gated_layers(network: Layer) -> list[tuple[str, Excitation]]:
    """Return the name of the block and the layer of all gates of a network, in the order of its layers."""
    return [(name, layer) for name, layer in _excitations(network) if hasattr(layer, "gates")]


def without_gates(network: Layer) -> list[tuple[str, Excitation]]:
    """Return the excitations that have no gates to visit.

    They add to their maps instead of scaling them, or scale them within one op.
    """
    return [(name, layer) for name, layer in _excitations(network)
            if not any(hasattr(part, "gates") for part in layer.layers())]


def parts_of(s: Gates) -> tuple[Array, ...]:
    """Return the arrays of gates: two for a pair, else one."""
    return s if isinstance(s, tuple) else (s,)


def kind_of(s: Gates) -> str:
    """Return what has a gate of its own: "channel", "pixel", "element", or "row and column"."""
    return "row and column" if isinstance(s, tuple) else KINDS[s.ndim]


def per_image(s: Gates) -> Array:
    """Return one row of numbers for each image, a NumPy array (N, C): gates, averaged over the pixels if they differ.

    Gates for pixels give a row of one number.
    """
    ops = active()
    if isinstance(s, tuple):
        by_row, by_column = (ops.squeeze(reshape(part, (*part.shape[:2], 1, part.shape[2]))) for part in s)
        N, C = by_row.shape                                       # the mean of all products is the product of the means
        return to_host(reshape(ops.scale(reshape(by_row, (N, 1, 1, C)), by_column), (N, C)))
    if s.ndim == 2:
        return to_host(s)
    return to_host(ops.squeeze(reshape(s, (*s.shape, 1)) if s.ndim == 3 else s))


def _excitations(layer: Layer, path: str = "") -> Iterator[tuple[str, Excitation]]:
    """Yield the excitations below a layer by name; those within one that has gates itself are parts of it."""
    for key, part in layer.children.items():
        name = path if key == "se" and path else f"{path}.{key}".lstrip(".")
        if isinstance(part, Excitation):
            yield name, part
        if not hasattr(part, "gates"):
            yield from _excitations(part, name)
