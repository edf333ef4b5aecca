"""SE-ResNets for 32x32 images, and the plain networks: arXiv 1512.03385 section 4.2, arXiv 1709.01507 figure 3.

The network has a first convolution of 16 channels, three stages of n blocks with 16, 32 and 64 channels, global average
pooling and one dense layer. The second and the third stage halve the map. 6n + 2 layers have weights.
"""

from collections.abc import Collection
from typing import Unpack

import numpy as np

from npse.layers import (
    BasicBlock,
    BatchNormReLU,
    Conv2d,
    Dense,
    GlobalAveragePool,
    Layer,
    Sequential,
    identity_shortcut,
    projection_shortcut,
)
from npse.layers.excitations import ExcitationOptions
from npse.models.options import excitations, expect_stages
from npse.support.names import suggest

SHORTCUTS = ("projection", "identity")


def resnet(depth: int = 20, *, se: bool = True, stages: Collection[int] | None = None, classes: int = 10,
           placement: str = "standard", shortcut: str = "projection", widths: tuple[int, ...] = (16, 32, 64),
           channels: int = 3, image_size: int = 32, input_gradient: bool = True, seed: int = 0,
           **options: Unpack[ExcitationOptions]) -> Sequential:
    """Build a residual network, with squeeze-and-excitation in its blocks or without.

    Parameters
    ----------
    depth : int, 6n + 2 for n blocks in each stage
    placement : "standard", "pre", "post" or "identity", see `npse.layers.BasicBlock`
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
    if not isinstance(depth, int) or depth < 8 or depth % 6 != 2:
        raise ValueError(f"depth must be 6n + 2 for n blocks in each stage (8, 14, 20, ...), but is {depth!r}")
    if shortcut not in SHORTCUTS:
        raise ValueError(f"unknown shortcut {shortcut!r}; {suggest(shortcut, SHORTCUTS)}")
    expect_stages(stages, len(widths))
    rng = np.random.default_rng(seed)
    excite = excitations(se, stages, rng, **options)

    def block(cin: int, cout: int, stride: int, stage: int) -> BasicBlock:
        way = None
        if cin != cout or stride != 1:
            way = (projection_shortcut(cin, cout, stride, rng=rng) if shortcut == "projection"
                   else identity_shortcut(cin, cout, stride))
        size = -(-image_size // 2 ** (stage - 1))                 # of the maps of this stage
        part = excite(cin, size * stride, stage) if placement == "pre" else excite(cout, size, stage)
        return BasicBlock(cin, cout, stride, way, part, placement, rng=rng)

    parts: dict[str, Layer] = {"conv1": Conv2d(channels, widths[0], 3, input_gradient=input_gradient, rng=rng),
             "bn1": BatchNormReLU(widths[0])}
    cin = widths[0]
    for stage, cout in enumerate(widths, start=1):
        blocks: dict[str, Layer] = {}
        for index in range((depth - 2) // 6):
            blocks[str(index)] = block(cin, cout, 2 if stage > 1 and index == 0 else 1, stage)
            cin = cout
        parts[f"layer{stage}"] = Sequential(blocks)
    parts["pool"] = GlobalAveragePool()
    parts["fc"] = Dense(cin, classes, rng=rng)
    return Sequential(parts)
