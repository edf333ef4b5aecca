"""Structures in place of the two dense layers, by name.

    EXCITATIONS["eca"](channels=64, rng=rng)

Each is a class derived from `Excitation`; its ops are a chapter of the book.
"""

import math
from typing import Protocol

import numpy as np

from npse.backend import reshape
from npse.layers.basic import Dense, expect_sizes, he_normal
from npse.layers.excitation import Excitation
from npse.layers.layer import active, prefixed
from npse.layers.squeeze_excite import SqueezeExcite
from npse.support.names import suggest
from npse.types import Array, Backward, Gradients


class NoWeights(Excitation):
    """s = gate(z): no parameters. SE-Var1 in arXiv 1910.03151, GE-theta-minus in arXiv 1810.12348."""

    def logits(self, z: Array) -> tuple[Array, Backward]:
        return z, lambda da: (da, {})


class PerChannel(Excitation):
    """s = gate(w * z + b): a weight for each channel, w = 1 and b = 0 at first. SE-Var2 in arXiv 1910.03151."""

    def __init__(self, channels: int, bias: bool = False, gate: str = "sigmoid") -> None:
        expect_sizes("PerChannel", channels=channels)
        biases = {"bias": np.zeros(channels, np.float32)} if bias else {}
        super().__init__(gate, {"weight": np.ones(channels, np.float32)} | biases)

    def logits(self, z: Array) -> tuple[Array, Backward]:
        ops, w, b = active(), self.parameters["weight"], self.parameters.get("bias")

        def backward(da: Array) -> tuple[Array, Gradients]:
            dz, dw, db = ops.per_channel_backward(da, z, w)
            return dz, {"weight": dw} if b is None else {"weight": dw, "bias": db}
        return ops.per_channel(z, w, b), backward


class OneDense(Excitation):
    """s = gate(W z + b): one dense layer without reduction. SE-Var3 in arXiv 1910.03151, eSE in arXiv 1911.06667."""

    def __init__(self, channels: int, bias: bool = False, gate: str = "sigmoid", *, rng: np.random.Generator) -> None:
        super().__init__(gate, children={"fc": Dense(channels, channels, bias=bias, rng=rng)})

    def logits(self, z: Array) -> tuple[Array, Backward]:
        a, fc_backward = self.children["fc"](z)

        def backward(da: Array) -> tuple[Array, Gradients]:
            dz, gradients = fc_backward(da)
            return dz, prefixed("fc", gradients)
        return a, backward


class GroupedDense(Excitation):
    """s = gate(W z + b) with a dense layer for each group of channels. SE-GC in arXiv 1910.03151.

    Parameters
    ----------
    channels : int
    groups : int, divides the channels
    """

    def __init__(self, channels: int, groups: int = 4, bias: bool = False, gate: str = "sigmoid", *,
                 rng: np.random.Generator) -> None:
        expect_groups("GroupedDense", channels, groups)
        size = channels // groups
        biases = {"bias": np.zeros((groups, size), np.float32)} if bias else {}
        super().__init__(gate, {"weight": he_normal(rng, (groups, size, size), fan_in=size)} | biases)

    def logits(self, z: Array) -> tuple[Array, Backward]:
        ops, w, b = active(), self.parameters["weight"], self.parameters.get("bias")
        grouped = (z.shape[0], w.shape[0], w.shape[2])            # (N, G, D)
        zg = reshape(z, grouped)

        def backward(da: Array) -> tuple[Array, Gradients]:
            dz, dw, db = ops.grouped_dense_backward(reshape(da, grouped), zg, w)
            return reshape(dz, z.shape), {"weight": dw} if b is None else {"weight": dw, "bias": db}
        return reshape(ops.grouped_dense(zg, w, b), z.shape), backward


class ECA(Excitation):
    """s = gate(w * z), a convolution along the channels: efficient channel attention, arXiv 1910.03151.

    Parameters
    ----------
    channels : int
    kernel : int, optional
        The number of weights, odd; by default it grows with the logarithm of the channels, `eca_kernel`.
    circular : bool
        Whether the channels are a circle, so that the first is a neighbour of the last.
    """

    def __init__(self, channels: int, kernel: int | None = None, circular: bool = False, gate: str = "sigmoid", *,
                 rng: np.random.Generator) -> None:
        expect_sizes("ECA", channels=channels, kernel=1 if kernel is None else kernel)
        kernel = eca_kernel(channels) if kernel is None else kernel
        super().__init__(gate, {"weight": he_normal(rng, (kernel,), fan_in=2 * kernel)})
        self.circular = circular

    def logits(self, z: Array) -> tuple[Array, Backward]:
        ops, w = active(), self.parameters["weight"]

        def backward(da: Array) -> tuple[Array, Gradients]:
            dz, dw = ops.eca_backward(da, z, w, self.circular)
            return dz, {"weight": dw}
        return ops.eca(z, w, self.circular), backward


