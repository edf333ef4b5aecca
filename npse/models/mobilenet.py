"""MobileNet v1 (arXiv 1704.04861): depthwise 3x3 convolutions, each followed by a 1x1 (pointwise) convolution.

The paper of squeeze-and-excitation reports SE-MobileNet but does not say where the gates stand. Here they follow the
pointwise convolution, its batch norm and its ReLU: there the parameters and the multiply-adds are those of its Table 3.
"""

from collections.abc import Collection
from typing import Unpack

import numpy as np

from npse.layers import Conv2d, Dense, GlobalAveragePool, Layer, Sequential
from npse.layers.excitations import ExcitationOptions
from npse.models.inverted import batch_norm_activation
from npse.models.options import excitations, expect_stages

WIDTHS = (64, 128, 256, 512, 1024)
BLOCKS = (1, 2, 2, 6, 2)


def mobilenet(*, se: bool = True, stages: Collection[int] | None = None, classes: int = 10, stem: int = 32,
              widths: tuple[int, ...] = WIDTHS, blocks: tuple[int, ...] = BLOCKS, activation: str = "relu",
              small_images: bool = True, channels: int = 3, image_size: int = 32, input_gradient: bool = True,
              seed: int = 0, **options: Unpack[ExcitationOptions]) -> Sequential:
    """Build a MobileNet, with squeeze-and-excitation in every block or in none.

    Parameters
    ----------
    stem : int, channels of the first convolution
    widths, blocks : channels and number of blocks of the stages. From the second stage on, the first block halves the
        map. If there are fewer widths than numbers of blocks, the last stages are left out.
    activation : str, as in `batch_norm_activation`
    small_images : bool
        For 32x32 images. The first convolution does not halve the map.
    se, stages, classes, channels, image_size, input_gradient, seed, options : see `npse.models.options.NetworkOptions`

    Returns
    -------
    Sequential
        (N, H, W, channels) -> logits (N, classes), in float32.

    Raises
    ------
    ValueError
        An unknown stage or activation; errors of `npse.layers.make_excitation`.
    """
    expect_stages(stages, len(widths))
    rng = np.random.default_rng(seed)
    excite = excitations(se, stages, rng, **options)
    stride = 1 if small_images else 2
    parts: dict[str, Layer] = {"stem": Sequential(
        {"conv1": Conv2d(channels, stem, 3, stride, input_gradient=input_gradient, rng=rng),
         **batch_norm_activation(1, stem, activation)})}
    cin, size = stem, image_size // stride
    for stage, (cout, count) in enumerate(zip(widths, blocks, strict=False), start=1):
        made: dict[str, Layer] = {}
        for index in range(count):
            stride = 2 if stage > 1 and index == 0 else 1
            size //= stride
            made[str(index)] = Sequential({
                "conv_dw": Conv2d(cin, cin, 3, stride, groups=cin, rng=rng),
                **batch_norm_activation(1, cin, activation),
                "conv_pw": Conv2d(cin, cout, 1, rng=rng),
                **batch_norm_activation(2, cout, activation),
                "se": excite(cout, size, stage)})
            cin = cout
        parts[f"layer{stage}"] = Sequential(made)
    return Sequential(parts | {"pool": GlobalAveragePool(), "fc": Dense(cin, classes, rng=rng)})
