"""VGG with batch norm (arXiv 1409.1556): five stages of 3x3 convolutions, each ended by max pooling.

Squeeze-and-excitation stands after the non-linearity that follows each convolution (arXiv 1709.01507, section 3.2).
"""

from collections.abc import Collection
from typing import Unpack

import numpy as np

from npse.layers import BatchNormReLU, Conv2d, Dense, Dropout, GlobalAveragePool, Layer, MaxPool, ReLU, Sequential
from npse.layers.excitations import ExcitationOptions
from npse.layers.flatten import Flatten
from npse.models.options import Excite, excitations, expect_image_size, expect_stages, with_defaults
from npse.support.names import suggest

CONVOLUTIONS = {8: (1, 1, 1, 1, 1), 11: (1, 1, 2, 2, 2), 13: (2, 2, 2, 2, 2), 16: (2, 2, 3, 3, 3), 19: (2, 2, 4, 4, 4)}
WIDTHS = (64, 128, 256, 512, 512)


def vgg(depth: int = 16, *, se: bool = True, stages: Collection[int] | None = None, classes: int = 10,
        widths: tuple[int, ...] = WIDTHS, channels: int = 3, image_size: int = 32, input_gradient: bool = True,
        seed: int = 0, **options: Unpack[ExcitationOptions]) -> Sequential:
    """Build a VGG for 32x32 images: its convolutions, global average pooling and one dense layer.

    Parameters
    ----------
    depth : 11, 13, 16 or 19, the layers with weights in the paper, three of them dense; or 8, a convolution in each
        stage
    widths : channels of the stages; fewer than five leave out the last stages
    se, stages, classes, channels, image_size, input_gradient, seed, options : see `npse.models.options.NetworkOptions`

    Returns
    -------
    Sequential
        (N, H, W, channels) -> logits (N, classes), in float32; H and W are at least 2 ** number of stages.

    Raises
    ------
    ValueError
        An unknown depth or stage, or too small images; errors of `npse.layers.make_excitation`.
    """
    rng = np.random.default_rng(seed)
    excite = excitations(se, stages, rng, **options)
    parts = convolutions(depth, widths, stages, channels, image_size, input_gradient, excite, rng)
    return Sequential(parts | {"pool": GlobalAveragePool(), "fc": Dense(widths[-1], classes, rng=rng)})


def imagenet_vgg(depth: int = 16, *, se: bool = True, stages: Collection[int] | None = None, classes: int = 1000,
                 widths: tuple[int, ...] = WIDTHS, hidden: int = 4096, dropout: float = 0.5, channels: int = 3,
                 image_size: int = 224, input_gradient: bool = True, seed: int = 0,
                 **options: Unpack[ExcitationOptions]) -> Sequential:
    """Build a VGG for 224x224 images, with the paper's three dense layers. Its convolutions have biases.

    The arrays are those of ``vgg16_bn`` of torchvision. There all convolutions and batch norms have numbers in one
    list, ``features.0``, ...; the dense layers are ``classifier.0``, ``.3`` and ``.6``, and the first of them reads a
    map channel by channel, not pixel by pixel.

    Parameters
    ----------
    depth, widths : see `vgg`
    hidden : int, units of the first two dense layers
    dropout : float, rate after each of these two
    image_size : int, height and width of all images; a multiple of 2 ** number of stages
    se, stages, classes, channels, input_gradient, seed : see `npse.models.options.NetworkOptions`
    options : see `npse.models.options.NetworkOptions`; by default reduction=16

    Returns
    -------
    Sequential
        (N, image_size, image_size, channels) -> logits (N, classes), in float32.

    Raises
    ------
    ValueError
        As for `vgg`.
    """
    rng = np.random.default_rng(seed)
    excite = excitations(se, stages, rng, **with_defaults(options, reduction=16))
    parts = convolutions(depth, widths, stages, channels, image_size, input_gradient, excite, rng, bias=True)
    size = image_size // 2 ** len(widths)
    return Sequential(parts | {
        "flatten": Flatten(),
        "fc1": Dense(size * size * widths[-1], hidden, rng=rng), "relu1": ReLU(), "drop1": Dropout(dropout, seed),
        "fc2": Dense(hidden, hidden, rng=rng), "relu2": ReLU(), "drop2": Dropout(dropout, seed + 1),
        "fc": Dense(hidden, classes, rng=rng)})


def convolutions(depth: int, widths: tuple[int, ...], stages: Collection[int] | None, channels: int, image_size: int,
                 input_gradient: bool, excite: Excite, rng: np.random.Generator, bias: bool = False
                 ) -> dict[str, Layer]:
    """Return the first convolution, ``stem``, and the stages ``layer1``, ... with all others."""
    if depth not in CONVOLUTIONS:
        raise ValueError(f"unknown depth {depth!r}; {suggest(str(depth), map(str, CONVOLUTIONS))}")
    expect_stages(stages, len(widths))
    expect_image_size(image_size, 2 ** len(widths))

    def unit(cin: int, cout: int, stage: int) -> Sequential:
        conv = Conv2d(cin, cout, 3, input_gradient=input_gradient or stage > 0, bias=bias, rng=rng)
        gates = excite(cout, image_size // 2 ** max(stage - 1, 0), max(stage, 1))
        return Sequential({"conv1": conv, "bn1": BatchNormReLU(cout), "se": gates})

    parts: dict[str, Layer] = {"stem": unit(channels, widths[0], 0)}
    cin = widths[0]
    for stage, (count, width) in enumerate(zip(CONVOLUTIONS[depth], widths, strict=False), start=1):
        units: dict[str, Layer] = {}
        for index in range(count - 1 if stage == 1 else count):
            units[str(index)] = unit(cin, width, stage)
            cin = width
        parts[f"layer{stage}"] = Sequential(units | {"pool": MaxPool(2)})
    return parts
