"""A network as a graph of standard operators, with ONNX's names, attributes and layout (N, C, H, W).

    graph = trace(network, (32, 32, 3))

Layers contain no arithmetic, only calls of ops, and they ask for the active edition. So a network is traced by one call
with an edition whose ops compute nothing: each adds nodes to a graph, see `npse.interop.lowering`. The arrays that it
gets and returns are `Value`s, which have a shape and no numbers.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from npse.backend import TRANSFER_FUNCTIONS, using_edition
from npse.interop.names import layout_of
from npse.layers import Layer
from npse.layers.dropout import kept_slots
from npse.reference import OPS
from npse.types import Array, Arrays, Shape

TO_FIRST, TO_LAST = [0, 3, 1, 2], [0, 2, 3, 1]          # permutations of axes: channels first, channels last


class NotExportable(ValueError):
    """A network calls an op, or uses it in a way, for which the graph has no nodes."""


class Batch(int):
    """The number of images of a traced batch, or a multiple of it. In the graph it is left open."""

    def __mul__(self, other: int) -> "Batch":
        return Batch(int(self) * int(other))

    def __add__(self, other: int) -> "Batch":
        return Batch(int(self) + int(other))

    def __sub__(self, other: int) -> "Batch":
        return Batch(int(self) - int(other))

    __rmul__, __radd__ = __mul__, __add__


@dataclass(frozen=True)
class Node:
    """An operator of ONNX. Axes, shapes, pads and widths are attributes here, also where ONNX has them as inputs."""

    op: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    attributes: Mapping[str, Any]


@dataclass
class Graph:
    """Nodes in the order of their calculation.

    Attributes
    ----------
    nodes : list of Node
    arrays : dict of str to array
        Parameters, buffers and constants, in PyTorch's layouts.
    names : dict of int to str
        The id of each parameter and buffer of the network, and its name.
    image_shape : tuple of int
        (H, W, C) of the images.
    input, output : str
    """

    nodes: list[Node] = field(default_factory=list)
    arrays: Arrays = field(default_factory=dict)
    names: dict[int, str] = field(default_factory=dict)
    image_shape: Shape = ()
    input: str = "x"
    output: str = ""
    _known: dict[Any, tuple[str, ...]] = field(default_factory=dict)
    _constants: dict[Any, str] = field(default_factory=dict)
    _reshaped: dict[str, tuple[str, tuple[int, ...]]] = field(default_factory=dict)

    def add(self, op: str, *inputs: str, outputs: int = 1, **attributes: Any) -> Any:
        """Add a node and return the name of its output, or a tuple of names. The same node is added once."""
        key = op, inputs, tuple((name, repr(value)) for name, value in attributes.items())
        if key not in self._known:
            made = tuple(f"node_{len(self._known)}_{k}" for k in range(outputs))
            self._known[key] = made
            self.nodes.append(Node(op, inputs, made, attributes))
        names = self._known[key]
        return names[0] if outputs == 1 else names

    def reshape(self, name: str, before: Sequence[int], after: Sequence[int]) -> str:
        """Return the name of an array with another shape; several changes of shape in a row become one."""
        source, before = self._reshaped.get(name, (name, tuple(before)))
        if before == tuple(after):
            return source
        made = str(self.add("Reshape", source, shape=_open(after)))
        self._reshaped[made] = source, before
        return made

    def finish(self, output: str) -> None:
        """Set the output, leave out nodes and arrays that it does not need, and number the nodes in order."""
        needed, kept = {output}, []
        for node in reversed(self.nodes):
            if needed & {*node.outputs}:
                kept.append(node)
                needed |= {*node.inputs}
        numbered: dict[str, str] = {}
        for node in reversed(kept):
            for name in node.outputs:
                numbered[name] = f"x{len(numbered)}"

        def renamed(names: tuple[str, ...]) -> tuple[str, ...]:
            return tuple(numbered.get(name, name) for name in names)

        self.nodes = [Node(node.op, renamed(node.inputs), renamed(node.outputs), node.attributes)
                      for node in reversed(kept)]
        self.arrays = {name: array for name, array in self.arrays.items() if name in needed}
        self.output = numbered[output]

    def constant(self, array: Array) -> str:
        """Return the name of an array that belongs to no layer."""
        key = array.shape, array.dtype.str, array.tobytes()
        if key not in self._constants:
            self._constants[key] = f"constant_{len(self._constants)}"
            self.arrays[self._constants[key]] = array
        return self._constants[key]

    def scalar(self, value: float) -> str:
        """Return the name of a number."""
        return self.constant(np.array(value, np.float64))

    def array(self, array: Any, filters: bool = False) -> str:
        """Return the name of a parameter, a buffer or another array; ``filters`` are laid out as PyTorch's."""
        if isinstance(array, Value):
            raise NotExportable("an array that depends on the images in place of a weight")
        if array is None:
            raise NotExportable("the statistics of its batch, which only training has")
        if id(array) in self.names:
            return self.names[id(array)]
        return self.constant(np.ascontiguousarray(array.transpose(3, 2, 0, 1) if filters else array))

    def with_channels_last(self, name: str) -> str:
        """Return the name of maps (N, H, W, C) of maps (N, C, H, W)."""
        return self.add("Transpose", name, perm=TO_LAST)


