"""EfficientNet-B0 (arXiv 1905.11946, table 1): inverted residual blocks with squeeze-and-excitation, called MBConv.

The gates follow the depthwise convolution. Their hidden layer has a quarter of the channels of the block's input,
not of the expanded channels; its dense layers have biases, and its activation is a SiLU, as all others.
"""

from collections.abc import Collection
from typing import NamedTuple, Unpack

import numpy as np

from npse.layers import Conv2d, Dense, Dropout, GlobalAveragePool, Layer, Sequential, SqueezeExcite
from npse.layers.excitations import DEFAULTS, ExcitationOptions
from npse.models.inverted import Block, batch_norm_activation, inverted_residual, rounded
from npse.models.options import excitations, expect_stages, with_defaults
from npse.support.arithmetic import ceil_div


class Stage(NamedTuple):
    """A row of the table: ``blocks`` blocks, the first with ``stride``, or with ``small_stride`` for 32x32 images."""

    expansion: int
    kernel: int
    cout: int
    blocks: int
    stride: int
    small_stride: int


B0 = (Stage(1, 3, 16, 1, 1, 1), Stage(6, 3, 24, 2, 2, 1), Stage(6, 5, 40, 2, 2, 2), Stage(6, 3, 80, 3, 2, 2),
      Stage(6, 5, 112, 3, 1, 1), Stage(6, 5, 192, 4, 2, 2), Stage(6, 3, 320, 1, 1, 1))
STEM, HEAD = 32, 1280


def efficientnet(table: tuple[Stage, ...] = B0, *, se: bool = True, stages: Collection[int] | None = None,
                 classes: int = 10, width: float = 1.0, small_images: bool = True, dropout: float = 0.0,
                 channels: int = 3, image_size: int = 32, input_gradient: bool = True, seed: int = 0,
                 **options: Unpack[ExcitationOptions]) -> Sequential:
    """Build EfficientNet-B0, with squeeze-and-excitation in every block or in none.

    Parameters
    ----------
    table : the rows of the table of the paper; fewer for tests
    width : float, multiplies all channels, which then are rounded to multiples of 8
    small_images : bool
        For 32x32 images. The first convolution and the second stage do not halve the map.
    dropout : float, rate before the dense layer
    se, stages, classes, channels, image_size, input_gradient, seed : see `npse.models.options.NetworkOptions`
    options : see `npse.models.options.NetworkOptions`; the reduction counts from the channels of a block's input, and
        by default bias=True

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
    excite = excitations(se, stages, rng, **with_defaults(options, bias=True))
    reduction = {**DEFAULTS, **options}["reduction"]
    cin, size = rounded(STEM * width), image_size if small_images else image_size // 2
    parts: dict[str, Layer] = {"stem": Sequential(
        {"conv1": Conv2d(channels, cin, 3, 1 if small_images else 2, input_gradient=input_gradient, rng=rng),
         **batch_norm_activation(1, cin, "silu")})}
    for stage, row in enumerate(table, start=1):
        made: dict[str, Layer] = {}
        first = row.small_stride if small_images else row.stride
        for index in range(row.blocks):
            stride = first if index == 0 else 1
            block = Block(row.kernel, cin * row.expansion, rounded(row.cout * width), stride, "silu")
            size = ceil_div(size, stride)
            gates = excite(block.expanded, size, stage, reduction=reduction * row.expansion)
            if isinstance(gates, SqueezeExcite):
                gates.activated_by("silu")
            made[str(index)] = inverted_residual(cin, block, gates, rng)
            cin = block.cout
        parts[f"layer{stage}"] = Sequential(made)
    head = rounded(HEAD * width)
    parts["head"] = Sequential({"conv1": Conv2d(cin, head, 1, rng=rng), **batch_norm_activation(1, head, "silu")})
    drop: dict[str, Layer] = {"drop": Dropout(dropout, seed)} if dropout else {}
    return Sequential(parts | {"pool": GlobalAveragePool()} | drop | {"fc": Dense(head, classes, rng=rng)})
