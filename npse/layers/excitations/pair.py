"""Gates for channels from two numbers for each channel: the mean, and the maximum or the standard deviation."""

import numpy as np

from npse.backend import reshape
from npse.layers.batch_norm import BatchNorm
from npse.layers.excitation import ChannelGates, expect_gate, gated
from npse.layers.layer import active, prefixed
from npse.layers.squeeze_excite import SqueezeExcite
from npse.types import Array, Backward, Gradients


class MeanMaxGates(ChannelGates):
    """s = gate(MLP(mean) + MLP(max)), with one MLP for both: the channel gate of CBAM, arXiv 1807.06521.

    Parameters
    ----------
    channels, reduction, min_hidden, bias, gate, hidden_norm, rng : see `SqueezeExcite`
    """

    def __init__(self, channels: int, reduction: int = 4, min_hidden: int = 4, bias: bool = False,
                 gate: str = "sigmoid", hidden_norm: bool = False, *, rng: np.random.Generator) -> None:
        self.mlp = SqueezeExcite(channels, reduction, min_hidden, bias, gate, hidden_norm, rng=rng)
        self.gate = gate
        super().__init__(children=self.mlp.children)

    def gates(self, u: Array) -> tuple[Array, Backward]:
        ops, (N, _, _, C) = active(), u.shape
        one_image, both, maps = (1, N, C), (2 * N, C), (N, 1, 1, C)
        z = ops.join_rows(*(reshape(part, one_image) for part in (ops.squeeze(u), ops.global_max_pool(u))))
        a, mlp_backward = self.mlp.logits(reshape(z, both))                  # the MLP sees a batch of 2N rows
        of_mean, of_max = ops.split_rows(reshape(a, (1, 2 * N, 1, C)), N)
        s, gate_backward = gated(self.gate, reshape(ops.add(reshape(of_mean, maps), reshape(of_max, maps)), (N, C)))

        def backward(ds: Array) -> tuple[Array, Gradients]:
            da = reshape(gate_backward(ds), one_image)
            dz, gradients = mlp_backward(reshape(ops.join_rows(da, da), both))
            d_mean, d_max = ops.split_rows(reshape(dz, (1, 2 * N, 1, C)), N)
            du = ops.global_max_pool_backward(reshape(d_max, (N, C)), u)
            return ops.add_squeeze_backward(du, reshape(d_mean, (N, C))), gradients
        return s, backward


class StyleGates(ChannelGates):
    """s = gate(BN(w1 * mean + w2 * deviation)): style-based recalibration, SRM, arXiv 1903.10829.

    Parameters
    ----------
    channels : int
    gate : str
    """

    def __init__(self, channels: int, gate: str = "sigmoid") -> None:
        expect_gate(gate)
        self.gate, self.norm = gate, BatchNorm(channels)
        super().__init__({"weight_mean": np.ones(channels, np.float32), "weight_std": np.zeros(channels, np.float32)},
                         children={"bn": self.norm})

    def gates(self, u: Array) -> tuple[Array, Backward]:
        ops, (N, _, _, C) = active(), u.shape
        w1, w2, maps = self.parameters["weight_mean"], self.parameters["weight_std"], (N, 1, 1, C)
        mean, std = ops.squeeze(u), ops.deviation(u)
        style = ops.add(*(reshape(ops.per_channel(z, w), maps) for z, w in ((mean, w1), (std, w2))))
        a, norm_backward = self.norm(style)
        s, gate_backward = gated(self.gate, reshape(a, (N, C)))

        def backward(ds: Array) -> tuple[Array, Gradients]:
            dstyle, of_norm = norm_backward(reshape(gate_backward(ds), maps))
            dstyle = reshape(dstyle, (N, C))
            dmean, dw1, _ = ops.per_channel_backward(dstyle, mean, w1)
            dstd, dw2, _ = ops.per_channel_backward(dstyle, std, w2)
            du = ops.add_squeeze_backward(ops.deviation_backward(dstd, u, std), dmean)
            return du, {"weight_mean": dw1, "weight_std": dw2} | prefixed("bn", of_norm)
        return s, backward
