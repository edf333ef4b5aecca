"""Residual blocks with pre-activation (arXiv 1603.05027): batch norm and ReLU stand before each convolution.

    h = relu(batch_norm(x))     y = branch(h) + shortcut(x)           nothing follows the sum

If the block changes the shape of its input, its shortcut has a layer, which reads h like the branch does. The places
of an excitation:

    standard  at the end of the branch, before the sum
    pre       at the start of the branch, after the first batch norm and ReLU
    post      after the sum
    identity  on the shortcut
    3x3       after the batch norm and the ReLU that follow a 3x3 convolution: the first one of a basic block, the only
              one of a bottleneck
"""

from collections.abc import Callable, Sequence

import numpy as np

from npse.layers.basic import Conv2d
from npse.layers.batch_norm import BatchNormReLU
from npse.layers.block import PLACEMENTS, expect_placement, placed
from npse.layers.excitation import Excitation
from npse.layers.fused import Chain, ConvBNReLU, Fused, Named, channels_after, takes_means
from npse.layers.layer import Layer, active, prefixed
from npse.layers.sequential import Sequential
from npse.types import Array, Backward, Gradients


class PreActivationBlock(Layer):
    """y = branch(h) + shortcut, with h = relu(batch_norm(x)): (N, H, W, cin) -> (N, Ho, Wo, cout).

    Parameters
    ----------
    cin : int
    convolutions : sequence of Conv2d
        Named ``conv1``, ``conv2`` ...; the batch norm before each is ``bn1``, ``bn2`` ...
    middle : int
        After how many of them the excitation stands if its placement is "3x3".
    shortcut : Layer or None
        The layer on the shortcut, which gets h; None for the identity, which gets x. Its arrays are named
        ``downsample.*``.
    se : Excitation or None
    placement : str
        Where the excitation stands, see `npse.layers.preactivation`.
    before_last : Layer, optional
        A layer before the last convolution, such as dropout.

    Raises
    ------
    ValueError
        An unknown placement.
    """

    def __init__(self, cin: int, convolutions: Sequence[Conv2d], middle: int, shortcut: Layer | None,
                 se: Excitation | None, placement: str, before_last: Layer | None = None) -> None:
        expect_placement(placement)
        *inner, last = convolutions
        parts: list[Fused] = [ConvBNReLU(conv, BatchNormReLU(channels_after(conv)), (f"conv{k}", f"bn{k + 1}"))
                              for k, conv in enumerate(inner, start=1)]
        for name, layer in placed(se, placement, "pre", "3x3").items():
            parts.insert(0 if placement == "pre" else middle, Named(name, layer))
        if before_last:
            parts.append(Named("dropout", before_last))
        way: dict[str, Layer] = {} if shortcut is None else {"downsample": shortcut}
        self.norm, self.start = BatchNormReLU(cin), Chain(*parts)
        self.end = _ConvSEAdd(last, se if placement == "standard" else None, f"conv{len(convolutions)}")
        self.shortcut, self.shared = Sequential(way | placed(se, placement, "identity")), bool(way)
        self.after = Sequential(placed(se, placement, "post"))
        named = {name: layer for name, layer in (self.start.children | self.end.children).items() if layer is not se}
        super().__init__(children={"bn1": self.norm} | named | placed(se, placement, *PLACEMENTS) | way)

    def __call__(self, x: Array) -> tuple[Array, Backward]:
        ops = active()
        h, norm_backward = self.norm(x)
        r, shortcut_backward = self.shortcut(h if self.shared else x)
        g, start_backward = self.start(h)
        y, end_backward = self.end(g, r)
        y, after_backward = self.after(y)

        def backward(dy: Array) -> tuple[Array, Gradients]:
            dy, gradients = after_backward(dy)
            dg, dr, found = end_backward(dy)
            gradients |= found
            through_shortcut, found = shortcut_backward(dr)
            gradients |= found
            dh, found = start_backward.add(dg, through_shortcut) if self.shared else start_backward(dg)
            gradients |= found
            dx, found = norm_backward(dh)
            return dx if self.shared else ops.add(dx, through_shortcut), gradients | prefixed("bn1", found)
        return y, backward


class PreActivationBasic(PreActivationBlock):
    """A pre-activation block of two 3x3 convolutions, the first with a stride.

    Parameters
    ----------
    cin, cout, stride : int
    shortcut, se, placement, before_last : see `PreActivationBlock`
    rng : Generator
        Draws the weights.
    """

    def __init__(self, cin: int, cout: int, stride: int, shortcut: Layer | None, se: Excitation | None = None,
                 placement: str = "standard", before_last: Layer | None = None, *, rng: np.random.Generator) -> None:
        super().__init__(cin, [Conv2d(cin, cout, 3, stride, rng=rng), Conv2d(cout, cout, 3, rng=rng)], 1, shortcut, se,
                         placement, before_last)


class PreActivationBottleneck(PreActivationBlock):
    """A pre-activation block of 1x1, 3x3 and 1x1 convolutions.

    Parameters
    ----------
    cin, width, cout, stride : int
        ``width`` channels in the 3x3 convolution, which has the stride.
    shortcut, se, placement : see `PreActivationBlock`
    rng : Generator
        Draws the weights.
    """

    def __init__(self, cin: int, width: int, cout: int, stride: int, shortcut: Layer | None,
                 se: Excitation | None = None, placement: str = "standard", *, rng: np.random.Generator) -> None:
        super().__init__(cin, [Conv2d(cin, width, 1, rng=rng), Conv2d(width, width, 3, stride, rng=rng),
                               Conv2d(width, cout, 1, rng=rng)], 2, shortcut, se, placement)


class _ConvSEAdd(Fused):
    """y = se(conv2d(h)) + r, where r is the shortcut; dh, dr, gradients = backward(dy).

    The convolution sums its output while it is in cache, so the squeeze needs no pass over memory.
    """

    def __init__(self, conv: Conv2d, se: Excitation | None, name: str) -> None:
        super().__init__(**{name: conv, "se": se})
        self.conv, self.se, self.name = conv, se, name

    def __call__(self, h: Array, r: Array) -> tuple[Array, Callable[[Array], tuple[Array, Array, Gradients]]]:
        ops = active()
        if self.se and takes_means(self.se):
            (u, _, _, means), conv_backward = self.conv.and_moments(h)
            s, excite_backward = self.se.excite(means)
            y = ops.scale_add(u, s, r)
        else:
            u, conv_backward = self.conv(h)
            v, se_backward = self.se(u) if self.se else (u, lambda dv: (dv, {}))
            y = ops.add(v, r)

        def fused_backward(dy: Array) -> tuple[Array, Array, Gradients]:
            du, ds, dr = ops.scale_add_backward(dy, u, s)
            dz, gradients = excite_backward(ds)
            return ops.add_squeeze_backward(du, dz), dr, gradients

        def plain_backward(dy: Array) -> tuple[Array, Array, Gradients]:
            dv, dr = ops.add_backward(dy)
            du, gradients = se_backward(dv)
            return du, dr, gradients

        end_backward = fused_backward if self.se and takes_means(self.se) else plain_backward

        def backward(dy: Array) -> tuple[Array, Array, Gradients]:
            du, dr, se_gradients = end_backward(dy)
            dh, conv_gradients = conv_backward(du)
            return dh, dr, prefixed(self.name, conv_gradients) | prefixed("se", se_gradients)
        return y, backward
