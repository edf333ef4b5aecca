"""The squeeze-and-excitation layer (arXiv 1709.01507): a gate for each channel, computed from all channels."""

from typing import Self

import numpy as np

from npse.backend import reshape
from npse.layers.basic import Dense, expect_sizes
from npse.layers.batch_norm import BatchNormReLU
from npse.layers.excitation import SqueezedGates
from npse.layers.layer import active, prefixed
from npse.types import Array, Backward, Gradients


class SqueezeExcite(SqueezedGates):
    """Recalibrate channels: y = s * x with s = gate(W2 delta(W1 mean(x))), (N, H, W, C) -> (N, H, W, C).

    Parameters
    ----------
    channels : int, C
    reduction : int, r; the hidden layer has C // r units
    min_hidden : int, the smallest number of hidden units. With one hidden unit and inputs of mean zero, the ReLU is off
        for half of the images, and their gates are exactly 1/2
    bias : bool, whether the two dense layers have biases; the paper's formula has none, its released models have
    gate : str, see `SqueezedGates`; the paper's is the sigmoid
    hidden_norm : bool, whether a batch norm follows the first dense layer; its arrays are named ``bn.*``

    Raises
    ------
    ValueError
        A size is not an integer of at least 1, the reduction is larger than the number of channels, or the gate is
        unknown.
    """

    def __init__(self, channels: int, reduction: int = 4, min_hidden: int = 4, bias: bool = False,
                 gate: str = "sigmoid", hidden_norm: bool = False, *, rng: np.random.Generator) -> None:
        hidden = hidden_units("SqueezeExcite", channels, reduction, min_hidden)
        self.norm = BatchNormReLU(hidden) if hidden_norm else None
        self.activation = "relu"
        super().__init__(gate, children={"fc1": Dense(channels, hidden, bias=bias, rng=rng),
                                         **({"bn": self.norm} if self.norm else {}),
                                         "fc2": Dense(hidden, channels, bias=bias, rng=rng)})

    def activated_by(self, activation: str) -> Self:
        """Take another activation of the hidden layer, "relu" or "silu"; return the layer.

        The batch norm of a hidden layer keeps its ReLU.
        """
        self.activation = "relu" if self.norm else activation
        return self

    def logits(self, z: Array) -> tuple[Array, Backward]:
        hidden, fc1_backward = self.children["fc1"](z)
        h, hidden_backward = self._activated(hidden)
        a, fc2_backward = self.children["fc2"](h)

        def backward(da: Array) -> tuple[Array, Gradients]:
            dh, second = fc2_backward(da)
            dhidden, of_norm = hidden_backward(dh)
            dz, first = fc1_backward(dhidden)
            return dz, prefixed("fc1", first) | prefixed("bn", of_norm) | prefixed("fc2", second)
        return a, backward

    def _activated(self, hidden: Array) -> tuple[Array, Backward]:
        """Return ``h, backward``: the activation of the hidden layer (N, M), after its batch norm if there is one."""
        ops = active()
        if self.activation == "silu":
            return ops.silu(hidden), lambda dh: (ops.silu_backward(dh, hidden), {})
        if self.norm is None:
            h = ops.relu(hidden)
            return h, lambda dh: (ops.relu_backward(dh, h), {})
        one_pixel = (hidden.shape[0], 1, 1, hidden.shape[1])
        y, norm_backward = self.norm(reshape(hidden, one_pixel))

        def backward(dh: Array) -> tuple[Array, Gradients]:
            dhidden, gradients = norm_backward(reshape(dh, one_pixel))
            return reshape(dhidden, hidden.shape), gradients
        return reshape(y, hidden.shape), backward

    def weights(self) -> tuple[Array | None, ...] | None:
        return self._weights() if self._is_formula() else None

    def _is_formula(self) -> bool:
        return self.gate == "sigmoid" and not self.norm and self.activation == "relu"

    def _weights(self) -> tuple[Array, Array, Array | None, Array | None]:
        fc1, fc2 = (self.children[name].parameters for name in ("fc1", "fc2"))
        return fc1["weight"], fc2["weight"], fc1.get("bias"), fc2.get("bias")

    def excite(self, z: Array) -> tuple[Array, Backward]:
        """Return ``s, backward``; by one op if the paper's formula is asked for."""
        if not self._is_formula():
            return super().excite(z)
        ops = active()
        w1, w2, b1, b2 = self._weights()
        s = ops.excite(z, w1, w2, b1, b2)

        def backward(ds: Array) -> tuple[Array, Gradients]:
            dz, dw1, dw2, db1, db2 = ops.excite_backward(ds, z, s, w1, w2, b1)
            first, second = {"weight": dw1}, {"weight": dw2}
            if b1 is not None:
                first["bias"], second["bias"] = db1, db2
            return dz, prefixed("fc1", first) | prefixed("fc2", second)
        return s, backward


def hidden_units(layer: str, channels: int, reduction: int, min_hidden: int) -> int:
    """Return max(channels // reduction, min_hidden); ValueError unless all are integers of at least 1 that fit."""
    expect_sizes(layer, channels=channels, reduction=reduction, min_hidden=min_hidden)
    if reduction > channels:
        raise ValueError(f"{layer}: reduction {reduction} is larger than the {channels} channels it divides; "
                         f"use a reduction of at most {channels}")
    return max(channels // reduction, min_hidden)