class Value:
    """An array that depends on the images: a shape, as npse has it, and the names that it has in the graph.

    Attributes
    ----------
    shape : tuple of int
    dtype : dtype
    mean_of : Value or None
        The maps whose means over the pixels this is.
    """

    dtype = np.dtype(np.float64)              # so constants are not rounded before they are written

    def __init__(self, graph: Graph, shape: Sequence[int], first: str | None = None, last: str | None = None,
                 mean_of: "Value | None" = None) -> None:
        self.graph, self.shape, self.mean_of = graph, tuple(shape), mean_of
        self._first, self._last = first, last

    @property
    def ndim(self) -> int:
        """The number of axes."""
        return len(self.shape)

    def __len__(self) -> int:
        return int(self.shape[0])

    @property
    def name(self) -> str:
        """The name in the graph: maps with their channels first, all other arrays as npse has them."""
        if self._first is None:
            self._first = self.graph.add("Transpose", self.last, perm=TO_FIRST) if self.ndim == 4 else self._last
        return str(self._first)

    @property
    def last(self) -> str:
        """The name of the array with its axes in the order of npse."""
        if self._last is None:
            self._last = self.graph.with_channels_last(self.name) if self.ndim == 4 else self._first
        return str(self._last)

    def reshape(self, shape: Sequence[int]) -> "Value":
        """Return the array with another shape, as an edition's array would."""
        before, after = _sizes_first(self.shape), _sizes_first(shape)
        graph, same = self.graph, self.mean_of
        if _keeps_order(self.shape) and _keeps_order(shape):               # with one pixel or one channel
            return Value(graph, shape, graph.reshape(self.name, before, after), mean_of=same)
        made = graph.reshape(self.last, self.shape, shape)
        return Value(graph, shape, last=made) if len(shape) == 4 else Value(graph, shape, made)


def _sizes_first(shape: Sequence[int]) -> tuple[int, ...]:
    """Return a shape with the channels of maps first."""
    return tuple(shape[axis] for axis in TO_FIRST) if len(shape) == 4 else tuple(shape)


def _keeps_order(shape: Sequence[int]) -> bool:
    """Whether the elements have the same order with the channels first."""
    return len(shape) != 4 or shape[3] == 1 or shape[1] * shape[2] == 1


def _open(shape: Sequence[int]) -> list[int]:
    """Return a shape for a node: -1 in place of the size that depends on the number of images."""
    if sum(isinstance(size, Batch) for size in shape) > 1:
        raise NotExportable(f"a shape with several sizes that depend on the number of images, {tuple(shape)}")
    return [-1 if isinstance(size, Batch) else int(size) for size in shape]


class GraphEdition:
    """An edition whose ops add nodes to a graph."""

    def __init__(self, graph: Graph) -> None:
        self._graph = graph

    def __getattr__(self, name: str) -> Any:
        """Return an op; an op that the graph has no nodes for raises an error when it is called."""
        from npse.interop import lowering

        if name.startswith("__") or name in TRANSFER_FUNCTIONS:
            raise AttributeError(name)
        lowered = lowering.TABLE.get(name)

        def op(*arguments: Any, **options: Any) -> Any:
            if lowered is None:
                known = "" if name in OPS else ", which is not an op of the book"
                raise NotExportable(f"the op {name}{known}")
            return lowered(self._graph, *arguments, **options)
        return op


def trace(network: Layer, image_shape: Shape) -> Graph:
    """Return a network at inference as a graph.

    Parameters
    ----------
    network : Layer
        It is not changed.
    image_shape : tuple of int
        (H, W, C) of the images. The graph is for images of this size, and for any number of them.

    Raises
    ------
    NotExportable
        A layer cannot be expressed; the message names it.
    ValueError
        Images of this size do not fit the network.
    """
    graph = Graph(image_shape=tuple(image_shape))
    for slot in kept_slots(network):
        array = slot.owner[slot.key]
        graph.names[id(array)] = slot.name
        graph.arrays[slot.name] = np.ascontiguousarray(layout_of(slot).there(np.asarray(array, np.float32)))
    images = Value(graph, (Batch(2), *image_shape), graph.input)
    try:
        with using_edition(GraphEdition(graph)), network.evaluating():
            result = network.predict(images)                      # type: ignore[arg-type]      # as an edition's array
    except NotExportable as error:
        raise NotExportable(f"{_layer_at(error, network)} cannot be exported: it uses {error}") from error
    graph.finish(result.name)                                     # type: ignore[attr-defined]
    return graph


def _layer_at(error: BaseException, network: Layer) -> str:
    """Return the name and the class of the innermost layer of a network that an error came through."""
    paths, found, step = dict(_paths(network)), "the network", error.__traceback__
    while step:
        layer = step.tb_frame.f_locals.get("self")
        if isinstance(layer, Layer):
            found = f"{paths.get(id(layer), 'a part')} ({type(layer).__name__})"
        step = step.tb_next
    return found


def _paths(layer: Layer, path: str = "the network") -> list[tuple[int, str]]:
    found = [(id(layer), path)]
    for name, child in layer.children.items():
        found += _paths(child, name if path == "the network" else f"{path}.{name}")
    return found
