"""Inception-ResNet-v2 for 299x299 images (arXiv 1602.07261): Inception modules as the branches of residual blocks.

This is the network of the published weights: it has more blocks than the figures of the paper, 10, 20 and 10. A block
multiplies its branch by a factor, such as 0.17, before it adds the input. Squeeze-and-excitation stands at the end of
the branch, before the factor. Names of arrays are those of timm's ``inception_resnet_v2``, but for ``branches`` within
a block, and ``fc`` for ``classif``.
"""

from collections.abc import Collection
from typing import Unpack

import numpy as np

from npse.layers import (
    AveragePool,
    BatchNormReLU,
    Branches,
    Conv2d,
    Dense,
    Dropout,
    Excitation,
    GlobalAveragePool,
    Layer,
    MaxPool,
    Sequential,
)
from npse.layers.axis_conv import AxisConv2d
from npse.layers.excitations import ExcitationOptions
from npse.layers.scaled import Scaled
from npse.layers.sequential import SkipSum
from npse.models.options import excitations, expect_image_size, expect_stages, with_defaults

EPS = 1e-3                                                  # of the batch norms
_Convolution = tuple[int, int | tuple[int, int], int]       # channels, kernel and stride; stride 2 has no padding

# branches of the residual blocks of each stage: convolutions one after another
BLOCKS: tuple[tuple[tuple[_Convolution, ...], ...], ...] = (
    (((32, 1, 1),), ((32, 1, 1), (32, 3, 1)), ((32, 1, 1), (48, 3, 1), (64, 3, 1))),
    (((192, 1, 1),), ((128, 1, 1), (160, (1, 7), 1), (192, (7, 1), 1))),
    (((192, 1, 1),), ((192, 1, 1), (224, (1, 3), 1), (256, (3, 1), 1))),
)
OUTPUTS = 320, 1088, 2080                                   # channels of the stages
FACTORS = 0.17, 0.10, 0.20                                  # of the branches of the stages
FIRST: tuple[tuple[_Convolution, ...], ...] = (((96, 1, 1),), ((48, 1, 1), (64, 5, 1)),
                                               ((64, 1, 1), (96, 3, 1), (96, 3, 1)))
POOLED = 64                                                 # channels of the first module's fourth branch
HALVING: tuple[tuple[tuple[_Convolution, ...], ...], ...] = (      # modules between the stages
    (((384, 3, 2),), ((256, 1, 1), (256, 3, 1), (384, 3, 2))),
    (((256, 1, 1), (384, 3, 2)), ((256, 1, 1), (288, 3, 2)), ((256, 1, 1), (288, 3, 1), (320, 3, 2))),
)
LAST = 1536                                                 # channels before the dense layer


