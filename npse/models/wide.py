"""A wide and shallow network for 32x32 images, for short runs: few layers, many channels, early pooling.

The network has a first convolution of few channels, then three stages. Each stage has a convolution, a max pooling that
halves the map, and a residual unit: a single convolution with squeeze-and-excitation. The design follows the networks
of the fastest published CIFAR-10 trainings (K. Jordan, arXiv 2404.00498).
"""

import itertools

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
    make_excitation,
)


def wide(*, se: bool = True, classes: int = 10, reduction: int = 4, bias: bool = False, min_hidden: int = 4,
         excitation: str = "se", gate: str = "sigmoid",
         widths: tuple[int, ...] = (32, 64, 256, 256), channels: int = 3, input_gradient: bool = True,
         seed: int = 0) -> Sequential:
    """Build the network, with squeeze-and-excitation or without.

    Parameters
    ----------
    widths : channels of the first convolution and of the stages
    se, classes, reduction, bias, min_hidden, excitation, gate, channels, input_gradient, seed : as in
        `npse.models.resnet.resnet`

    Returns
    -------
    Sequential
        (N, H, W, channels) -> logits (N, classes), in float32; H and W are at least 2 ** number of stages.
    """
    rng = np.random.default_rng(seed)
    stem = widths[0]

    def stage(cin: int, cout: int) -> Sequential:
        gates = make_excitation(excitation, cout, reduction=reduction, min_hidden=min_hidden, bias=bias, gate=gate,
                                rng=rng) if se else None
        return Sequential({
            "conv1": Conv2d(cin, cout, 3, rng=rng), "pool": MaxPool(2), "bn1": BatchNormReLU(cout),
            "unit": ResidualUnit(Conv2d(cout, cout, 3, rng=rng), BatchNorm(cout), gates)})

    parts = {"conv1": Conv2d(channels, stem, 3, input_gradient=input_gradient, rng=rng), "bn1": BatchNormReLU(stem)}
    parts |= {f"layer{i}": stage(*pair) for i, pair in enumerate(itertools.pairwise(widths), start=1)}
    return Sequential(parts | {"pool": GlobalAveragePool(), "fc": Dense(widths[-1], classes, rng=rng)})
