"""The residual block, with squeeze-and-excitation in one of four places (figure 5 of arXiv 1709.01507).

`ResidualUnit` is a smaller block, with a single convolution.
"""

import numpy as np

from npse.layers.basic import BatchNorm, BatchNormReLU, Conv2d
from npse.layers.excitation import Excitation
from npse.layers.fused import ConvBNReLU, ConvBNSEAddReLU
from npse.layers.layer import Layer, prefixed
from npse.layers.residual import Residual
from npse.layers.sequential import Sequential
from npse.support.names import suggest
from npse.types import Array, Backward, Gradients

PLACEMENTS = ("standard", "pre", "post", "identity")


class BasicBlock(Layer):
    """y = relu(branch(x) + shortcut(x)), the branch being conv-BN-ReLU-conv-BN: (N, H, W, cin) -> (N, Ho, Wo, cout).

    Parameters
    ----------
    cin, cout : int
    stride : int
        The stride of the first convolution.
    shortcut : Layer or None
        The layer on the shortcut, or None for the identity. Its arrays are named ``downsample.*``.
    se : Excitation or None
    placement : str
        Where the excitation stands: "standard", at the end of the branch, before the sum; "pre", at the start of the
        branch; "post", after the sum and its ReLU; "identity", on the shortcut.
    rng : Generator
        Draws the weights.

    Raises
    ------
    ValueError
        An unknown placement.
    """

    def __init__(self, cin: int, cout: int, stride: int, shortcut: Layer | None, se: Excitation | None = None,
                 placement: str = "standard", *, rng: np.random.Generator) -> None:
        if placement not in PLACEMENTS:
            raise ValueError(f"unknown placement {placement!r}; {suggest(placement, PLACEMENTS)}")
        place = placement if se else None
        excitation: dict[str, Layer] = {"se": se} if se else {}
        way: dict[str, Layer] = {} if shortcut is None else {"downsample": shortcut}
        first = ConvBNReLU(Conv2d(cin, cout, 3, stride, rng=rng), BatchNormReLU(cout))
        second = ConvBNSEAddReLU(Conv2d(cout, cout, 3, rng=rng), BatchNorm(cout), se if place == "standard" else None)
        self.residual = Residual(
            start=_After(se, first) if se and place == "pre" else first, end=second,
            shortcut=Sequential(way | excitation if place == "identity" else way))
        self.after = Sequential(excitation if place == "post" else {})
        super().__init__(children=first.children | second.children | excitation | way)

    def __call__(self, x: Array) -> tuple[Array, Backward]:
        y, residual_backward = self.residual(x)
        y, after_backward = self.after(y)

        def backward(dy: Array) -> tuple[Array, Gradients]:
            dy, after_gradients = after_backward(dy)
            dx, gradients = residual_backward(dy)
            return dx, gradients | after_gradients
        return y, backward


class ResidualUnit(Layer):
    """y = relu(batch_norm(conv2d(x)) + x): (N, H, W, C) -> (N, H, W, C).

    With an excitation, the output of the batch norm is scaled by its gates.
    """

    def __init__(self, conv: Conv2d, norm: BatchNorm, se: Excitation | None = None) -> None:
        end = ConvBNSEAddReLU(conv, norm, se)
        self.residual = Residual(start=Sequential(), end=end, shortcut=Sequential())
        super().__init__(children=end.children)

    def __call__(self, x: Array) -> tuple[Array, Backward]:
        return self.residual(x)


class _After:
    """h = then(se(x)): an excitation at the start of a branch."""

    def __init__(self, se: Excitation, then: ConvBNReLU) -> None:
        self._se, self._then = se, then

    def __call__(self, x: Array) -> tuple[Array, Backward]:
        x, se_backward = self._se(x)
        h, then_backward = self._then(x)

        def backward(dh: Array) -> tuple[Array, Gradients]:
            dx, gradients = then_backward(dh)
            dx, se_gradients = se_backward(dx)
            return dx, gradients | prefixed("se", se_gradients)
        return h, backward
