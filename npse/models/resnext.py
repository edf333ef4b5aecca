"""ResNeXts for 32x32 images, such as ResNeXt-29 8x64d: arXiv 1611.05431, section 5.3.

The network has a first convolution of 64 channels, three stages of n bottlenecks, global average pooling and one dense
layer. The 3x3 convolutions have as many groups as the cardinality says, each of ``base_width`` channels in the first
stage and of twice as many in each further stage. 9n + 2 layers have weights.
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


def resnext(depth: int = 29, cardinality: int = 8, base_width: int = 64, *, se: bool = True,
            stages: Collection[int] | None = None, classes: int = 10, placement: str = "standard",
            shortcut: str = "projection", widths: tuple[int, ...] = (64, 128, 256), channels: int = 3,
            image_size: int = 32, input_gradient: bool = True, seed: int = 0,
            **options: Unpack[ExcitationOptions]) -> Sequential:
    """Build a ResNeXt, with squeeze-and-excitation in its blocks or without.

    Parameters
    ----------
    depth : int, 9n + 2 for n blocks in each stage
    cardinality : int, groups of the 3x3 convolutions
    base_width : int, channels of a group in the first stage
    placement, shortcut : as in `npse.models.resnet.resnet`
    widths : a quarter of the channels of the outputs in each stage; the first is that of the first convolution too
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
        width, way = cardinality * base_width * 2 ** (at.stage - 1), shortcut_at(at, shortcut, rng)
        part = excitation_at(at, placement, excite, width)
        return Bottleneck(at.cin, width, at.cout, at.stride, way, part, placement, cardinality, rng=rng)

    return Sequential(stem(channels, widths[0], input_gradient, rng)
                      | residual_stages(block, [blocks] * len(widths), outputs, widths[0], image_size)
                      | classifier(outputs[-1], classes, rng))
