"""Gates from one number for each channel, z (N, C): no weights, a weight for each channel, dense layers, ECA.

Each class is a structure in place of the two dense layers; its ops are a chapter of the book.
"""

import math

import numpy as np

from npse.backend import reshape
from npse.layers.basic import Dense, expect_sizes, he_normal
from npse.layers.excitation import SqueezedGates
from npse.layers.layer import active, prefixed
from npse.types import Array, Backward, Gradients


class NoWeights(SqueezedGates):
    """s = gate(z): no parameters. SE-Var1 in arXiv 1910.03151, GE-theta-minus in arXiv 1810.12348."""

    def __init__(self, gate: str = "sigmoid") -> None:
        super().__init__(gate)

    def logits(self, z: Array) -> tuple[Array, Backward]:
        return z, lambda da: (da, {})


class PerChannel(SqueezedGates):
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


class OneDense(SqueezedGates):
    """s = gate(W z + b): one dense layer without reduction. SE-Var3 in arXiv 1910.03151, eSE in arXiv 1911.06667."""

    def __init__(self, channels: int, bias: bool = False, gate: str = "sigmoid", *, rng: np.random.Generator) -> None:
        super().__init__(gate, children={"fc": Dense(channels, channels, bias=bias, rng=rng)})

    def logits(self, z: Array) -> tuple[Array, Backward]:
        a, fc_backward = self.children["fc"](z)

        def backward(da: Array) -> tuple[Array, Gradients]:
            dz, gradients = fc_backward(da)
            return dz, prefixed("fc", gradients)
        return a, backward


class GroupedDense(SqueezedGates):
    """s = gate(W z + b) with a dense layer for each group of channels. SE-GC in arXiv 1910.03151.

    Parameters
    ----------
    channels : int
    reduction : int
        The number G of groups, which divides the channels: the weights are C^2 / G numbers.
    """

    def __init__(self, channels: int, reduction: int = 4, bias: bool = False, gate: str = "sigmoid", *,
                 rng: np.random.Generator) -> None:
        groups = reduction
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


class ECA(SqueezedGates):
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
            dz, dw = ops.channel_conv_backward(da, z, w, self.circular)
            return dz, {"weight": dw}
        return ops.channel_conv(z, w, self.circular), backward


def eca_kernel(channels: int) -> int:
    """Return the number of weights for so many channels: (log2(C) + 1) / 2, rounded down, and made odd by adding 1."""
    size = int((math.log2(channels) + 1) / 2)
    return size + 1 - size % 2


def expect_groups(layer: str, channels: int, groups: int) -> None:
    """Raise ValueError unless the groups divide the channels."""
    expect_sizes(layer, channels=channels, groups=groups)
    if channels % groups:
        raise ValueError(f"{layer}: {groups} groups do not divide {channels} channels")
