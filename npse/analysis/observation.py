"""One pass of images through a network: its logits, and the gates of each block."""

from dataclasses import dataclass, field

import numpy as np

from npse.backend import to_host
from npse.layers.gate_visitor import Gates, kind_of, parts_of, per_image, visiting_gates
from npse.layers.layer import Layer
from npse.training import predict
from npse.types import Array, Arrays


@dataclass
class Observation:
    """What a network did with images.

    Attributes
    ----------
    logits : array (N, K)
    gates : dict of str to array (N, C)
        By the name of the block, in the order of the forward pass; empty for a network without gates. Gates that differ
        between pixels are averaged over the pixels of each image.
    kinds : dict of str to str
        What has a gate of its own in a block: "channel", "pixel", "element", or "row and column".
    means : dict of str to tuple of arrays
        The gates of a block, not averaged over pixels, as a mean over the images. A pair of arrays holds those of rows
        and of columns.
    """

    logits: Array
    gates: Arrays = field(default_factory=dict)
    kinds: dict[str, str] = field(default_factory=dict)
    means: dict[str, tuple[Array, ...]] = field(default_factory=dict)


def observe(network: Layer, images: Array, mean: Array, std: Array) -> Observation:
    """Run images through a network at inference and collect the gates.

    Parameters
    ----------
    network : Layer
    images : uint8 array (N, H, W, C)
    mean, std : float32 array (C,)
        Of the pixels of the training images, in units of 0..1.
    """
    seen: dict[str, list[Array]] = {}
    sums: dict[str, list[Array]] = {}
    kinds: dict[str, str] = {}

    def visit(name: str, s: Gates) -> Gates:
        parts = [to_host(part) for part in parts_of(s)]
        kinds[name] = kind_of(s)
        seen.setdefault(name, []).append(per_image(s))
        for total, part in zip(sums.setdefault(name, [np.zeros(part.shape[1:]) for part in parts]), parts, strict=True):
            total += part.sum(axis=0, dtype=np.float64)
        return s

    with visiting_gates(network, visit):
        logits = predict(network, images, mean, std)
    return Observation(logits, {name: np.concatenate(calls) for name, calls in seen.items()}, kinds,
                       {name: tuple(total / len(logits) for total in totals) for name, totals in sums.items()})
