"""Wide residual networks for 32x32 images, such as WRN-28-10: arXiv 1605.07146.

The network has a first convolution of 16 channels, three stages of n pre-activation blocks with 16k, 32k and 64k
channels, a last batch norm and ReLU, global average pooling and one dense layer. It is named WRN-d-k, where d = 6n + 4
counts its convolutions, those of the three shortcuts included.
"""

from collections.abc import Collection
from typing import Unpack

import numpy as np

from npse.layers import BatchNormReLU, Conv2d, Dropout, Layer, PreActivationBasic, Sequential
from npse.layers.excitations import ExcitationOptions
from npse.models.options import excitations, expect_stages
from npse.models.preact_resnet import preactivation_shortcut
from npse.models.stages import (
    Position,
    channels_times,
    classifier,
    excitation_at,
    expect_depth,
    residual_stages,
)


def wide_resnet(depth: int = 28, widen: int = 10, *, dropout: float = 0.0, se: bool = True,
                stages: Collection[int] | None = None, classes: int = 10, placement: str = "standard",
                widths: tuple[int, ...] = (16, 32, 64), channels: int = 3, image_size: int = 32,
                input_gradient: bool = True, seed: int = 0, **options: Unpack[ExcitationOptions]) -> Sequential:
    """Build a wide residual network, with squeeze-and-excitation in its blocks or without.

    Parameters
    ----------
    depth : int, 6n + 4 for n blocks in each stage
    widen : int, k, by which the channels of the stages are multiplied
    dropout : float, the part of the channels' values that is dropped between the two convolutions of a block
    placement : "standard", "pre", "post", "identity" or "3x3", see `npse.layers.preactivation`
    widths : channels of the stages before they are multiplied; the first is that of the first convolution
    se, stages, classes, channels, image_size, input_gradient, seed, options : see `npse.models.options.NetworkOptions`;
        the random numbers of dropout follow from the seed too

    Returns
    -------
    Sequential
        (N, H, W, channels) -> logits (N, classes), in float32.

    Raises
    ------
    ValueError
        A depth that is not 6n + 4, an unknown stage or placement; errors of `npse.layers.Dropout` and
        `npse.layers.make_excitation`.
    """
    blocks = expect_depth(depth, of_a_block=2, rest=4)
    expect_stages(stages, len(widths))
    rng = np.random.default_rng(seed)
    excite, outputs = excitations(se, stages, rng, **options), channels_times(widen, widths)

    def block(at: Position) -> PreActivationBasic:
        way, part = preactivation_shortcut(at, "projection", rng), excitation_at(at, placement, excite)
        drop = Dropout(dropout, seed=int(rng.integers(2**31))) if dropout else None
        return PreActivationBasic(at.cin, at.cout, at.stride, way, part, placement, drop, rng=rng)

    parts: dict[str, Layer] = {"conv1": Conv2d(channels, widths[0], 3, input_gradient=input_gradient, rng=rng)}
    return Sequential(parts | residual_stages(block, [blocks] * len(widths), outputs, widths[0], image_size)
                      | {"bn": BatchNormReLU(outputs[-1])} | classifier(outputs[-1], classes, rng))
