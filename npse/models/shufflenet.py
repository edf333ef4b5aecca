"""ShuffleNet v1 (arXiv 1707.01083): grouped 1x1 convolutions, and between them a shuffle of the channels.

Squeeze-and-excitation stands at the end of the branch, before it is joined with the shortcut, as in SE-ResNet. There
the parameters are those of Table 3 of arXiv 1709.01507.
"""

from collections.abc import Collection
from typing import Unpack

import numpy as np

from npse.layers import (
    BatchNorm,
    BatchNormReLU,
    ChannelShuffle,
    Conv2d,
    Dense,
    Excitation,
    GlobalAveragePool,
    Layer,
    MaxPool,
    Sequential,
)
from npse.layers.excitations import ExcitationOptions
from npse.layers.sequential import PoolConcat, SkipSum
from npse.models.options import excitations, expect_stages
from npse.support.arithmetic import ceil_div

WIDTHS = {1: (144, 288, 576), 2: (200, 400, 800), 3: (240, 480, 960), 4: (272, 544, 1088), 8: (384, 768, 1536)}
SHRINK = 4                                          # channels of a unit divided by those of its depthwise convolution


def shufflenet(*, se: bool = True, stages: Collection[int] | None = None, classes: int = 10, groups: int = 3,
               stem: int = 24, widths: tuple[int, ...] | None = None, blocks: tuple[int, ...] = (4, 8, 4),
               small_images: bool = True, channels: int = 3, image_size: int = 32, input_gradient: bool = True,
               seed: int = 0, **options: Unpack[ExcitationOptions]) -> Sequential:
    """Build a ShuffleNet, with squeeze-and-excitation in every unit or in none.

    Parameters
    ----------
    groups : int, of the 1x1 convolutions; the first 1x1 convolution of the network has one group
    stem : int, channels of the first convolution
    widths, blocks : channels and number of units of the stages; by default the paper's channels for so many groups. The
        first unit of each stage halves the map. If there are fewer widths than numbers of units, the last stages are
        left out.
    small_images : bool
        For 32x32 images. The first convolution has stride 1, and no pooling follows it.
    se, stages, classes, channels, image_size, input_gradient, seed, options : see `npse.models.options.NetworkOptions`

    Returns
    -------
    Sequential
        (N, H, W, channels) -> logits (N, classes), in float32.

    Raises
    ------
    ValueError
        Groups that do not divide the channels or for which the paper has no channels, an unknown stage; errors of
        `npse.layers.make_excitation`.
    """
    if widths is None:
        if groups not in WIDTHS:
            raise ValueError(f"set widths: the paper has none for {groups} groups, only for "
                             + ", ".join(map(str, WIDTHS)))
        widths = WIDTHS[groups]
    expect_stages(stages, len(widths))
    rng = np.random.default_rng(seed)
    excite = excitations(se, stages, rng, **options)
    first = Conv2d(channels, stem, 3, 1 if small_images else 2, input_gradient=input_gradient, rng=rng)
    pool = None if small_images else MaxPool(3, 2, padding=1)
    parts: dict[str, Layer] = {"stem": Sequential({"conv1": first, "bn1": BatchNormReLU(stem), "pool": pool})}
    cin, size = stem, image_size if small_images else image_size // 4
    for stage, (width, count) in enumerate(zip(widths, blocks, strict=False), start=1):
        made: dict[str, Layer] = {}
        for index in range(count):
            size = ceil_div(size, 2) if index == 0 else size
            branch = width - cin if index == 0 else width           # the shortcut gives the other channels
            gates = excite(branch, size, stage)
            made[str(index)] = shuffle_unit(cin, width, groups, 1 if stage == 1 and index == 0 else groups, gates, rng)
            cin = width
        parts[f"layer{stage}"] = Sequential(made)
    return Sequential(parts | {"pool": GlobalAveragePool(), "fc": Dense(cin, classes, rng=rng)})


def shuffle_unit(cin: int, cout: int, groups: int, first_groups: int, se: Excitation | None, rng: np.random.Generator
                 ) -> Sequential:
    """Make a unit: (N, H, W, cin) -> (N, H, W, cout) if cin = cout, else -> (N, ceil(H / 2), ceil(W / 2), cout).

    Parameters
    ----------
    cin, cout : int
    groups, first_groups : int, of the last and of the first 1x1 convolution
    se : Excitation or None
        At the end of the branch, which has cout channels if cin = cout, else cout - cin.
    rng : Generator, draws the weights
    """
    same = cin == cout
    middle, end = cout // SHRINK, cout if same else cout - cin
    branch = {
        "conv1": Conv2d(cin, middle, 1, groups=first_groups, rng=rng), "bn1": BatchNormReLU(middle),
        "shuffle": ChannelShuffle(groups),
        "conv2": Conv2d(middle, middle, 3, 1 if same else 2, groups=middle, rng=rng), "bn2": BatchNorm(middle),
        "conv3": Conv2d(middle, end, 1, groups=groups, rng=rng), "bn3": BatchNorm(end), "se": se}
    return SkipSum(branch, relu=True) if same else PoolConcat(branch)
