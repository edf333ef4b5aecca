"""Residual blocks, with squeeze-and-excitation in one of five places (figure 5 and table 15 of arXiv 1709.01507).

    standard  at the end of the branch, before the sum
    pre       at the start of the branch
    post      after the sum and its ReLU
    identity  on the shortcut
    3x3       in the branch, after a 3x3 convolution with its batch norm and ReLU: after the first one of a basic block,
              after the only one of a bottleneck. A bottleneck has fewer channels there, so this needs fewer parameters

`ResidualUnit` is a smaller block, with a single convolution.
"""

from collections.abc import Iterable, Sequence

import numpy as np

from npse.layers.basic import Conv2d
from npse.layers.batch_norm import BatchNorm, BatchNormReLU
from npse.layers.excitation import Excitation
from npse.layers.fused import Chain, ConvBNReLU, ConvBNSEAddReLU, Named, channels_after
from npse.layers.layer import Layer
from npse.layers.residual import Residual
from npse.layers.sequential import Sequential
from npse.support.names import suggest
from npse.types import Array, Backward, Gradients

PLACEMENTS = ("standard", "pre", "post", "identity", "3x3")


def expect_placement(placement: str, known: Iterable[str] = PLACEMENTS) -> None:
    """Raise ValueError unless the placement is known."""
    if placement not in known:
        raise ValueError(f"unknown placement {placement!r}; {suggest(placement, known)}")


def placed(layer: Layer | None, placement: str, *here: str) -> dict[str, Layer]:
    """Return {"se": layer} if there is a layer and its placement is one of ``here``, else {}."""
    return {"se": layer} if layer and placement in here else {}


class ResidualBlock(Layer):
    """y = relu(branch(x) + shortcut(x)): (N, H, W, cin) -> (N, Ho, Wo, cout).

    The branch has convolutions, each with a batch norm after it, and ReLUs between.

    Parameters
    ----------
    convolutions : sequence of Conv2d
        Named ``conv1``, ``conv2`` ..., with batch norms ``bn1``, ``bn2`` ...
    middle : int
        After how many of them the excitation stands if its placement is "3x3".
    shortcut : Layer or None
        The layer on the shortcut, or None for the identity. Its arrays are named ``downsample.*``.
    se : Excitation or None
    placement : str
        Where the excitation stands, see `npse.layers.block`.

    Raises
    ------
    ValueError
        An unknown placement.
    """

    def __init__(self, convolutions: Sequence[Conv2d], middle: int, shortcut: Layer | None, se: Excitation | None,
                 placement: str) -> None:
        expect_placement(placement)
        *inner, last = convolutions
        parts: list[ConvBNReLU | Named] = [ConvBNReLU(conv, BatchNormReLU(channels_after(conv)), (f"conv{k}", f"bn{k}"))
                                           for k, conv in enumerate(inner, start=1)]
        for name, layer in placed(se, placement, "pre", "3x3").items():
            parts.insert(0 if placement == "pre" else middle, Named(name, layer))
        start = Chain(*parts)
        end = ConvBNSEAddReLU(last, BatchNorm(channels_after(last)), se if placement == "standard" else None,
                               len(convolutions))
        way: dict[str, Layer] = {} if shortcut is None else {"downsample": shortcut}
        self.residual = Residual(start, end, Sequential(way | placed(se, placement, "identity")))
        self.after = Sequential(placed(se, placement, "post"))
        named = {name: layer for name, layer in (start.children | end.children).items() if layer is not se}
        super().__init__(children=named | placed(se, placement, *PLACEMENTS) | way)

    def predict(self, x: Array) -> Array:
        return self.after.predict(self.residual.predict(x))

    def __call__(self, x: Array) -> tuple[Array, Backward]:
        y, residual_backward = self.residual(x)
        y, after_backward = self.after(y)

        def backward(dy: Array) -> tuple[Array, Gradients]:
            dy, after_gradients = after_backward(dy)
            dx, gradients = residual_backward(dy)
            return dx, gradients | after_gradients
        return y, backward


class BasicBlock(ResidualBlock):
    """A residual block of two 3x3 convolutions, the first with a stride: (N, H, W, cin) -> (N, Ho, Wo, cout).

    Parameters
    ----------
    cin, cout, stride : int
    shortcut, se, placement : see `ResidualBlock`
    rng : Generator
        Draws the weights.
    """

    def __init__(self, cin: int, cout: int, stride: int, shortcut: Layer | None, se: Excitation | None = None,
                 placement: str = "standard", *, rng: np.random.Generator) -> None:
        super().__init__([Conv2d(cin, cout, 3, stride, rng=rng), Conv2d(cout, cout, 3, rng=rng)], 1, shortcut, se,
                         placement)


class ResidualUnit(Layer):
    """y = relu(batch_norm(conv2d(x)) + x): (N, H, W, C) -> (N, H, W, C).

    With an excitation, the output of the batch norm is scaled by its gates.
    """

    def __init__(self, conv: Conv2d, norm: BatchNorm, se: Excitation | None = None) -> None:
        end = ConvBNSEAddReLU(conv, norm, se)
        self.residual = Residual(start=Chain(), end=end, shortcut=Sequential())
        super().__init__(children=end.children)

    def __call__(self, x: Array) -> tuple[Array, Backward]:
        return self.residual(x)

    def predict(self, x: Array) -> Array:
        return self.residual.predict(x)
