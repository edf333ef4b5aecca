"""A wide and shallow network for 32x32 images, for short runs: few layers, many channels, early pooling.

The network has a first convolution of few channels, then three stages. Each stage has a convolution, a max pooling that
halves the map, and a residual unit: a single convolution with squeeze-and-excitation. The design follows the networks
of the fastest published CIFAR-10 trainings (K. Jordan, arXiv 2404.00498).
"""

import itertools
from collections.abc import Collection
from typing import Unpack

import numpy as np

from npse.layers import (
    BatchNorm,
    BatchNormReLU,
    Conv2d,
    Dense,
    GlobalAveragePool,
    MaxPool,
    ResidualUnit,
    Sequential,
)
from npse.layers.excitations import ExcitationOptions
from npse.models.options import excitations, expect_stages


def wide(*, se: bool = True, stages: Collection[int] | None = None, classes: int = 10,
         widths: tuple[int, ...] = (32, 64, 256, 256), channels: int = 3, image_size: int = 32,
         input_gradient: bool = True, seed: int = 0, **options: Unpack[ExcitationOptions]) -> Sequential:
    """Build the network, with squeeze-and-excitation or without.

    Parameters
    ----------
    widths : channels of the first convolution and of the stages
    se, stages, classes, channels, image_size, input_gradient, seed, options : see `npse.models.options.NetworkOptions`

    Returns
    -------
    Sequential
        (N, H, W, channels) -> logits (N, classes), in float32; H and W are at least 2 ** number of stages.
    """
    expect_stages(stages, len(widths) - 1)
    rng = np.random.default_rng(seed)
    stem, excite = widths[0], excitations(se, stages, rng, **options)

    def stage(cin: int, cout: int, index: int) -> Sequential:
        gates = excite(cout, image_size // 2**index, index)
        return Sequential({
            "conv1": Conv2d(cin, cout, 3, rng=rng), "pool": MaxPool(2), "bn1": BatchNormReLU(cout),
            "unit": ResidualUnit(Conv2d(cout, cout, 3, rng=rng), BatchNorm(cout), gates)})

    parts = {"conv1": Conv2d(channels, stem, 3, input_gradient=input_gradient, rng=rng), "bn1": BatchNormReLU(stem)}
    parts |= {f"layer{i}": stage(*pair, i) for i, pair in enumerate(itertools.pairwise(widths), start=1)}
    return Sequential(parts | {"pool": GlobalAveragePool(), "fc": Dense(widths[-1], classes, rng=rng)})
