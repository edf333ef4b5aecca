"""Squeezes: layers that take maps to one number for each channel, (N, H, W, C) -> (N, C)."""

from collections.abc import Callable

import numpy as np

from npse.layers.basic import GlobalAveragePool
from npse.layers.layer import Layer
from npse.support.names import suggest

SQUEEZES: dict[str, Callable[..., Layer]] = {
    "mean": lambda channels, size, rng: GlobalAveragePool(),
}


def make_squeeze(name: str, channels: int, size: int | None = None, *, rng: np.random.Generator) -> Layer:
    """Make a squeeze by its name, for so many channels and maps of size x size pixels.

    Raises
    ------
    ValueError
        An unknown name.
    """
    if name not in SQUEEZES:
        raise ValueError(f"unknown squeeze {name!r}; {suggest(name, SQUEEZES)}")
    return SQUEEZES[name](channels, size, rng)
