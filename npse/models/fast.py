"""A network for the shortest runs on 32x32 images: whitened patches, three stages of two convolutions.

    whiten   patches of the images, whitened; an activation                (N, 32, 32, 24)
    layer1   conv 3x3, max pooling 2, batch norm, activation,
             conv 3x3, batch norm, excitation, activation                  (N, 16, 16, 64)
    layer2   the same                                                      (N, 8, 8, 256)
    layer3   the same                                                      (N, 4, 4, 256)
    pool     maximum of each channel; a dense layer without bias           (N, classes)

The convolutions start as partial identities, and the batch norms have no scale that is learned. The design is that of
the fastest published CIFAR-10 trainings (K. Jordan, arXiv 2404.00498), with squeeze-and-excitation as an option.
"""

import itertools
from collections.abc import Collection
from typing import Unpack

import numpy as np

from npse.layers import Activation, BatchNorm, Conv2d, Dense, GlobalMaxPool, MaxPool, Sequential, Whitening
from npse.layers.basic import partial_identity
from npse.layers.excitations import ExcitationOptions
from npse.layers.layer import Layer
from npse.models.options import excitations, expect_stages


def fast(*, se: bool = True, stages: Collection[int] | None = None, classes: int = 10,
         widths: tuple[int, ...] = (64, 256, 256), channels: int = 3, image_size: int = 32, activation: str = "silu",
         whitened: bool = True, patch: int = 3, identity_start: bool = True, norm_scale: bool = False,
         input_gradient: bool = True, seed: int = 0, **options: Unpack[ExcitationOptions]) -> Sequential:
    """Build the network, with squeeze-and-excitation or without.

    Parameters
    ----------
    widths : channels of the stages
    activation : str
        See `npse.layers.Activation`.
    whitened : bool
        Whether the first layer is a `npse.layers.Whitening`, whose ``fit`` must be called with images before training;
        else it is a convolution that is learned.
    patch : int
        Height and width of the whitened patches. With 2, as in the published networks, the maps are 31, 15, 7 and 3
        pixels wide. With 3 they are 32, 16, 8 and 4, of which squares of 4x4 pixels leave no rest for Winograd's
        algorithm.
    identity_start : bool
        Whether convolutions start as partial identities.
    norm_scale : bool
        Whether the batch norms learn a scale.
    se, stages, classes, channels, image_size, input_gradient, seed, options : see `npse.models.options.NetworkOptions`

    Returns
    -------
    Sequential
        (N, H, W, channels) -> logits (N, classes), in float32; H and W are at least 2 ** number of stages, with
        patches of 2 one more.
    """
    expect_stages(stages, len(widths))
    rng = np.random.default_rng(seed)
    excite = excitations(se, stages, rng, **options)
    first = 8 * channels

    def convolution(cin: int, cout: int) -> Conv2d:
        conv = Conv2d(cin, cout, 3, rng=rng)
        bound = (9 * cin) ** -0.5
        weight = rng.uniform(-bound, bound, conv.parameters["weight"].shape).astype(np.float32)
        conv.parameters["weight"] = partial_identity(weight) if identity_start else weight
        return conv

    def stage(cin: int, cout: int, index: int) -> Layer:
        gates = excite(cout, (image_size - 1 + patch % 2) // 2**index, index)
        return Sequential({
            "conv1": convolution(cin, cout), "pool": MaxPool(2), "bn1": BatchNorm(cout, scale=norm_scale),
            "act1": Activation(activation), "conv2": convolution(cout, cout), "bn2": BatchNorm(cout, scale=norm_scale),
            "se": gates, "act2": Activation(activation)})

    padding = (patch - 1) // 2
    if whitened:
        start: Layer = Whitening(channels, patch, padding, first // 2, input_gradient)
    else:
        start = Conv2d(channels, first, patch, input_gradient=input_gradient, padding=padding, bias=True, rng=rng)
    parts: dict[str, Layer] = {"whiten" if whitened else "conv1": start, "act": Activation(activation)}
    parts |= {f"layer{i}": stage(*pair, i) for i, pair in enumerate(itertools.pairwise((first, *widths)), start=1)}
    head = Dense(widths[-1], classes, bias=False, rng=rng)
    weight = head.parameters["weight"]
    head.parameters["weight"] = weight / (weight.std() * widths[-1])
    return Sequential(parts | {"pool": GlobalMaxPool(), "fc": head})
