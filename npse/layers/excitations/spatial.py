"""Excitations with a gate for each pixel, for each row and column, or for each element of a map."""

from collections.abc import Callable

import numpy as np

from npse.backend import reshape
from npse.layers.basic import Conv2d, Dense
from npse.layers.batch_norm import BatchNorm, BatchNormReLU
from npse.layers.excitation import ELEMENTWISE_GATES, Excitation, expect_gate, gated
from npse.layers.excitations.pair import MeanMaxGates
from npse.layers.layer import active, prefixed
from npse.layers.sequential import Sequential
from npse.layers.squeeze_excite import SqueezeExcite, hidden_units
from npse.types import Array, Backward, Gradients


class PixelGates(Excitation):
    """y = gate(q . u) * u, a gate for each pixel: the spatial squeeze-and-excitation sSE, arXiv 1803.02579.

    Parameters
    ----------
    channels : int
    gate : str, one of `npse.layers.excitation.ELEMENTWISE_GATES`
    rng : Generator, draws the weights q
    """

    def __init__(self, channels: int, gate: str = "sigmoid", *, rng: np.random.Generator) -> None:
        expect_gate(gate, ELEMENTWISE_GATES)
        self.gate, self.conv = gate, Conv2d(channels, 1, 1, rng=rng)
        super().__init__(children={"conv": self.conv})

    def gates(self, u: Array) -> tuple[Array, Backward]:
        """Return ``s, backward``: the gates (N, H, W), and du, gradients = backward(ds), du being the part by s."""
        a, conv_backward = self.conv(u)
        s, gate_backward = gated(self.gate, a)

        def backward(ds: Array) -> tuple[Array, Gradients]:
            du, gradients = conv_backward(gate_backward(reshape(ds, a.shape)))
            return du, prefixed("conv", gradients)
        return reshape(s, u.shape[:3]), backward

    def __call__(self, u: Array) -> tuple[Array, Backward]:
        return _scaled_pixels(u, *self.gates(u))


class SpatialGates(Excitation):
    """y = gate(BN(conv7x7([max; mean] over the channels))) * u: the spatial gate of CBAM, arXiv 1807.06521.

    Parameters
    ----------
    gate : str, one of `npse.layers.excitation.ELEMENTWISE_GATES`
    kernel : int, of the convolution, odd
    rng : Generator, draws the weights
    """

    def __init__(self, gate: str = "sigmoid", kernel: int = 7, *, rng: np.random.Generator) -> None:
        expect_gate(gate, ELEMENTWISE_GATES)
        self.gate = gate
        self.logits = Sequential({"conv": Conv2d(2, 1, kernel, rng=rng), "bn": BatchNorm(1)})
        super().__init__(children=self.logits.children)

    def gates(self, u: Array) -> tuple[Array, Backward]:
        """Return ``s, backward``: the gates (N, H, W), and du, gradients = backward(ds), du being the part by s."""
        ops = active()
        a, logits_backward = self.logits(ops.channel_pool(u))
        s, gate_backward = gated(self.gate, a)

        def backward(ds: Array) -> tuple[Array, Gradients]:
            dpooled, gradients = logits_backward(gate_backward(reshape(ds, a.shape)))
            return ops.channel_pool_backward(dpooled, u), gradients
        return reshape(s, u.shape[:3]), backward

    def __call__(self, u: Array) -> tuple[Array, Backward]:
        return _scaled_pixels(u, *self.gates(u))


def _scaled_pixels(u: Array, s: Array, gates_backward: Backward) -> tuple[Array, Backward]:
    """Return y = s * u, with gates s (N, H, W) that are computed from u, and the backward pass."""
    ops = active()

    def backward(dy: Array) -> tuple[Array, Gradients]:
        du, ds = ops.scale_pixels_backward(dy, u, s)
        through_gates, gradients = gates_backward(ds)
        return ops.add(du, through_gates), gradients
    return ops.scale_pixels(u, s), backward


class CBAM(Excitation):
    """Gates for channels, then gates for pixels: the convolutional block attention module, arXiv 1807.06521.

    Parameters
    ----------
    channels, reduction, min_hidden, bias, gate, hidden_norm, rng : see `SqueezeExcite`; the gate is for both
    """

    def __init__(self, channels: int, reduction: int = 4, min_hidden: int = 4, bias: bool = False,
                 gate: str = "sigmoid", hidden_norm: bool = False, *, rng: np.random.Generator) -> None:
        self.parts = Sequential({
            "channel": MeanMaxGates(channels, reduction, min_hidden, bias, gate, hidden_norm, rng=rng),
            "spatial": SpatialGates(gate, rng=rng)})
        super().__init__(children=self.parts.children)

    def __call__(self, u: Array) -> tuple[Array, Backward]:
        return self.parts(u)


