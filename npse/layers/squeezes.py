"""Squeezes: layers that take maps to one number for each channel, (N, H, W, C) -> (N, C), by name."""

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from npse.backend import on_device, reshape, to_edition
from npse.layers.basic import GlobalAveragePool, expect_sizes, he_normal
from npse.layers.batch_norm import BatchNorm
from npse.layers.dct import dct_basis
from npse.layers.layer import Layer, active, prefixed
from npse.layers.pooling import GlobalMaxPool
from npse.support.names import suggest
from npse.types import Array, Backward, Gradients


class MeanAndMax(Layer):
    """z = mean + maximum of each map."""

    def __call__(self, u: Array) -> tuple[Array, Backward]:
        ops = active()
        z = _sum(ops.squeeze(u), ops.global_max_pool(u))
        return z, lambda dz: (ops.add_squeeze_backward(ops.global_max_pool_backward(dz, u), dz), {})


class MeanAndDeviation(Layer):
    """z = mean + standard deviation of each map."""

    def __call__(self, u: Array) -> tuple[Array, Backward]:
        ops = active()
        d = ops.deviation(u)
        z = _sum(ops.squeeze(u), d)
        return z, lambda dz: (ops.add_squeeze_backward(ops.deviation_backward(dz, u, d), dz), {})


def _sum(a: Array, b: Array) -> Array:
    maps = (a.shape[0], 1, 1, a.shape[1])
    return reshape(active().add(reshape(a, maps), reshape(b, maps)), a.shape)


class DCTPool(Layer):
    """A coefficient of the discrete cosine transform of each map, of a frequency for each group of channels.

    FcaNet, arXiv 2012.11879. The mean is the lowest frequency.

    Parameters
    ----------
    frequencies : int
        The most frequencies that the channels share, see `dct_basis`. There are as many as divide the channels.
    """

    def __init__(self, frequencies: int = 16) -> None:
        expect_sizes("DCTPool", frequencies=frequencies)
        super().__init__()
        self.frequencies = frequencies
        self._bases: dict[tuple[Any, ...], Array] = {}

    def __call__(self, u: Array) -> tuple[Array, Backward]:
        ops, (_, H, W, C) = active(), u.shape
        b = self._basis(H, W, C, u.dtype)
        return ops.weighted_squeeze(u, b), lambda dz: (ops.weighted_squeeze_backward(dz, u, b)[0], {})

    def _basis(self, H: int, W: int, C: int, dtype: Any) -> Array:
        """Return the basis (H, W, C) in the memory of the active edition. It is copied once, because a copy waits."""
        key = H, W, C, dtype, on_device()
        if key not in self._bases:
            self._bases[key] = to_edition(dct_basis(H, W, C, math.gcd(self.frequencies, C)).astype(dtype))
        return self._bases[key]


class WeightedPool(Layer):
    """z = BN(sum over pixels of b * u), a learned weight for each pixel and channel: GE-theta, arXiv 1810.12348.

    Parameters
    ----------
    channels : int
    size : int
        Height and width of the maps.
    rng : Generator, draws the weights
    """

    def __init__(self, channels: int, size: int, *, rng: np.random.Generator) -> None:
        expect_sizes("WeightedPool", channels=channels, size=size)
        self.norm = BatchNorm(channels)
        super().__init__({"weight": he_normal(rng, (size, size, channels), fan_in=size * size)},
                         children={"bn": self.norm})

    def __call__(self, u: Array) -> tuple[Array, Backward]:
        ops, b, (N, H, W, C) = active(), self.parameters["weight"], u.shape
        if b.shape[:2] != (H, W):
            raise ValueError(f"WeightedPool: has weights for maps of {b.shape[0]} x {b.shape[1]} pixels, but got "
                             f"{H} x {W}; build the network with the image_size of its images")
        z, norm_backward = self.norm(reshape(ops.weighted_squeeze(u, b), (N, 1, 1, C)))

        def backward(dz: Array) -> tuple[Array, Gradients]:
            dsums, of_norm = norm_backward(reshape(dz, (N, 1, 1, C)))
            du, db = ops.weighted_squeeze_backward(reshape(dsums, (N, C)), u, b)
            return du, {"weight": db} | prefixed("bn", of_norm)
        return reshape(z, (N, C)), backward


class AttentionPool(Layer):
    """z = sum over pixels of softmax(k . u) u, a weighted mean of the pixels: GC block, arXiv 1904.11492.

    Parameters
    ----------
    channels : int
    rng : Generator, draws the weights k
    """

    def __init__(self, channels: int, *, rng: np.random.Generator) -> None:
        expect_sizes("AttentionPool", channels=channels)
        super().__init__({"weight": he_normal(rng, (channels,), fan_in=channels)})

    def __call__(self, u: Array) -> tuple[Array, Backward]:
        ops, k = active(), self.parameters["weight"]
        z, p = ops.attention_squeeze(u, k)

        def backward(dz: Array) -> tuple[Array, Gradients]:
            du, dk = ops.attention_squeeze_backward(dz, u, k, z, p)
            return du, {"weight": dk}
        return z, backward


SQUEEZES: dict[str, Callable[..., Layer]] = {
    "mean": lambda channels, size, rng: GlobalAveragePool(),
    "max": lambda channels, size, rng: GlobalMaxPool(),
    "mean_max": lambda channels, size, rng: MeanAndMax(),
    "mean_deviation": lambda channels, size, rng: MeanAndDeviation(),
    "dct": lambda channels, size, rng: DCTPool(),
    "weighted": lambda channels, size, rng: WeightedPool(channels, size, rng=rng),
    "attention": lambda channels, size, rng: AttentionPool(channels, rng=rng),
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
