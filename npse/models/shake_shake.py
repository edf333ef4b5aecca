"""Shake-Shake networks for 32x32 images, such as 26 2x32d: arXiv 1705.07485.

The network has a first convolution of 16 channels with a batch norm, three stages of n blocks of two branches each,
a ReLU, global average pooling and one dense layer. 2x32d: two branches of 32 channels in the first stage, and of twice
as many in each further stage. 6n + 2 layers have weights on a path through the network.
"""

from collections.abc import Collection
from typing import Unpack

import numpy as np

from npse.layers import BatchNorm, Conv2d, Layer, ReLU, Sequential, ShakeBlock, shake_shortcut
from npse.layers.excitations import ExcitationOptions
from npse.models.options import excitations, expect_stages
from npse.models.stages import Position, classifier, excitation_at, expect_depth, residual_stages

STEM = 16            # channels of the first convolution


def shake_shake(depth: int = 26, width: int = 32, *, se: bool = True,
                stages: Collection[int] | None = None, classes: int = 10, placement: str = "standard",
                channels: int = 3, image_size: int = 32, input_gradient: bool = True, seed: int = 0,
                **options: Unpack[ExcitationOptions]) -> Sequential:
    """Build a Shake-Shake network, with squeeze-and-excitation in its blocks or without.

    Parameters
    ----------
    depth : int, 6n + 2 for n blocks in each stage
    width : int, channels of a branch in the first stage, even
    placement : "standard", "pre", "post" or "identity", see `npse.layers.shake`
    se, stages, classes, channels, image_size, input_gradient, seed, options : see `npse.models.options.NetworkOptions`;
        the random shares follow from the seed too

    Returns
    -------
    Sequential
        (N, H, W, channels) -> logits (N, classes), in float32.

    Raises
    ------
    ValueError
        A depth that is not 6n + 2, an unknown stage or placement; errors of `npse.layers.make_excitation`.
    """
    blocks, widths = expect_depth(depth, of_a_block=2), (width, 2 * width, 4 * width)
    expect_stages(stages, len(widths))
    rng = np.random.default_rng(seed)
    excite = excitations(se, stages, rng, **options)

    def block(at: Position) -> ShakeBlock:
        way = shake_shortcut(at.cin, at.cout, at.stride, rng=rng) if at.changes_shape else None
        part = excitation_at(at, placement, excite)
        return ShakeBlock(at.cin, at.cout, at.stride, way, part, placement, seed=int(rng.integers(2**31)), rng=rng)

    parts: dict[str, Layer] = {"conv1": Conv2d(channels, STEM, 3, input_gradient=input_gradient, rng=rng),
                               "bn1": BatchNorm(STEM)}
    return Sequential(parts | residual_stages(block, [blocks] * len(widths), widths, STEM, image_size)
                      | {"relu": ReLU()} | classifier(widths[-1], classes, rng))