class ConcurrentGates(Excitation):
    """y = s * u + q * u, with gates s for channels and q for pixels: concurrent SE, scSE, arXiv 1803.02579.

    Parameters
    ----------
    channels, reduction, min_hidden, bias, gate, hidden_norm, rng : see `SqueezeExcite`; the gate is for both
    larger : bool
        Whether y is the larger of s * u and q * u instead of their sum, as in the authors' code.
    """

    def __init__(self, channels: int, reduction: int = 4, min_hidden: int = 4, bias: bool = False,
                 gate: str = "sigmoid", hidden_norm: bool = False, larger: bool = False, *,
                 rng: np.random.Generator) -> None:
        self.channel = SqueezeExcite(channels, reduction, min_hidden, bias, gate, hidden_norm, rng=rng)
        self.pixel = PixelGates(channels, gate, rng=rng)
        self.larger = larger
        super().__init__(children={"channel": self.channel, "pixel": self.pixel})

    def __call__(self, u: Array) -> tuple[Array, Backward]:
        ops = active()
        by_channel, channel_backward = self.channel(u)
        by_pixel, pixel_backward = self.pixel(u)

        def backward(dy: Array) -> tuple[Array, Gradients]:
            d_channel, d_pixel = (ops.maximum_backward(dy, by_channel, by_pixel) if self.larger
                                  else ops.add_backward(dy))
            du, of_channel = channel_backward(d_channel)
            more, of_pixel = pixel_backward(d_pixel)
            return ops.add(du, more), prefixed("channel", of_channel) | prefixed("pixel", of_pixel)
        return (ops.maximum if self.larger else ops.add)(by_channel, by_pixel), backward


class BAM(Excitation):
    """y = u + sigmoid(a + b) * u, a for channels and b for pixels: the bottleneck attention module, arXiv 1807.06514.

    a is a dense layer, batch norm, ReLU and a dense layer on the means. b is a 1x1 convolution to the hidden width, two
    3x3 convolutions of dilation 4, each with batch norm and ReLU, and a 1x1 convolution to one channel. The paper adds
    a and b; its authors' code multiplies their gates.

    Parameters
    ----------
    channels, reduction, min_hidden, gate, rng : see `SqueezeExcite`
    dilation : int
    """

    def __init__(self, channels: int, reduction: int = 4, min_hidden: int = 4, gate: str = "sigmoid",
                 dilation: int = 4, *, rng: np.random.Generator) -> None:
        expect_gate(gate, ELEMENTWISE_GATES)
        hidden = hidden_units("BAM", channels, reduction, min_hidden)
        self.gate = gate
        self.channel = SqueezeExcite(channels, reduction, min_hidden, bias=True, hidden_norm=True, rng=rng)
        dilated = {f"{name}{i}": layer for i in (1, 2) for name, layer in (
            ("conv", Conv2d(hidden, hidden, 3, dilation=dilation, rng=rng)), ("bn", BatchNormReLU(hidden)))}
        self.pixel = Sequential({"conv0": Conv2d(channels, hidden, 1, rng=rng), "bn0": BatchNormReLU(hidden), **dilated,
                                 "conv3": Conv2d(hidden, 1, 1, rng=rng)})
        super().__init__(children={"channel": self.channel, "pixel": self.pixel})

    def __call__(self, u: Array) -> tuple[Array, Backward]:
        ops = active()
        s, gates_backward = self.gates(u)
        y = ops.add(ops.multiply(u, s), u)

        def backward(dy: Array) -> tuple[Array, Gradients]:
            du, ds = ops.multiply_backward(dy, u, s)
            through_gates, gradients = gates_backward(ds)
            return ops.add(ops.add(du, dy), through_gates), gradients
        return y, backward

    def gates(self, u: Array) -> tuple[Array, Backward]:
        """Return ``s, backward``: the gates (N, H, W, C), and du, gradients = backward(ds), du being the part by s."""
        ops = active()
        a, channel_backward = self.channel.logits(ops.squeeze(u))
        b, pixel_backward = self.pixel(u)
        s, gate_backward = gated(self.gate, ops.outer_sum(a, reshape(b, u.shape[:3])))

        def backward(ds: Array) -> tuple[Array, Gradients]:
            da, db = ops.outer_sum_backward(gate_backward(ds))
            dz, of_channel = channel_backward(da)
            through_pixel, of_pixel = pixel_backward(reshape(db, b.shape))
            du = ops.add_squeeze_backward(through_pixel, dz)
            return du, prefixed("channel", of_channel) | prefixed("pixel", of_pixel)
        return s, backward


