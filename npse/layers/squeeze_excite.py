"""The squeeze-and-excitation layer (arXiv 1709.01507): a gate for each channel, computed from all channels."""

import numpy as np

from npse.layers.basic import Dense, expect_sizes
from npse.layers.excitation import Excitation
from npse.layers.layer import active, prefixed
from npse.types import Array, Backward, Gradients


class SqueezeExcite(Excitation):
    """Recalibrate channels: y = s * x with s = gate(W2 delta(W1 mean(x))), (N, H, W, C) -> (N, H, W, C).

    Parameters
    ----------
    channels : int, C
    reduction : int, r; the hidden layer has C // r units
    min_hidden : int, the smallest number of hidden units. With one hidden unit and inputs of mean zero, the ReLU is off
        for half of the images, and their gates are exactly 1/2
    bias : bool, whether the two dense layers have biases; the paper's formula has none, its released models have
    gate : str, see `Excitation`; the paper's is the sigmoid

    Raises
    ------
    ValueError
        A size is not an integer of at least 1, the reduction is larger than the number of channels, or the gate is
        unknown.
    """

    def __init__(self, channels: int, reduction: int = 4, min_hidden: int = 4, bias: bool = False,
                 gate: str = "sigmoid", *, rng: np.random.Generator) -> None:
        expect_sizes("SqueezeExcite", channels=channels, reduction=reduction, min_hidden=min_hidden)
        if reduction > channels:
            raise ValueError(f"SqueezeExcite: reduction {reduction} is larger than the {channels} channels it divides; "
                             f"use a reduction of at most {channels}")
        hidden = max(channels // reduction, min_hidden)
        super().__init__(gate, children={"fc1": Dense(channels, hidden, bias=bias, rng=rng),
                                         "fc2": Dense(hidden, channels, bias=bias, rng=rng)})

    def logits(self, z: Array) -> tuple[Array, Backward]:
        ops = active()
        hidden, fc1_backward = self.children["fc1"](z)
        h = ops.relu(hidden)
        a, fc2_backward = self.children["fc2"](h)

        def backward(da: Array) -> tuple[Array, Gradients]:
            dh, second = fc2_backward(da)
            dz, first = fc1_backward(ops.relu_backward(dh, h))
            return dz, prefixed("fc1", first) | prefixed("fc2", second)
        return a, backward

    def excite(self, z: Array) -> tuple[Array, Backward]:
        """Return ``s, backward``; with the sigmoid by one op."""
        if self.gate != "sigmoid":
            return super().excite(z)
        ops = active()
        fc1, fc2 = (self.children[name].parameters for name in ("fc1", "fc2"))
        w1, b1, w2, b2 = fc1["weight"], fc1.get("bias"), fc2["weight"], fc2.get("bias")
        s = ops.excite(z, w1, w2, b1, b2)

        def backward(ds: Array) -> tuple[Array, Gradients]:
            dz, dw1, dw2, db1, db2 = ops.excite_backward(ds, z, s, w1, w2, b1)
            first, second = {"weight": dw1}, {"weight": dw2}
            if b1 is not None:
                first["bias"], second["bias"] = db1, db2
            return dz, prefixed("fc1", first) | prefixed("fc2", second)
        return s, backward
