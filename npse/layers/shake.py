"""Shake-Shake regularization (arXiv 1705.07485): a residual block of two branches with random shares.

    h = relu(x)     y = alpha * branch1(h) + (1 - alpha) * branch2(h) + shortcut

A branch is conv3x3-BN-ReLU-conv3x3-BN. Each image of a batch has its own alpha, and its own beta in the backward pass.
At inference both shares are 1/2. The places of an excitation:

    standard  after the mixture, before the sum
    pre       at the start of both branches, after the ReLU
    post      after the sum
    identity  on the shortcut

There is no place "3x3": it would need an excitation in each branch.
"""

from collections.abc import Callable
from typing import Any

import numpy as np

from npse.backend import drawn, on_device, to_edition
from npse.layers.basic import Conv2d
from npse.layers.batch_norm import BatchNorm, BatchNormReLU
from npse.layers.block import PLACEMENTS, expect_placement, placed
from npse.layers.channels import Branches
from npse.layers.dropout import CountingLayer
from npse.layers.excitation import Excitation
from npse.layers.fused import Chain, ConvBN, ConvBNReLU
from npse.layers.layer import Layer, active, constant, prefixed
from npse.layers.sequential import Sequential
from npse.types import Array, Backward, Gradients

SHAKE_PLACEMENTS = tuple(name for name in PLACEMENTS if name != "3x3")


class Shake(CountingLayer):
    """Mixes two branches, in training with random shares alpha forward and beta backward, at inference evenly.

    Parameters
    ----------
    seed : int, see `CountingLayer`
    same : bool
        Whether beta is alpha. Then the backward pass returns the gradient, which can be checked.
    """

    def __init__(self, seed: int = 0, same: bool = False) -> None:
        super().__init__(seed)
        self.same = same

    def mix(self, a: Array, b: Array) -> tuple[Array, Callable[[Array], tuple[Array, Array]]]:
        """Return ``y, backward``: the mixture of two maps (N, H, W, C), and da, db = backward(dy)."""
        ops = active()
        alpha, beta = self._shares(len(a), a.dtype)
        return ops.shake(a, b, alpha), lambda dy: ops.shake_backward(dy, beta)

    def _shares(self, count: int, dtype: Any) -> tuple[Array, Array]:
        if not self.training:
            half = constant(0.5, (count,), dtype)
            return half, half
        alpha, beta = drawn(self._two, count, dtype)
        return alpha, alpha if self.same else beta

    def _two(self, count: int, dtype: Any) -> tuple[Array, Array]:
        """Draw the shares of the next call, each (count,)."""
        alpha, beta = self._uniform(count, rows=2).astype(dtype)
        return alpha, beta


class ShakeBlock(Layer):
    """y = mixture of two branches + shortcut: (N, H, W, cin) -> (N, Ho, Wo, cout).

    Parameters
    ----------
    cin, cout, stride : int
    shortcut : Layer or None
        The layer on the shortcut, which gets relu(x); None for the identity, which gets x. Its arrays are named
        ``downsample.*``.
    se : Excitation or None
    placement : str
        One of `SHAKE_PLACEMENTS`.
    seed : int
        For the shares, see `Shake`.
    rng : Generator
        Draws the weights.

    Raises
    ------
    ValueError
        An unknown placement, or "3x3".
    """

    def __init__(self, cin: int, cout: int, stride: int, shortcut: Layer | None, se: Excitation | None = None,
                 placement: str = "standard", *, seed: int = 0, rng: np.random.Generator) -> None:
        expect_placement(placement, SHAKE_PLACEMENTS)
        way: dict[str, Layer] = {} if shortcut is None else {"downsample": shortcut}
        self.branches = _Branch(cin, cout, stride, rng), _Branch(cin, cout, stride, rng)
        self.shake, self.shared = Shake(seed), bool(way)
        self.before, self.end, self.after = (Sequential(placed(se, placement, place))
                                             for place in ("pre", "standard", "post"))
        self.shortcut = Sequential(way | placed(se, placement, "identity"))
        first, second = self.branches
        super().__init__(children={"branch1": first, "branch2": second, "shake": self.shake}
                         | placed(se, placement, *SHAKE_PLACEMENTS) | way)

    def __call__(self, x: Array) -> tuple[Array, Backward]:
        ops, (first, second) = active(), self.branches
        h = ops.relu(x)
        r, shortcut_backward = self.shortcut(h if self.shared else x)
        g, before_backward = self.before(h)
        a, first_backward = first(g)
        b, second_backward = second(g)
        mixture, mix_backward = self.shake.mix(a, b)
        v, end_backward = self.end(mixture)
        y, after_backward = self.after(ops.add(v, r))

        def backward(dy: Array) -> tuple[Array, Gradients]:
            dy, gradients = after_backward(dy)
            dv, dr = ops.add_backward(dy)
            dmixture, of_end = end_backward(dv)
            da, db = mix_backward(dmixture)
            dg, of_first = first_backward(da)
            dg, of_second = second_backward.add(db, dg)
            dh, of_before = before_backward(dg)
            through_shortcut, of_shortcut = shortcut_backward(dr)
            gradients |= of_end | of_before | of_shortcut | prefixed("branch1", of_first)
            gradients |= prefixed("branch2", of_second)
            if self.shared:
                return ops.relu_backward(ops.add(dh, through_shortcut), h), gradients
            return ops.add(ops.relu_backward(dh, h), through_shortcut), gradients
        return y, backward


