"""What the gates do: the mean gate of every channel for every class, block by block (section 7 of the paper)."""

from typing import Any

import numpy as np

from npse import backend
from npse.backend import to_host
from npse.layers import SqueezeExcite
from npse.layers.layer import Layer
from npse.training import predict
from npse.types import Array, Arrays


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
    calls: list[Array] = []

    def watch(op: str, arguments: tuple[Any, ...], result: Any) -> None:
        if op == "excite":
            calls.append(to_host(result))

    with backend.observing(watch):
        predict(network, images, mean, std)
    names = _excitations(network)
    gates = {name: np.concatenate(calls[k::len(names)]) for k, name in enumerate(names)}      # (N, channels)
    return {name: np.stack([s[labels == k].mean(axis=0) for k in range(classes)]) for name, s in gates.items()}


def _excitations(layer: Layer, name: str = "") -> list[str]:
    """Return the dotted names of the blocks that contain an excitation."""
    found = [name] if any(isinstance(part, SqueezeExcite) for part in layer.children.values()) else []
    for key, part in layer.children.items():
        found += _excitations(part, f"{name}.{key}".lstrip("."))
    return found