def eca_kernel(channels: int) -> int:
    """Return the number of weights for so many channels: (log2(C) + 1) / 2, rounded down, and made odd by adding 1."""
    size = int((math.log2(channels) + 1) / 2)
    return size + 1 - size % 2


class LinearContext(Excitation):
    """s = gate(w * zhat + b), zhat normalized over the channels of a group: linear context transform, arXiv 1909.03834.

    At first w = 0 and b = 1, so all gates are equal.
    """

    def __init__(self, channels: int, groups: int = 4, gate: str = "sigmoid") -> None:
        expect_groups("LinearContext", channels, groups)
        super().__init__(gate, {"weight": np.zeros(channels, np.float32), "bias": np.ones(channels, np.float32)})
        self.groups = groups

    def logits(self, z: Array) -> tuple[Array, Backward]:
        ops, w, b = active(), self.parameters["weight"], self.parameters["bias"]
        grouped = (z.shape[0], self.groups, z.shape[1] // self.groups)
        zg = reshape(z, grouped)
        zhat = reshape(ops.channel_norm(zg), z.shape)

        def backward(da: Array) -> tuple[Array, Gradients]:
            dzhat, dw, db = ops.per_channel_backward(da, zhat, w)
            return reshape(ops.channel_norm_backward(reshape(dzhat, grouped), zg), z.shape), {"weight": dw, "bias": db}
        return ops.per_channel(zhat, w, b), backward


class GaussianContext(Excitation):
    """s = exp(-zhat^2 / (2 c^2)) with c = 2, zhat normalized over all channels: Gaussian context (CVPR 2021).

    It has no parameters and no gate.
    """

    def excite(self, z: Array) -> tuple[Array, Backward]:
        ops = active()
        one_group = (z.shape[0], 1, z.shape[1])
        zg = reshape(z, one_group)
        zhat = ops.channel_norm(zg)
        s = ops.gaussian(zhat)

        def backward(ds: Array) -> tuple[Array, Gradients]:
            dzhat = ops.gaussian_backward(reshape(ds, one_group), zhat, s)
            return reshape(ops.channel_norm_backward(dzhat, zg), z.shape), {}
        return reshape(s, z.shape), backward


def expect_groups(layer: str, channels: int, groups: int) -> None:
    """Raise ValueError unless the groups divide the channels."""
    expect_sizes(layer, channels=channels, groups=groups)
    if channels % groups:
        raise ValueError(f"{layer}: {groups} groups do not divide {channels} channels")


class Build(Protocol):
    """Makes an excitation for so many channels; each takes what it needs of the options of a model."""

    def __call__(self, channels: int, reduction: int, min_hidden: int, bias: bool, gate: str,
                 rng: np.random.Generator) -> Excitation:
        """Return the layer."""


EXCITATIONS: dict[str, Build] = {
    "se": lambda channels, reduction, min_hidden, bias, gate, rng: SqueezeExcite(
        channels, reduction, min_hidden, bias, gate, rng=rng),
    "none": lambda channels, reduction, min_hidden, bias, gate, rng: NoWeights(gate),
    "per_channel": lambda channels, reduction, min_hidden, bias, gate, rng: PerChannel(channels, bias, gate),
    "dense": lambda channels, reduction, min_hidden, bias, gate, rng: OneDense(channels, bias, gate, rng=rng),
    "grouped_dense": lambda channels, reduction, min_hidden, bias, gate, rng: GroupedDense(
        channels, reduction, bias, gate, rng=rng),
    "eca": lambda channels, reduction, min_hidden, bias, gate, rng: ECA(channels, gate=gate, rng=rng),
    "eca_circular": lambda channels, reduction, min_hidden, bias, gate, rng: ECA(
        channels, circular=True, gate=gate, rng=rng),
    "linear_context": lambda channels, reduction, min_hidden, bias, gate, rng: LinearContext(channels, reduction, gate),
    "gaussian_context": lambda channels, reduction, min_hidden, bias, gate, rng: GaussianContext(),
}


def make_excitation(name: str, channels: int, *, reduction: int = 4, min_hidden: int = 4, bias: bool = False,
                    gate: str = "sigmoid", rng: np.random.Generator) -> Excitation:
    """Make a structure by its name; ``reduction`` is the number of groups of those that have groups.

    Raises
    ------
    ValueError
        An unknown name or gate, or sizes that do not fit.
    """
    if name not in EXCITATIONS:
        raise ValueError(f"unknown excitation {name!r}; {suggest(name, EXCITATIONS)}")
    return EXCITATIONS[name](channels, reduction, min_hidden, bias, gate, rng)
