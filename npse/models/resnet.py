"""SE-ResNets for 32x32 images, and the plain networks: arXiv 1512.03385 section 4.2, arXiv 1709.01507 figure 3.

The network has a first convolution of 16 channels, three stages of n blocks with 16, 32 and 64 channels, global average
pooling and one dense layer. The second and the third stage halve the map. 6n + 2 layers have weights.
"""

from collections.abc import Collection
from typing import Unpack

import numpy as np

from npse.layers import BasicBlock, Sequential
from npse.layers.excitations import ExcitationOptions
from npse.models.options import excitations, expect_stages
from npse.models.stages import (
    SHORTCUTS,
    Position,
    classifier,
    excitation_at,
    expect_depth,
    expect_shortcut,
    residual_stages,
    shortcut_at,
    stem,
)

__all__ = ["SHORTCUTS", "resnet"]


def resnet(depth: int = 20, *, se: bool = True, stages: Collection[int] | None = None, classes: int = 10,
           placement: str = "standard", shortcut: str = "projection", widths: tuple[int, ...] = (16, 32, 64),
           channels: int = 3, image_size: int = 32, input_gradient: bool = True, seed: int = 0,
           **options: Unpack[ExcitationOptions]) -> Sequential:
    """Build a residual network, with squeeze-and-excitation in its blocks or without.

    Parameters
    ----------
    depth : int, 6n + 2 for n blocks in each stage
    placement : "standard", "pre", "post", "identity" or "3x3", see `npse.layers.block`
    shortcut : "projection" (1x1 convolution and batch norm) or "identity" (zero-padded channels), for blocks that
        change the shape of their input
    widths : channels of the three stages
    se, stages, classes, channels, image_size, input_gradient, seed, options : see `npse.models.options.NetworkOptions`

    Returns
    -------
    Sequential
        (N, H, W, channels) -> logits (N, classes), in float32; ``.astype(np.float64)`` for gradient checks.

    Raises
    ------
    ValueError
        A depth that is not 6n + 2, an unknown stage, placement or shortcut; errors of `npse.layers.make_excitation`.
    """
    blocks = expect_depth(depth, of_a_block=2)
    expect_shortcut(shortcut)
    expect_stages(stages, len(widths))
    rng = np.random.default_rng(seed)
    excite = excitations(se, stages, rng, **options)

    def block(at: Position) -> BasicBlock:
        way = shortcut_at(at, shortcut, rng)
        part = excitation_at(at, placement, excite)
        return BasicBlock(at.cin, at.cout, at.stride, way, part, placement, rng=rng)

    return Sequential(stem(channels, widths[0], input_gradient, rng)
                      | residual_stages(block, [blocks] * len(widths), widths, widths[0], image_size)
                      | classifier(widths[-1], classes, rng))
