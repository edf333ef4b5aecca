"""The block of global context: it adds a number to each channel instead of scaling it."""

import numpy as np

from npse.backend import reshape
from npse.layers.basic import Dense
from npse.layers.excitation import Excitation
from npse.layers.layer import active, prefixed
from npse.layers.squeeze_excite import hidden_units
from npse.layers.squeezes import AttentionPool
from npse.types import Array, Backward, Gradients


class GlobalContext(Excitation):
    """y = u + W2 relu(LN(W1 z)), z = sum over pixels of softmax(k . u) u: the GC block, arXiv 1904.11492.

    LN normalizes over the hidden units of an image, and has a weight and a bias for each unit. At first W2 = 0, so the
    block is the identity.

    Parameters
    ----------
    channels, reduction, min_hidden, bias : see `npse.layers.SqueezeExcite`
    rng : Generator, draws the weights
    """

    def __init__(self, channels: int, reduction: int = 4, min_hidden: int = 4, bias: bool = False, *,
                 rng: np.random.Generator) -> None:
        hidden = hidden_units("GlobalContext", channels, reduction, min_hidden)
        self.squeeze = AttentionPool(channels, rng=rng)
        self.fc1, self.fc2 = (Dense(*sizes, bias=bias, rng=rng)
                              for sizes in ((channels, hidden), (hidden, channels)))
        self.fc2.parameters["weight"][:] = 0
        super().__init__({"norm_weight": np.ones(hidden, np.float32), "norm_bias": np.zeros(hidden, np.float32)},
                         children={"attention": self.squeeze, "fc1": self.fc1, "fc2": self.fc2})

    def __call__(self, u: Array) -> tuple[Array, Backward]:
        ops, gamma, beta = active(), self.parameters["norm_weight"], self.parameters["norm_bias"]
        z, squeeze_backward = self.squeeze(u)
        hidden, fc1_backward = self.fc1(z)                                   # (N, M)
        one_group = (hidden.shape[0], 1, hidden.shape[1])
        grouped = reshape(hidden, one_group)
        normed = reshape(ops.channel_norm(grouped), hidden.shape)
        h = ops.relu(ops.per_channel(normed, gamma, beta))
        t, fc2_backward = self.fc2(h)

        def backward(dy: Array) -> tuple[Array, Gradients]:
            du, dt = ops.shift_backward(dy)
            dh, second = fc2_backward(dt)
            dnormed, dgamma, dbeta = ops.per_channel_backward(ops.relu_backward(dh, h), normed, gamma)
            dhidden = ops.channel_norm_backward(reshape(dnormed, one_group), grouped)
            dz, first = fc1_backward(reshape(dhidden, hidden.shape))
            through_context, of_squeeze = squeeze_backward(dz)
            return ops.add(du, through_context), (
                {"norm_weight": dgamma, "norm_bias": dbeta} | prefixed("attention", of_squeeze)
                | prefixed("fc1", first) | prefixed("fc2", second))
        return ops.shift(u, t), backward
