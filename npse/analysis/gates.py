"""What the gates do: the mean gate of every channel for every class, block by block (section 7 of the paper)."""

import contextlib
from collections.abc import Callable, Iterator

import numpy as np

from npse.backend import to_host
from npse.layers import Excitation
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
    found = dict(_excitations(network))
    for name, layer in found.items():
        layer.excite = _recording(layer, seen.setdefault(name, []))       # type: ignore[method-assign]
    try:
        yield
    finally:
        for layer in found.values():
            del layer.excite                                              # the method of the class is back


def _recording(layer: Excitation, calls: list[Array]) -> Callable[[Array], tuple[Array, Backward]]:
    excite = layer.excite

    def recording(z: Array) -> tuple[Array, Backward]:
        s, backward = excite(z)
        calls.append(to_host(s))
        return s, backward
    return recording


def _excitations(layer: Layer, name: str = "") -> Iterator[tuple[str, Excitation]]:
    """Yield the dotted name of each block that contains an excitation, and the excitation."""
    for key, part in layer.children.items():
        if isinstance(part, Excitation):
            yield name, part
        yield from _excitations(part, f"{name}.{key}".lstrip("."))
