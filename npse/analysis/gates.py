"""What the gates do: the mean gate of every channel for every class, block by block (section 7 of the paper)."""

import numpy as np

from npse import backend
from npse.backend import to_host
from npse.layers import SqueezeExcite
from npse.training import predict


def gates_by_class(network, images, labels, mean, std, classes):
    """Run images through a network and average each block's gates over the images of each class.

    Parameters
    ----------
    network : Layer
    images, labels : uint8 (N, H, W, C) and integers (N,)
    mean, std : of the pixels
    classes : int, K

    Returns
    -------
    dict of str to array (K, channels)
        By block name, in the order in which images pass the blocks; empty for a network without excitation.
    """
    calls = []

    def watch(op, arguments, result):
        if op == "excite":
            calls.append(to_host(result))

    with backend.observing(watch):
        predict(network, images, mean, std)
    names = _excitations(network)
    gates = {name: np.concatenate(calls[k::len(names)]) for k, name in enumerate(names)}      # (N, channels)
    return {name: np.stack([s[labels == k].mean(axis=0) for k in range(classes)]) for name, s in gates.items()}


def _excitations(layer, name=""):
    """Dotted names of the blocks that hold an excitation."""
    found = [name] if any(isinstance(part, SqueezeExcite) for part in layer.children.values()) else []
    for key, part in layer.children.items():
        found += _excitations(part, f"{name}.{key}".lstrip("."))
    return found
