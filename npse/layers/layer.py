"""The base class of layers. A layer has named arrays, named sub-layers, and a call.

    y, backward = layer(x)
    dx, gradients = backward(dy)

``backward`` closes over the arrays that the forward pass saved, so a later call of the layer does not change it.
``gradients`` maps parameter names to arrays. A layer contains no arithmetic, only calls of ops. It takes the ops from
`npse.backend.active`, once in each call.
"""

import contextlib
import functools
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple, Self

import numpy as np

from npse.backend import active, on_device, to_edition, to_host
from npse.layers.summary import summary
from npse.types import Array, Backward

__all__ = ["Layer", "Slot", "active", "constant", "prefixed"]


class Slot(NamedTuple):
    """The place of an array in a network, ``owner[key]``, and its dotted name, such as ``layer1.0.conv1.weight``."""

    name: str
    owner: dict[str, Array]
    key: str


class Layer:
    """Base class of all layers.

    Attributes
    ----------
    parameters : dict of str to array, the learned arrays
    buffers : dict of str to array, arrays that are kept but not learned (running statistics)
    children : dict of str to Layer, the sub-layers; their arrays have dotted names, such as ``conv1.weight``
    training : bool, whether batch norm normalizes with the statistics of its batch, or with running ones
    """

    def __init__(self, parameters: dict[str, Array] | None = None, buffers: dict[str, Array] | None = None,
                 children: "dict[str, Layer] | None" = None) -> None:
        self.parameters = parameters or {}
        self.buffers = buffers or {}
        self.children = children or {}
        self.training = True

    def __call__(self, x: Array) -> tuple[Array, Backward]:
        """Return ``y, backward``."""
        raise NotImplementedError

    def __repr__(self) -> str:
        """Return the layer and all its sub-layers as a tree, with shapes and numbers of parameters."""
        return summary(self)

    def predict(self, x: Array) -> Array:
        """Return y alone; no array is kept for a backward pass."""
        return self(x)[0]

    def infer(self, x: Array) -> Array:
        """Return what `predict` returns; its name in version 0.1."""
        return self.predict(x)

    def slots(self, kind: str = "parameters", path: str = "") -> list[Slot]:
        """Return the slots of all "parameters" or "buffers" (``kind``): those of this layer, then of its children.

        ``path`` is put before each name. The list stays valid while the layer has the same children, so code that needs
        the arrays often can keep it.
        """
        owner = getattr(self, kind)
        found = [Slot(path + key, owner, key) for key in owner]
        for name, child in self.children.items():
            found += child.slots(kind, f"{path}{name}.")
        return found

    def named_parameters(self) -> dict[str, Array]:
        """Return every learned array of this layer and its children, by dotted name."""
        return {name: owner[key] for name, owner, key in self.slots("parameters")}

    def named_buffers(self) -> dict[str, Array]:
        """Return every buffer of this layer and its children, by dotted name."""
        return {name: owner[key] for name, owner, key in self.slots("buffers")}

    def state(self) -> dict[str, Array]:
        """Return parameters and buffers together, as a checkpoint holds them."""
        return self.named_parameters() | self.named_buffers()

    def load(self, state: Mapping[str, Array]) -> None:
        """Copy arrays of floats into this layer and its children, by dotted name. If one does not fit, none is copied.

        Raises
        ------
        ValueError
            An array of ``state`` is unknown to this layer, has another shape or holds no floats, or an array of this
            layer is missing in ``state``.
        """
        mine = self.state()
        for name in (*state, *mine):
            if name in mine and name in state:
                continue
            whose = "missing in the loaded arrays" if name in mine else "unknown to this network"
            raise ValueError(f"load: {name} is {whose}; was it saved from another model or with other options?")
        for name, array in state.items():
            if array.shape != mine[name].shape:
                raise ValueError(f"load: {name} has shape {array.shape}, but this network needs {mine[name].shape}")
            if array.dtype.kind != "f":
                raise ValueError(f"load: {name} must hold floats, but holds {array.dtype}")
        self.update({name: to_edition(np.array(to_host(array), dtype=mine[name].dtype))
                     for name, array in state.items()})

    def update(self, arrays: Mapping[str, Array]) -> None:
        """Replace the arrays with these dotted names; KeyError if a name is unknown."""
        slots = {slot.name: slot for slot in (*self.slots("parameters"), *self.slots("buffers"))}
        for name, array in arrays.items():
            _, owner, key = slots[name]
            owner[key] = array

    def train(self) -> Self:
        """Switch this layer and its children to training; return it."""
        return self._switch(True)

    def eval(self) -> Self:
        """Switch this layer and its children to inference; return it."""
        return self._switch(False)

    @contextlib.contextmanager
    def evaluating(self) -> Iterator[Self]:
        """Switch this layer and its children to inference within the ``with`` block; afterwards each is as before."""
        before = [(layer, layer.training) for layer in self.layers()]
        try:
            yield self.eval()
        finally:
            for layer, training in before:
                layer.training = training

    def layers(self) -> "Iterator[Layer]":
        """Yield this layer and all layers below it."""
        yield self
        for child in self.children.values():
            yield from child.layers()

    def astype(self, dtype: Any) -> Self:
        """Convert every array of this layer and its children to ``dtype``; return the layer."""
        self.update({name: to_edition(to_host(array).astype(dtype)) for name, array in self.state().items()})
        return self

    def to_device(self) -> Self:
        """Move every array of this layer and its children to the memory of the active edition; return the layer."""
        self.update({name: to_edition(array) for name, array in self.state().items()})
        return self

    def _switch(self, training: bool) -> Self:
        for layer in self.layers():
            layer.training = training
        return self


def prefixed(name: str, arrays: Mapping[str, Array]) -> dict[str, Array]:
    """Return the arrays with ``name.`` put before each of their names."""
    return {f"{name}.{key}": array for key, array in arrays.items()}


def constant(value: float, shape: tuple[int, ...], dtype: Any) -> Array:
    """Return an array full of one value, in the memory of the active edition. Callers share it: do not write to it."""
    return _constant(value, shape, np.dtype(dtype), on_device())


@functools.lru_cache(64)
def _constant(value: float, shape: tuple[int, ...], dtype: Any, device: bool) -> Array:
    return to_edition(np.full(shape, value, dtype))
