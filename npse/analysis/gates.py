"""What the gates do: the mean gate of every channel for every class, block by block (section 7 of the paper)."""

import contextlib
from collections.abc import Callable, Iterator

import numpy as np

from npse.backend import to_host
from npse.layers.excitation import ChannelGates, SqueezedGates
from npse.layers.layer import Layer
from npse.training import predict
from npse.types import Array, Arrays, Backward


def gates_by_class(network: Layer, images: Array, labels: Array, mean: Array, std: Array, classes: int) -> Arrays:
    """Run images through a network and average the gates of each block over the images of each class.

    Parameters
    ----------
    network : Layer
    images : uint8 array (N, H, W, C)
    labels : integer array (N,)
        In 0 .. classes - 1; each class must occur.
    mean, std : float32 array (C,)
        Of the pixels of the training images, in units of 0..1.
    classes : int
        The number K of classes.

    Returns
    -------
    dict of str to array (K, channels)
        By the name of the block, in the order of the forward pass; empty for a network without excitation.
    """
    seen: dict[str, list[Array]] = {}
    with _recorded(network, seen):
        predict(network, images, mean, std)
    gates = {name: np.concatenate(calls) for name, calls in seen.items()}                     # (N, channels)
    return {name: np.stack([s[labels == k].mean(axis=0) for k in range(classes)]) for name, s in gates.items()}


@contextlib.contextmanager
def _recorded(network: Layer, seen: dict[str, list[Array]]) -> Iterator[None]:
    """Within the ``with`` block append the gates of each call (N, channels) to ``seen``, by the name of the block."""
    found = [(name, layer, "excite" if isinstance(layer, SqueezedGates) else "gates")
             for name, layer in _excitations(network)]
    for name, layer, method in found:
        setattr(layer, method, _recording(getattr(layer, method), seen.setdefault(name, [])))
    try:
        yield
    finally:
        for _, layer, method in found:
            delattr(layer, method)                                        # the method of the class is back


def _recording(method: Callable[[Array], tuple[Array, Backward]], calls: list[Array]
               ) -> Callable[[Array], tuple[Array, Backward]]:
    def recording(x: Array) -> tuple[Array, Backward]:
        s, backward = method(x)
        calls.append(to_host(s))
        return s, backward
    return recording


def _excitations(layer: Layer, name: str = "") -> Iterator[tuple[str, ChannelGates]]:
    """Yield the dotted name of each block that has one gate for each channel, and the layer that computes the gates."""
    for key, part in layer.children.items():
        if isinstance(part, ChannelGates):
            yield name, part
        yield from _excitations(part, f"{name}.{key}".lstrip("."))
