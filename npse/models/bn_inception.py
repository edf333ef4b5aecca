"""BN-Inception for 224x224 images (arXiv 1502.03167, figure 5), with squeeze-and-excitation after each module.

The table is that of the published Caffe model: module 4c has a pooling branch of 128 channels, so 4d gets 608 channels.
"""

from collections.abc import Collection
from typing import Unpack

import numpy as np

from npse.layers import BatchNormReLU, Conv2d, Dense, GlobalAveragePool, Layer, MaxPool, Sequential
from npse.layers.excitations import ExcitationOptions
from npse.models.inception import Widths, inception_module, module_channels
from npse.models.options import excitations, expect_stages, with_defaults

# of each module: channels of the branches, stride, pooling
MODULES: tuple[tuple[tuple[Widths, int, str], ...], ...] = (
    ((Widths(64, 64, 64, 64, 96, 32), 1, "average"),              # 3a
     (Widths(64, 64, 96, 64, 96, 64), 1, "average"),
     (Widths(0, 128, 160, 64, 96, 0), 2, "max")),
    ((Widths(224, 64, 96, 96, 128, 128), 1, "average"),           # 4a
     (Widths(192, 96, 128, 96, 128, 128), 1, "average"),
     (Widths(160, 128, 160, 128, 160, 128), 1, "average"),
     (Widths(96, 128, 192, 160, 192, 128), 1, "average"),
     (Widths(0, 128, 192, 192, 256, 0), 2, "max")),
    ((Widths(352, 192, 320, 160, 224, 128), 1, "average"),        # 5a
     (Widths(352, 192, 320, 192, 224, 128), 1, "max")),
)


def bn_inception(*, se: bool = True, stages: Collection[int] | None = None, classes: int = 1000, channels: int = 3,
                 image_size: int = 224, input_gradient: bool = True, seed: int = 0,
                 **options: Unpack[ExcitationOptions]) -> Sequential:
    """Build BN-Inception for 224x224 images. Modules 3a to 3c are ``layer1``, 4a to 4e ``layer2``, 5a, 5b ``layer3``.

    Parameters
    ----------
    se, stages, classes, channels, image_size, input_gradient, seed : see `npse.models.options.NetworkOptions`
    options : see `npse.models.options.NetworkOptions`; by default reduction=16

    Returns
    -------
    Sequential
        (N, H, W, channels) -> logits (N, classes), in float32.

    Raises
    ------
    ValueError
        An unknown stage; errors of `npse.layers.make_excitation`.
    """
    expect_stages(stages, len(MODULES))
    rng = np.random.default_rng(seed)
    excite = excitations(se, stages, rng, **with_defaults(options, reduction=16))
    stem = Sequential({
        "conv1": Conv2d(channels, 64, 7, 2, input_gradient=input_gradient, rng=rng), "bn1": BatchNormReLU(64),
        "pool1": MaxPool(3, 2, ceil_mode=True),
        "conv2": Conv2d(64, 64, 1, rng=rng), "bn2": BatchNormReLU(64),
        "conv3": Conv2d(64, 192, 3, rng=rng), "bn3": BatchNormReLU(192),
        "pool2": MaxPool(3, 2, ceil_mode=True)})
    parts: dict[str, Layer] = {"stem": stem}
    cin, size = 192, image_size // 8
    for stage, modules in enumerate(MODULES, start=1):
        made: dict[str, Layer] = {}
        for index, (widths, stride, pooling) in enumerate(modules):
            size //= stride
            cout = module_channels(cin, widths)
            made[str(index)] = inception_module(cin, widths, stride, pooling, excite(cout, size, stage), rng=rng)
            cin = cout
        parts[f"layer{stage}"] = Sequential(made)
    return Sequential(parts | {"pool": GlobalAveragePool(), "fc": Dense(cin, classes, rng=rng)})
