"""SENet-154, the network that won ILSVRC 2017: arXiv 1709.01507, appendix.

It is a 64x4d ResNeXt-152 with squeeze-and-excitation and these changes: three 3x3 convolutions in place of the first
7x7 one; half as many channels in the first convolution of each bottleneck; 3x3 convolutions in place of 1x1 ones on the
shortcuts that halve the map; dropout of 0.2 before the last layer. The max pooling rounds its size up, as in the
authors' framework.

Names and arrays are those of timm's ``legacy_senet154``, but for the names ``se`` (there ``se_module``) and ``fc``
(there ``last_linear``), and the layouts that `npse.models.imagenet_resnet` lists. timm's dropout is off by default.
"""

from collections.abc import Collection
from typing import Unpack

import numpy as np

from npse.layers import (
    BatchNorm,
    BatchNormReLU,
    Bottleneck,
    Conv2d,
    Dense,
    Dropout,
    GlobalAveragePool,
    Layer,
    MaxPool,
    Sequential,
)
from npse.layers.bottleneck import EXPANSION
from npse.models.options import StructureOptions, excitations, expect_stages
from npse.models.stages import Position, channels_times, excitation_at, residual_stages


def senet(blocks: tuple[int, ...] = (3, 8, 36, 3), cardinality: int = 64, *, dropout: float = 0.2, se: bool = True,
          stages: Collection[int] | None = None, classes: int = 1000, placement: str = "standard", reduction: int = 16,
          bias: bool = True, widths: tuple[int, ...] = (64, 128, 256, 512), channels: int = 3, image_size: int = 224,
          input_gradient: bool = True, seed: int = 0, **options: Unpack[StructureOptions]) -> Sequential:
    """Build the network; by default SENet-154.

    Parameters
    ----------
    blocks, cardinality, placement, widths, reduction, bias : as in `npse.models.imagenet_resnet.imagenet_resnet`
    dropout : float, the part of the features that is dropped before the last layer
    se, stages, classes, channels, image_size, input_gradient, seed, options : see `npse.models.options.NetworkOptions`

    Returns
    -------
    Sequential
        (N, H, W, channels) -> logits (N, classes), in float32.

    Raises
    ------
    ValueError
        An unknown stage or placement; errors of `npse.layers.Dropout` and `npse.layers.make_excitation`.
    """
    expect_stages(stages, len(widths))
    rng = np.random.default_rng(seed)
    excite = excitations(se, stages, rng, reduction=reduction, bias=bias, **options)
    outputs, (first, *_) = channels_times(EXPANSION, widths), widths

    def block(at: Position) -> Bottleneck:
        way = Sequential({"0": Conv2d(at.cin, at.cout, 1 if at.stage == 1 else 3, at.stride, rng=rng),
                          "1": BatchNorm(at.cout)}) if at.changes_shape else None
        part = excitation_at(at, placement, excite)
        return Bottleneck(at.cin, at.cout, at.cout, at.stride, way, part, placement, cardinality, at.cout // 2, rng=rng)

    stem = Sequential({
        "conv1": Conv2d(channels, first, 3, 2, input_gradient=input_gradient, rng=rng), "bn1": BatchNormReLU(first),
        "conv2": Conv2d(first, first, 3, rng=rng), "bn2": BatchNormReLU(first),
        "conv3": Conv2d(first, 2 * first, 3, rng=rng), "bn3": BatchNormReLU(2 * first)})
    parts: dict[str, Layer] = {"layer0": stem, "pool0": MaxPool(3, 2, ceil_mode=True)}
    parts |= residual_stages(block, blocks, outputs, 2 * first, -(-image_size // 4))
    parts |= {"pool": GlobalAveragePool(), "dropout": Dropout(dropout, seed=int(rng.integers(2**31))),
              "fc": Dense(outputs[-1], classes, rng=rng)}
    return Sequential(parts)
