"""The inverted residual block of MobileNet v2 and v3 and of EfficientNet (MBConv): arXiv 1801.04381, 1905.02244.

A 1x1 convolution expands the channels, a depthwise convolution works on them, squeeze-and-excitation recalibrates them,
and a 1x1 convolution without activation reduces them. Names of arrays are those of timm.
"""

from dataclasses import dataclass

import numpy as np

from npse.layers import Activation, BatchNorm, BatchNormReLU, Conv2d, Excitation, Layer
from npse.layers.sequential import Sequential, SkipSum


@dataclass(frozen=True)
class Block:
    """One block of a table.

    Attributes
    ----------
    kernel : int, of the depthwise convolution
    expanded : int, its channels
    cout : int, channels of the result
    stride : int
    activation : str, "relu" or another activation of the book, such as "silu"
    se : bool, whether the block has squeeze-and-excitation, in a network that has it
    """

    kernel: int
    expanded: int
    cout: int
    stride: int = 1
    activation: str = "relu"
    se: bool = True


def inverted_residual(cin: int, block: Block, se: Excitation | None, rng: np.random.Generator) -> Sequential:
    """Make a block: (N, H, W, cin) -> (N, ceil(H / stride), ceil(W / stride), cout).

    The input is added to the result if both have the same shape. A block that does not expand has no first convolution;
    then the arrays of the last one are named ``conv_pw`` and ``bn2``.
    """
    layers: dict[str, Layer | None] = {}
    expands, wide = block.expanded != cin, block.expanded
    if expands:
        layers |= {"conv_pw": Conv2d(cin, wide, 1, rng=rng), **batch_norm_activation(1, wide, block.activation)}
    layers |= {"conv_dw": Conv2d(wide, wide, block.kernel, block.stride, groups=wide, rng=rng),
               **batch_norm_activation(2 if expands else 1, wide, block.activation), "se": se}
    last, norm = ("conv_pwl", "bn3") if expands else ("conv_pw", "bn2")
    layers |= {last: Conv2d(wide, block.cout, 1, rng=rng), norm: BatchNorm(block.cout)}
    return SkipSum(layers) if block.stride == 1 and cin == block.cout else Sequential(layers)


def batch_norm_activation(index: int, channels: int, activation: str) -> dict[str, Layer]:
    """Return the layers bn{index} and, unless it is a ReLU, act{index}: batch norm and an activation of the book."""
    if activation == "relu":
        return {f"bn{index}": BatchNormReLU(channels)}
    return {f"bn{index}": BatchNorm(channels), f"act{index}": Activation(activation)}


def rounded(channels: float, divisor: int = 8) -> int:
    """Return the multiple of ``divisor`` that is nearest to a number of channels, at least ``divisor``.

    The result is at least nine tenths of the number, as in the published MobileNets.
    """
    nearest = max(divisor, int(channels + divisor / 2) // divisor * divisor)
    return nearest if nearest >= 0.9 * channels else nearest + divisor
