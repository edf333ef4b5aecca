"""Inception with batch norm (arXiv 1409.4842, 1502.03167): modules of four branches, whose outputs are concatenated.

Squeeze-and-excitation stands after the concatenation, once in each module (figure 2 of arXiv 1709.01507).
"""

from collections.abc import Collection
from typing import NamedTuple, Unpack

import numpy as np

from npse.layers import (
    AveragePool,
    BatchNormReLU,
    Branches,
    Conv2d,
    Dense,
    Excitation,
    GlobalAveragePool,
    Layer,
    MaxPool,
    Sequential,
)
from npse.layers.excitations import ExcitationOptions
from npse.models.options import excitations, expect_stages


class Widths(NamedTuple):
    """Channels of a module's branches.

    Attributes
    ----------
    one : int, of the 1x1 convolution; 0 for a module without this branch
    reduced3, three : int, of the 1x1 convolution and of the 3x3 convolution after it
    reduced5, five : int, of the 1x1 convolution and of the two 3x3 convolutions after it
    pool : int, of the 1x1 convolution after the pooling; 0 if no convolution follows it
    """

    one: int
    reduced3: int
    three: int
    reduced5: int
    five: int
    pool: int


def conv_bn_relu(cin: int, *convolutions: tuple[int, int, int], rng: np.random.Generator) -> dict[str, Layer]:
    """Return layers conv1, bn1, conv2, ...: convolutions (cout, kernel, stride), each with batch norm and ReLU."""
    layers: dict[str, Layer] = {}
    for index, (cout, kernel, stride) in enumerate(convolutions, start=1):
        layers[f"conv{index}"] = Conv2d(cin, cout, kernel, stride, rng=rng)
        layers[f"bn{index}"] = BatchNormReLU(cout)
        cin = cout
    return layers


def module_channels(cin: int, widths: Widths) -> int:
    """Return the channels of the output of a module."""
    return widths.one + widths.three + widths.five + (widths.pool or cin)


def inception_module(cin: int, widths: Widths, stride: int = 1, pooling: str = "average",
                     se: Excitation | None = None, *, rng: np.random.Generator) -> Sequential:
    """Make a module: (N, H, W, cin) -> (N, ceil(H / stride), ceil(W / stride), `module_channels`).

    Parameters
    ----------
    cin : int
    widths : Widths
    stride : int, of the last 3x3 convolutions and of the pooling
    pooling : "average" or "max", over 3x3 pixels
    se : Excitation, optional
        For the concatenated branches.
    rng : Generator, draws the weights
    """
    pool: Layer = AveragePool(3, stride, padding=1) if pooling == "average" else MaxPool(3, stride, padding=1)
    branches: dict[str, Layer] = {}
    if widths.one:
        branches["1x1"] = Sequential(conv_bn_relu(cin, (widths.one, 1, 1), rng=rng))
    branches["3x3"] = Sequential(conv_bn_relu(cin, (widths.reduced3, 1, 1), (widths.three, 3, stride), rng=rng))
    branches["5x5"] = Sequential(
        conv_bn_relu(cin, (widths.reduced5, 1, 1), (widths.five, 3, 1), (widths.five, 3, stride), rng=rng))
    projection = conv_bn_relu(cin, (widths.pool, 1, 1), rng=rng) if widths.pool else {}
    branches["pool"] = Sequential({"pool": pool} | projection)
    return Sequential({"branches": Branches(branches), "se": se})


def inception(*, se: bool = True, stages: Collection[int] | None = None, classes: int = 10, blocks: int = 2,
              widths: tuple[int, ...] = (128, 256, 512), channels: int = 3, image_size: int = 32,
              input_gradient: bool = True, seed: int = 0, **options: Unpack[ExcitationOptions]) -> Sequential:
    """Build an Inception network for 32x32 images, with squeeze-and-excitation in every module or in none.

    The network has a first convolution, stages of modules, global average pooling and one dense layer. From the second
    stage on, a stage begins with a max pooling that halves the map.

    Parameters
    ----------
    blocks : int, modules in each stage
    widths : channels of the stages, multiples of 8. A quarter is computed by the 1x1 convolution, a half by the 3x3
        convolution, an eighth by the two 3x3 convolutions, an eighth by the pooling. The first convolution has half the
        channels of the first stage.
    se, stages, classes, channels, image_size, input_gradient, seed, options : see `npse.models.options.NetworkOptions`

    Returns
    -------
    Sequential
        (N, H, W, channels) -> logits (N, classes), in float32.

    Raises
    ------
    ValueError
        A width that 8 does not divide, an unknown stage; errors of `npse.layers.make_excitation`.
    """
    if wrong := [width for width in widths if width < 8 or width % 8]:
        raise ValueError(f"widths must be multiples of 8, but one is {wrong[0]}")
    expect_stages(stages, len(widths))
    rng = np.random.default_rng(seed)
    excite = excitations(se, stages, rng, **options)
    cin, size = widths[0] // 2, image_size
    first = Conv2d(channels, cin, 3, input_gradient=input_gradient, rng=rng)
    parts: dict[str, Layer] = {"stem": Sequential({"conv1": first, "bn1": BatchNormReLU(cin)})}
    for stage, width in enumerate(widths, start=1):
        modules: dict[str, Layer] = {}
        if stage > 1:
            modules["pool"] = MaxPool(3, 2, padding=1)
            size = (size + 1) // 2
        part = Widths(width // 4, width // 4, width // 2, width // 8, width // 8, width // 8)
        for index in range(blocks):
            modules[str(index)] = inception_module(cin, part, se=excite(width, size, stage), rng=rng)
            cin = width
        parts[f"layer{stage}"] = Sequential(modules)
    return Sequential(parts | {"pool": GlobalAveragePool(), "fc": Dense(cin, classes, rng=rng)})