class _Branch(Layer):
    """conv-BN-ReLU-conv-BN; ``backward.add(du, dx)`` adds the gradient of x to an array dx."""

    def __init__(self, cin: int, cout: int, stride: int, rng: np.random.Generator) -> None:
        self.chain = Chain(ConvBNReLU(Conv2d(cin, cout, 3, stride, rng=rng), BatchNormReLU(cout)),
                           ConvBN(Conv2d(cout, cout, 3, rng=rng), BatchNorm(cout)))
        super().__init__(children=self.chain.children)

    def __call__(self, x: Array) -> tuple[Array, Any]:
        return self.chain(x)


def shake_shortcut(cin: int, cout: int, stride: int, *, rng: np.random.Generator) -> Layer:
    """Return the shortcut of a block that changes the shape of its input.

    One 1x1 convolution reads every stride-th pixel; a second one does so in the map shifted by one pixel. Their
    channels are put together, and a batch norm follows.

    Raises
    ------
    ValueError
        ``cout`` is odd.
    """
    if cout % 2:
        raise ValueError(f"the channels of a Shake-Shake block that changes shape must be even, but are {cout}")

    def half() -> Conv2d:
        return Conv2d(cin, cout // 2, 1, rng=rng)

    return Sequential({"0": Branches({"0": Sequential({"pixels": Pixels(cin, stride), "conv": half()}),
                                      "1": Sequential({"pixels": Pixels(cin, stride, shifted=True), "conv": half()})}),
                       "1": BatchNorm(cout)})


class Pixels(Layer):
    """Takes every s-th pixel: (N, H, W, C) -> (N, ceil(H/s), ceil(W/s), C), y[n, i, j] = x[n, s*i - d, s*j - d].

    d is 1 if the map is shifted, else 0; pixels outside the map are zero. It runs as a depthwise convolution whose
    filters have a single one.
    """

    def __init__(self, channels: int, stride: int, shifted: bool = False) -> None:
        super().__init__()
        self.channels, self.stride, self.shifted = channels, stride, shifted
        self._filters: dict[tuple[Any, bool], Array] = {}

    def __call__(self, x: Array) -> tuple[Array, Backward]:
        ops, w, how = active(), self._filter(x.dtype), (self.channels, self.stride, 1)
        y = ops.grouped_conv2d(x, w, *how)

        def backward(dy: Array) -> tuple[Array, Gradients]:
            return ops.grouped_conv2d_backward_x(dy, w, x.shape, *how), {}
        return y, backward

    def _filter(self, dtype: Any) -> Array:
        """Return the filters in the memory of the active edition. They are copied once, because a copy waits."""
        key = dtype, on_device()
        if key not in self._filters:
            w = np.zeros((3, 3, 1, self.channels), dtype)
            tap = 0 if self.shifted else 1
            w[tap, tap] = 1
            self._filters[key] = to_edition(w)
        return self._filters[key]