def inception_resnet_v2(*, se: bool = True, stages: Collection[int] | None = None, classes: int = 1000,
                        blocks: tuple[int, int, int] = (10, 20, 10), dropout: float = 0.2, channels: int = 3,
                        image_size: int = 299, input_gradient: bool = True, seed: int = 0,
                        **options: Unpack[ExcitationOptions]) -> Sequential:
    """Build Inception-ResNet-v2, with squeeze-and-excitation in every residual block or in none.

    Parameters
    ----------
    blocks : residual blocks of the three stages; the last block of the network has neither ReLU nor factor
    dropout : float, rate before the dense layer
    image_size : int, at least 75
    se, stages, classes, channels, input_gradient, seed : see `npse.models.options.NetworkOptions`
    options : see `npse.models.options.NetworkOptions`; by default reduction=16

    Returns
    -------
    Sequential
        (N, H, W, channels) -> logits (N, classes), in float32; H and W are at least 75.

    Raises
    ------
    ValueError
        An unknown stage, or too small images; errors of `npse.layers.make_excitation`.
    """
    expect_stages(stages, len(BLOCKS))
    expect_image_size(image_size, 75)
    rng = np.random.default_rng(seed)
    excite = excitations(se, stages, rng, **with_defaults(options, reduction=16))
    size = _halved(_halved(_halved(image_size) - 2) - 2)
    parts: dict[str, Layer] = {
        "conv2d_1a": _conv(channels, 32, 3, 2, rng, padding=0, input_gradient=input_gradient),
        "conv2d_2a": _conv(32, 32, 3, 1, rng, padding=0), "conv2d_2b": _conv(32, 64, 3, 1, rng),
        "maxpool_3a": MaxPool(3, 2),
        "conv2d_3b": _conv(64, 80, 1, 1, rng), "conv2d_4a": _conv(80, 192, 3, 1, rng, padding=0),
        "maxpool_5a": MaxPool(3, 2),
        "mixed_5b": Branches(_branches(192, FIRST, rng) | {"branch3": Sequential({
            "0": AveragePool(3, 1, padding=1, count_include_pad=False), "1": _conv(192, POOLED, 1, 1, rng)})})}
    for stage, (name, count) in enumerate(zip(("repeat", "repeat_1", "repeat_2"), blocks, strict=True), start=1):
        if stage > 1:
            mixed = _branches(OUTPUTS[stage - 2], HALVING[stage - 2], rng)
            parts[("mixed_6a", "mixed_7a")[stage - 2]] = Branches(mixed | {f"branch{len(mixed)}": MaxPool(3, 2)})
            size = _halved(size)
        made: dict[str, Layer] = {}
        for index in range(count):
            gates = excite(OUTPUTS[stage - 1], size, stage)
            made[str(index)] = _residual_block(stage, gates, rng, last=stage == 3 and index == count - 1)
        last = made.popitem()[1] if stage == 3 else None
        parts[name] = Sequential(made)
    parts |= {"block8": last} if last else {}
    parts |= {"conv2d_7b": _conv(OUTPUTS[-1], LAST, 1, 1, rng), "pool": GlobalAveragePool(),
              "drop": Dropout(dropout, seed), "fc": Dense(LAST, classes, rng=rng)}
    return Sequential(parts)


def _residual_block(stage: int, se: Excitation | None, rng: np.random.Generator, last: bool) -> SkipSum:
    """Return a block: the ReLU of x + factor * conv2d(branches). The last one has neither factor nor ReLU."""
    width, branches = OUTPUTS[stage - 1], BLOCKS[stage - 1]
    concatenated = sum(branch[-1][0] for branch in branches)
    return SkipSum({
        "branches": Branches(_branches(width, branches, rng)),
        "conv2d": Conv2d(concatenated, width, 1, bias=True, rng=rng), "se": se,
        "factor": None if last else Scaled(FACTORS[stage - 1])}, relu=not last)


def _branches(cin: int, table: tuple[tuple[_Convolution, ...], ...], rng: np.random.Generator) -> dict[str, Layer]:
    """Return branch0, branch1, ...; a branch of several convolutions numbers them."""
    made: dict[str, Layer] = {}
    for index, convolutions in enumerate(table):
        layers: dict[str, Layer] = {}
        width = cin
        for number, (cout, kernel, stride) in enumerate(convolutions):
            layers[str(number)] = _conv(width, cout, kernel, stride, rng, padding=0 if stride == 2 else None)
            width = cout
        made[f"branch{index}"] = layers["0"] if len(layers) == 1 else Sequential(layers)
    return made


def _conv(cin: int, cout: int, kernel: int | tuple[int, int], stride: int, rng: np.random.Generator,
          padding: int | None = None, input_gradient: bool = True) -> Sequential:
    """Return a convolution, its batch norm and its ReLU."""
    conv = (AxisConv2d(cin, cout, kernel, rng=rng) if isinstance(kernel, tuple) else
            Conv2d(cin, cout, kernel, stride, input_gradient, padding=padding, rng=rng))
    return Sequential({"conv": conv, "bn": BatchNormReLU(cout, EPS)})


def _halved(size: int) -> int:
    """Return the height of a map after a window of 3x3 pixels with stride 2 and no padding."""
    return (size - 3) // 2 + 1
