"""What every layer is: named arrays, named sub-layers, and a call.

    y, backward = layer(x)
    dx, gradients = backward(dy)

``backward`` closes over what the forward pass saved, so it cannot go stale; ``gradients`` maps parameter names to
arrays. A layer contains no arithmetic, only calls of ops, which it takes once per call from `npse.backend.active`.
"""

import contextlib
import functools

import numpy as np

from npse.backend import active, on_device, to_edition, to_host

__all__ = ["Layer", "active", "constant", "prefixed"]


class Layer:
    """Base of all layers.

    Attributes
    ----------
    parameters : dict of str to array, what is learned
    buffers : dict of str to array, what is remembered but not learned (running statistics)
    parts : dict of str to Layer, the sub-layers; their arrays appear under dotted names, as in ``conv1.weight``
    training : bool, whether batch norm normalizes with its batch or with its running statistics
    """

    def __init__(self, parameters=None, buffers=None, parts=None):
        self.parameters = parameters or {}
        self.buffers = buffers or {}
        self.parts = parts or {}
        self.training = True

    def __call__(self, x):
        """Return ``y, backward``."""
        raise NotImplementedError

    def infer(self, x):
        """Return y alone, and keep nothing for a backward pass longer than the forward pass needs it."""
        return self(x)[0]

    def named_parameters(self):
        """Return every learned array of this layer and its parts, by dotted name."""
        return self._collect("parameters")

    def named_buffers(self):
        """Return every remembered array of this layer and its parts, by dotted name."""
        return self._collect("buffers")

    def state(self):
        """Return parameters and buffers together: what a checkpoint holds."""
        return self.named_parameters() | self.named_buffers()

    def load(self, state):
        """Take over copies of arrays of floats by dotted name; all, or none if one is missing, unknown or does not fit.

        Raises
        ------
        ValueError
            Names the first array of ``state`` that is unknown, else the first of this layer that is missing, else the
            first of ``state`` of another shape or no floats.
        """
        mine = self.state()
        for name in (*state, *mine):
            if name in mine and name in state:
                continue
            whose = "missing from what is loaded" if name in mine else "unknown to this network"
            raise ValueError(f"load: {name} is {whose}; was it saved from another model or with other options?")
        for name, array in state.items():
            if array.shape != mine[name].shape:
                raise ValueError(f"load: {name} has shape {array.shape}, but this network needs {mine[name].shape}")
            if array.dtype.kind != "f":
                raise ValueError(f"load: {name} must hold floats, but holds {array.dtype}")
        self.update({name: to_edition(np.array(to_host(array), dtype=mine[name].dtype))
                     for name, array in state.items()})

    def update(self, arrays):
        """Put arrays in the place of those of the same dotted name."""
        for name, array in arrays.items():
            *path, last = name.split(".")
            owner = self
            for part in path:
                owner = owner.parts[part]
            (owner.parameters if last in owner.parameters else owner.buffers)[last] = array

    def train(self):
        """Switch this layer and its parts to training; return it."""
        return self._switch(True)

    def eval(self):
        """Switch this layer and its parts to inference; return it."""
        return self._switch(False)

    @contextlib.contextmanager
    def evaluating(self):
        """Within the ``with`` block this layer and its parts are at inference; afterwards each is as it was before."""
        before = [(layer, layer.training) for layer in self.layers()]
        try:
            yield self.eval()
        finally:
            for layer, training in before:
                layer.training = training

    def layers(self):
        """Yield this layer, its parts, and theirs."""
        yield self
        for part in self.parts.values():
            yield from part.layers()

    def astype(self, dtype):
        """Convert every array of this layer and its parts to ``dtype``; return the layer."""
        self.update({name: to_edition(to_host(array).astype(dtype)) for name, array in self.state().items()})
        return self

    def place(self):
        """Put every array of this layer and its parts where the active edition keeps its own; return the layer."""
        self.update({name: to_edition(array) for name, array in self.state().items()})
        return self

    def _switch(self, training):
        for layer in self.layers():
            layer.training = training
        return self

    def _collect(self, kind):
        arrays = dict(getattr(self, kind))
        for name, part in self.parts.items():
            arrays |= prefixed(name, part._collect(kind))
        return arrays


def prefixed(name, arrays):
    """Return the same arrays with ``name.`` before each of their names."""
    return {f"{name}.{key}": array for key, array in arrays.items()}


def constant(value, shape, dtype):
    """Return an array full of one value, where the active edition keeps its arrays; nobody may write to it."""
    return _constant(value, shape, np.dtype(dtype), on_device())


@functools.lru_cache(64)
def _constant(value, shape, dtype, device):
    return to_edition(np.full(shape, value, dtype))
