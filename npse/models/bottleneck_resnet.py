"""ResNets of bottlenecks for 32x32 images, such as ResNet-164: arXiv 1603.05027, table 2; arXiv 1709.01507, table 4.

The network has a first convolution of 16 channels, three stages of n bottlenecks with 16, 32 and 64 channels in the 3x3
convolution and four times as many in the output, global average pooling and one dense layer. 9n + 2 layers have
weights.
"""

from collections.abc import Collection
from typing import Unpack

import numpy as np

from npse.layers import Bottleneck, Sequential
from npse.layers.bottleneck import EXPANSION
from npse.layers.excitations import ExcitationOptions
from npse.models.options import excitations, expect_stages
from npse.models.stages import (
    Position,
    channels_times,
    classifier,
    excitation_at,
    expect_depth,
    expect_shortcut,
    residual_stages,
    shortcut_at,
    stem,
)


def bottleneck_resnet(depth: int = 164, *, se: bool = True, stages: Collection[int] | None = None, classes: int = 10,
                      placement: str = "standard", shortcut: str = "projection",
                      widths: tuple[int, ...] = (16, 32, 64), channels: int = 3, image_size: int = 32,
                      input_gradient: bool = True, seed: int = 0, **options: Unpack[ExcitationOptions]) -> Sequential:
    """Build a residual network of bottlenecks, with squeeze-and-excitation in its blocks or without.

    Parameters
    ----------
    depth : int, 9n + 2 for n blocks in each stage
    placement, shortcut : as in `npse.models.resnet.resnet`
    widths : channels of the 3x3 convolutions in each stage; the first is that of the first convolution too
    se, stages, classes, channels, image_size, input_gradient, seed, options : see `npse.models.options.NetworkOptions`

    Returns
    -------
    Sequential
        (N, H, W, channels) -> logits (N, classes), in float32.

    Raises
    ------
    ValueError
        A depth that is not 9n + 2, an unknown stage, placement or shortcut; errors of `npse.layers.make_excitation`.
    """
    blocks = expect_depth(depth, of_a_block=3)
    expect_shortcut(shortcut)
    expect_stages(stages, len(widths))
    rng = np.random.default_rng(seed)
    excite, outputs = excitations(se, stages, rng, **options), channels_times(EXPANSION, widths)

    def block(at: Position) -> Bottleneck:
        width, way = at.cout // EXPANSION, shortcut_at(at, shortcut, rng)
        part = excitation_at(at, placement, excite, width)
        return Bottleneck(at.cin, width, at.cout, at.stride, way, part, placement, rng=rng)

    return Sequential(stem(channels, widths[0], input_gradient, rng)
                      | residual_stages(block, [blocks] * len(widths), outputs, widths[0], image_size)
                      | classifier(outputs[-1], classes, rng))