class NoSqueeze(Excitation):
    """y = gate(W2 relu(W1 u)) * u at each pixel: the paper's control without the squeeze, table 16 of arXiv 1709.01507.

    Parameters
    ----------
    channels, reduction, min_hidden, bias, gate, rng : see `SqueezeExcite`
    """

    def __init__(self, channels: int, reduction: int = 4, min_hidden: int = 4, bias: bool = False,
                 gate: str = "sigmoid", *, rng: np.random.Generator) -> None:
        expect_gate(gate, ELEMENTWISE_GATES)
        self.gate, self.pixels = gate, SqueezeExcite(channels, reduction, min_hidden, bias, rng=rng)
        super().__init__(children=self.pixels.children)

    def gates(self, u: Array) -> tuple[Array, Backward]:
        """Return ``s, backward``: the gates (N, H, W, C), and du, gradients = backward(ds), du being the part by s."""
        N, H, W, C = u.shape
        a, logits_backward = self.pixels.logits(reshape(u, (N * H * W, C)))      # every pixel is a row
        s, gate_backward = gated(self.gate, reshape(a, u.shape))

        def backward(ds: Array) -> tuple[Array, Gradients]:
            du, gradients = logits_backward(reshape(gate_backward(ds), a.shape))
            return reshape(du, u.shape), gradients
        return s, backward

    def __call__(self, u: Array) -> tuple[Array, Backward]:
        ops = active()
        s, gates_backward = self.gates(u)

        def backward(dy: Array) -> tuple[Array, Gradients]:
            du, ds = ops.multiply_backward(dy, u, s)
            through_gates, gradients = gates_backward(ds)
            return ops.add(du, through_gates), gradients
        return ops.multiply(u, s), backward


class SimAM(Excitation):
    """y = sigmoid((u - m)^2 / (4 (v + lam)) + 1/2) * u, m and v of each map: SimAM (ICML 2021), without parameters.

    Parameters
    ----------
    lam : float
    """

    def __init__(self, lam: float = 1e-4) -> None:
        super().__init__()
        self.lam = lam

    def __call__(self, u: Array) -> tuple[Array, Backward]:
        ops = active()
        return ops.simam(u, self.lam), lambda dy: (ops.simam_backward(dy, u, self.lam), {})


class CoordinateAttention(Excitation):
    """y = sh * sw * u, gates for rows and for columns: coordinate attention, arXiv 2103.02907.

    The means of all rows and columns pass one 1x1 convolution with batch norm and hard swish, then a convolution of
    their own.

    Parameters
    ----------
    channels, reduction, min_hidden : see `SqueezeExcite`; the paper has a reduction of 32, and at least 8 hidden units
    gate : str, one of `npse.layers.excitation.ELEMENTWISE_GATES`
    rng : Generator, draws the weights
    """

    def __init__(self, channels: int, reduction: int = 4, min_hidden: int = 4, gate: str = "sigmoid", *,
                 rng: np.random.Generator) -> None:
        expect_gate(gate, ELEMENTWISE_GATES)
        hidden = hidden_units("CoordinateAttention", channels, reduction, min_hidden)
        self.gate = gate
        self.shared = Sequential({"conv1": Conv2d(channels, hidden, 1, rng=rng), "bn1": BatchNorm(hidden)})
        self.ways = {name: Dense(hidden, channels, bias=False, rng=rng) for name in ("conv_h", "conv_w")}
        super().__init__(children={**self.shared.children, **self.ways})

    def gates(self, u: Array) -> tuple[tuple[Array, Array], Callable[[list[Array]], tuple[Array, Gradients]]]:
        """Return ``(sh, sw), backward``: gates (N, H, C) and (N, W, C), and du, gradients = backward([dsh, dsw])."""
        ops, (N, H, _, C) = active(), u.shape
        x, shared_backward = self.shared(ops.join_rows(*ops.axis_means(u)))      # (N, H + W, 1, M)
        parts = ops.split_rows(ops.hard_swish(x), H)                              # (N, H, M), (N, W, M)
        ways = []
        for (name, dense), part in zip(self.ways.items(), parts, strict=True):
            a, dense_backward = dense(reshape(part, (N * part.shape[1], part.shape[2])))
            s, gate_backward = gated(self.gate, a)
            ways.append((name, reshape(s, (N, part.shape[1], C)), dense_backward, gate_backward, part.shape, a.shape))
        sh, sw = (way[1] for way in ways)

        def backward(d_gates: list[Array]) -> tuple[Array, Gradients]:
            d_parts: list[Array] = []
            gradients: Gradients = {}
            for ds, (name, _, dense_backward, gate_backward, part, rows) in zip(d_gates, ways, strict=True):
                d_part, found = dense_backward(gate_backward(reshape(ds, rows)))
                d_parts.append(reshape(d_part, part))
                gradients |= prefixed(name, found)
            dx, of_shared = shared_backward(ops.hard_swish_backward(ops.join_rows(*d_parts), x))
            return ops.axis_means_backward(*ops.split_rows(dx, H)), gradients | of_shared
        return (sh, sw), backward

    def __call__(self, u: Array) -> tuple[Array, Backward]:
        ops = active()
        (sh, sw), gates_backward = self.gates(u)

        def backward(dy: Array) -> tuple[Array, Gradients]:
            du, *d_gates = ops.scale_axes_backward(dy, u, sh, sw)
            through_gates, gradients = gates_backward(d_gates)
            return ops.add(du, through_gates), gradients
        return ops.scale_axes(u, sh, sw), backward
