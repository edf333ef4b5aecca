"""ResNets and ResNeXts for images of 224x224 pixels: arXiv 1512.03385, 1611.05431; with SE arXiv 1709.01507, table 1.

A 7x7 convolution of stride 2 and a max pooling of stride 2 stand before four stages of bottlenecks. As in torchvision
and timm, a bottleneck has its stride in the 3x3 convolution. Names and arrays are those of timm's ``resnet50``,
``seresnet50`` and ``seresnext50_32x4d`` (in torchvision ``resnet50``), with these differences of layout:

    filters              (Cout, Cin / groups, kh, kw) there, (kh, kw, Cin / groups, Cout) here
    se.fc1, se.fc2       1x1 convolutions (K, C, 1, 1) there, dense layers (K, C) here
    num_batches_tracked  a counter for each batch norm there, none here

The excitations have reduction 16 and biases, as the paper's released models and timm's.
"""

from collections.abc import Collection
from typing import Unpack

import numpy as np

from npse.layers import BatchNormReLU, Bottleneck, Conv2d, Layer, MaxPool, Sequential
from npse.layers.bottleneck import EXPANSION
from npse.models.options import StructureOptions, excitations, expect_stages
from npse.models.stages import Position, channels_times, classifier, excitation_at, residual_stages, shortcut_at


def imagenet_resnet(blocks: tuple[int, ...] = (3, 4, 6, 3), cardinality: int = 1, base_width: int = 64, *,
                    se: bool = True, stages: Collection[int] | None = None, classes: int = 1000,
                    placement: str = "standard", stride_first: bool = False, reduction: int = 16, bias: bool = True,
                    widths: tuple[int, ...] = (64, 128, 256, 512), channels: int = 3, image_size: int = 224,
                    input_gradient: bool = True, seed: int = 0, **options: Unpack[StructureOptions]) -> Sequential:
    """Build a residual network of bottlenecks, with squeeze-and-excitation in its blocks or without.

    Parameters
    ----------
    blocks : bottlenecks of each stage
    cardinality : int, groups of the 3x3 convolutions; 1 for a ResNet
    base_width : int, channels of a group in a stage of width 64
    placement : "standard", "pre", "post", "identity" or "3x3", see `npse.layers.block`
    stride_first : bool, whether the first convolution of a bottleneck has the stride, as in the original networks;
        the paper gives their multiply-adds. By default the 3x3 one has it
    widths : a quarter of the channels of the outputs in each stage; the first is that of the first convolution too
    reduction, bias : see `npse.layers.make_excitation`; the defaults differ from those of the networks for 32x32 images
    se, stages, classes, channels, image_size, input_gradient, seed, options : see `npse.models.options.NetworkOptions`.
        Stages are counted from 1: stage 1 is the paper's stage 2

    Returns
    -------
    Sequential
        (N, H, W, channels) -> logits (N, classes), in float32.

    Raises
    ------
    ValueError
        An unknown stage or placement; errors of `npse.layers.make_excitation`.
    """
    expect_stages(stages, len(widths))
    rng = np.random.default_rng(seed)
    excite = excitations(se, stages, rng, reduction=reduction, bias=bias, **options)
    outputs = channels_times(EXPANSION, widths)

    def block(at: Position) -> Bottleneck:
        width, way = at.cout // EXPANSION * base_width // 64 * cardinality, shortcut_at(at, "projection", rng)
        part = excitation_at(at, placement, excite, width)
        return Bottleneck(at.cin, width, at.cout, at.stride, way, part, placement, cardinality,
                          stride_first=stride_first, rng=rng)

    parts: dict[str, Layer] = {
        "conv1": Conv2d(channels, widths[0], 7, 2, input_gradient=input_gradient, rng=rng),
        "bn1": BatchNormReLU(widths[0]), "maxpool": MaxPool(3, 2, padding=1)}
    return Sequential(parts | residual_stages(block, blocks, outputs, widths[0], -(-image_size // 4))
                      | classifier(outputs[-1], classes, rng))
