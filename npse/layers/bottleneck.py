"""The bottleneck block (arXiv 1512.03385): a 1x1 convolution to few channels, a 3x3 one, and a 1x1 one to many."""

import numpy as np

from npse.layers.basic import Conv2d
from npse.layers.block import ResidualBlock
from npse.layers.excitation import Excitation
from npse.layers.layer import Layer

EXPANSION = 4            # channels of the block's output / channels of its 3x3 convolution, in a ResNet


class Bottleneck(ResidualBlock):
    """A residual block of 1x1, 3x3 and 1x1 convolutions: (N, H, W, cin) -> (N, Ho, Wo, cout).

    Parameters
    ----------
    cin, width, cout : int
        Channels of the input, of the 3x3 convolution and of the output.
    stride : int
        Of the 3x3 convolution, as in torchvision and timm.
    shortcut, se, placement : see `ResidualBlock`
    groups : int
        Of the 3x3 convolution: the cardinality of a ResNeXt (arXiv 1611.05431).
    first : int, optional
        Channels of the first convolution; by default ``width``.
    stride_first : bool
        Whether the first convolution has the stride, as in the original network, in place of the 3x3 one.
    rng : Generator
        Draws the weights.
    """

    def __init__(self, cin: int, width: int, cout: int, stride: int, shortcut: Layer | None,
                 se: Excitation | None = None, placement: str = "standard", groups: int = 1, first: int | None = None,
                 stride_first: bool = False, *, rng: np.random.Generator) -> None:
        first = width if first is None else first
        strides = (stride, 1) if stride_first else (1, stride)
        super().__init__([Conv2d(cin, first, 1, strides[0], rng=rng),
                          Conv2d(first, width, 3, strides[1], groups=groups, rng=rng),
                          Conv2d(width, cout, 1, rng=rng)], 2, shortcut, se, placement)
