"""MobileNetV3 (arXiv 1905.02244, tables 1 and 2): inverted residual blocks with squeeze-and-excitation.

The gates follow the depthwise convolution. They are hard sigmoids, and the hidden layer has a quarter of the expanded
channels, rounded up to a multiple of 8. The dense layers of the excitation have biases in the published networks.
"""

import dataclasses
from collections.abc import Collection
from typing import Unpack

import numpy as np

from npse.layers import Activation, Conv2d, Dense, Dropout, GlobalAveragePool, Layer, Sequential
from npse.layers.excitations import DEFAULTS, ExcitationOptions
from npse.models.inverted import Block, batch_norm_activation, inverted_residual, rounded
from npse.models.options import excitations, expect_stages, with_defaults
from npse.support.arithmetic import ceil_div

STEM, MULTIPLE = 16, 8
RELU, SWISH = "relu", "hard_swish"

# the blocks of each stage
SMALL: tuple[tuple[Block, ...], ...] = (
    (Block(3, 16, 16, 2, RELU),),
    (Block(3, 72, 24, 2, RELU, se=False), Block(3, 88, 24, 1, RELU, se=False)),
    (Block(5, 96, 40, 2, SWISH), Block(5, 240, 40, 1, SWISH), Block(5, 240, 40, 1, SWISH)),
    (Block(5, 120, 48, 1, SWISH), Block(5, 144, 48, 1, SWISH)),
    (Block(5, 288, 96, 2, SWISH), Block(5, 576, 96, 1, SWISH), Block(5, 576, 96, 1, SWISH)),
)
LARGE: tuple[tuple[Block, ...], ...] = (
    (Block(3, 16, 16, 1, RELU, se=False),),
    (Block(3, 64, 24, 2, RELU, se=False), Block(3, 72, 24, 1, RELU, se=False)),
    (Block(5, 72, 40, 2, RELU), Block(5, 120, 40, 1, RELU), Block(5, 120, 40, 1, RELU)),
    (Block(3, 240, 80, 2, SWISH, se=False), Block(3, 200, 80, 1, SWISH, se=False),
     Block(3, 184, 80, 1, SWISH, se=False), Block(3, 184, 80, 1, SWISH, se=False)),
    (Block(3, 480, 112, 1, SWISH), Block(3, 672, 112, 1, SWISH)),
    (Block(5, 672, 160, 2, SWISH), Block(5, 960, 160, 1, SWISH), Block(5, 960, 160, 1, SWISH)),
)
UNITS = {SMALL: 1024, LARGE: 1280}                     # of the dense layer before the last


def mobilenet_v3(table: tuple[tuple[Block, ...], ...] = SMALL, *, se: bool = True,
                 stages: Collection[int] | None = None, classes: int = 10, width: float = 1.0,
                 small_images: bool = True, dropout: float = 0.0, channels: int = 3, image_size: int = 32,
                 input_gradient: bool = True, seed: int = 0, **options: Unpack[ExcitationOptions]) -> Sequential:
    """Build a MobileNetV3, with squeeze-and-excitation in the blocks that have it in the paper, or in none.

    Parameters
    ----------
    table : the blocks of each stage: `SMALL`, `LARGE`, or others, in smaller numbers for tests
    width : float, multiplies all channels, which then are rounded to multiples of 8
    small_images : bool
        For 32x32 images. The first convolution and the first block do not halve the map.
    dropout : float, rate before the last dense layer
    se, stages, classes, channels, image_size, input_gradient, seed : see `npse.models.options.NetworkOptions`
    options : see `npse.models.options.NetworkOptions`; by default gate="hard_sigmoid" and bias=True

    Returns
    -------
    Sequential
        (N, H, W, channels) -> logits (N, classes), in float32.

    Raises
    ------
    ValueError
        An unknown stage; errors of `npse.layers.make_excitation`.
    """
    expect_stages(stages, len(table))
    rng = np.random.default_rng(seed)
    excite = excitations(se, stages, rng, **with_defaults(options, gate="hard_sigmoid", bias=True))
    reduction, fewest = ({**DEFAULTS, **options}[name] for name in ("reduction", "min_hidden"))
    cin, size = rounded(STEM * width), image_size if small_images else image_size // 2
    parts: dict[str, Layer] = {"stem": Sequential(
        {"conv1": Conv2d(channels, cin, 3, 1 if small_images else 2, input_gradient=input_gradient, rng=rng),
         **batch_norm_activation(1, cin, SWISH)})}
    for stage, blocks in enumerate(table, start=1):
        made: dict[str, Layer] = {}
        for index, row in enumerate(blocks):
            block = dataclasses.replace(row, expanded=rounded(row.expanded * width), cout=rounded(row.cout * width),
                                        stride=1 if small_images and stage == 1 else row.stride)
            size = ceil_div(size, block.stride)
            hidden = max(fewest, MULTIPLE * ceil_div(block.expanded // reduction, MULTIPLE))
            gates = excite(block.expanded, size, stage, min_hidden=hidden) if block.se else None
            made[str(index)] = inverted_residual(cin, block, gates, rng)
            cin = block.cout
        parts[f"layer{stage}"] = Sequential(made)
    expanded, units = block.expanded, UNITS.get(table, block.expanded)
    parts["head"] = Sequential({"conv1": Conv2d(cin, expanded, 1, rng=rng),
                                     **batch_norm_activation(1, expanded, SWISH)})
    drop: dict[str, Layer] = {"drop": Dropout(dropout, seed)} if dropout else {}
    return Sequential(parts | {"pool": GlobalAveragePool(), "fc1": Dense(expanded, units, rng=rng),
                               "act": Activation(SWISH)} | drop | {"fc": Dense(units, classes, rng=rng)})
