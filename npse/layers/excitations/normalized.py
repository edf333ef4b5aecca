"""Gates from channels that are compared with each other: normalized over the channels of an image."""

import numpy as np

from npse.backend import reshape
from npse.layers.basic import expect_sizes
from npse.layers.excitation import ChannelGates, SqueezedGates
from npse.layers.excitations.channelwise import expect_groups
from npse.layers.layer import active
from npse.types import Array, Backward, Gradients


class LinearContext(SqueezedGates):
    """s = gate(w * zhat + b), zhat normalized over the channels of a group: linear context transform, arXiv 1909.03834.

    At first w = 0 and b = 1, so all gates are equal.

    Parameters
    ----------
    channels : int
    reduction : int
        The number of groups, which divides the channels.
    """

    def __init__(self, channels: int, reduction: int = 4, gate: str = "sigmoid") -> None:
        expect_groups("LinearContext", channels, reduction)
        super().__init__(gate, {"weight": np.zeros(channels, np.float32), "bias": np.ones(channels, np.float32)})
        self.groups = reduction

    def logits(self, z: Array) -> tuple[Array, Backward]:
        ops, w, b = active(), self.parameters["weight"], self.parameters["bias"]
        grouped = (z.shape[0], self.groups, z.shape[1] // self.groups)
        zg = reshape(z, grouped)
        zhat = reshape(ops.channel_norm(zg), z.shape)

        def backward(da: Array) -> tuple[Array, Gradients]:
            dzhat, dw, db = ops.per_channel_backward(da, zhat, w)
            return reshape(ops.channel_norm_backward(reshape(dzhat, grouped), zg), z.shape), {"weight": dw, "bias": db}
        return ops.per_channel(zhat, w, b), backward


class GaussianContext(SqueezedGates):
    """s = exp(-zhat^2 / (2 c^2)) with c = 2, zhat normalized over all channels: Gaussian context (CVPR 2021).

    It has no parameters and no gate.
    """

    def __init__(self) -> None:
        super().__init__()

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


class GatedChannels(ChannelGates):
    """s = 1 + tanh(gamma * E / rms(E) + beta), E = alpha * norm of each map: gated channel transformation.

    GCT, arXiv 1909.11519. The root mean square is taken over the channels of an image, so channels compete or work
    together. At first alpha = 1, gamma = beta = 0, and the layer is the identity.

    Parameters
    ----------
    channels : int
    """

    def __init__(self, channels: int) -> None:
        expect_sizes("GatedChannels", channels=channels)
        self.gate = "one_plus_tanh"
        super().__init__({"alpha": np.ones(channels, np.float32), "gamma": np.zeros(channels, np.float32),
                          "beta": np.zeros(channels, np.float32)})

    def gates(self, u: Array) -> tuple[Array, Backward]:
        ops = active()
        alpha, gamma, beta = (self.parameters[name] for name in ("alpha", "gamma", "beta"))
        norms = ops.norm_squeeze(u)
        embedded = ops.per_channel(norms, alpha)
        compared = ops.channel_rms(embedded)
        s = ops.one_plus_tanh(ops.per_channel(compared, gamma, beta))

        def backward(ds: Array) -> tuple[Array, Gradients]:
            dcompared, dgamma, dbeta = ops.per_channel_backward(ops.one_plus_tanh_backward(ds, s), compared, gamma)
            dnorms, dalpha, _ = ops.per_channel_backward(ops.channel_rms_backward(dcompared, embedded), norms, alpha)
            return ops.norm_squeeze_backward(dnorms, u, norms), {"alpha": dalpha, "gamma": dgamma, "beta": dbeta}
        return s, backward
