"""Networks compose layers. ``build("se_resnet20", seed=0)``, or by name: ``se_resnet20(seed=0)``."""

from typing import Any

from npse.layers import Sequential
from npse.models.named import (
    MODELS,
    resnet8,
    resnet14,
    resnet20,
    resnet32,
    resnet44,
    resnet56,
    resnet110,
    se_resnet8,
    se_resnet14,
    se_resnet20,
    se_resnet32,
    se_resnet44,
    se_resnet56,
    se_resnet110,
    se_wide,
    unknown_option,
    wide,
)
from npse.models.named_hosts import (
    bn_inception,
    efficientnet,
    efficientnet_b0,
    inception,
    mobilenet,
    mobilenet_v1,
    mobilenet_v3_large,
    mobilenet_v3_small,
    se_bn_inception,
    se_efficientnet,
    se_efficientnet_b0,
    se_inception,
    se_mobilenet,
    se_mobilenet_v1,
    se_mobilenet_v3_large,
    se_mobilenet_v3_small,
    se_shufflenet,
    se_shufflenet_v1,
    se_vgg8,
    se_vgg16,
    se_vgg16_bn,
    shufflenet,
    shufflenet_v1,
    vgg8,
    vgg16,
    vgg16_bn,
)
from npse.models.resnet import resnet
from npse.support.names import suggest


def build(name: str, **options: Any) -> Sequential:
    """Build the model ``name``.

    Options are those of `npse.models.resnet.resnet` or `npse.models.wide.wide`.

    Raises
    ------
    ValueError
        An unknown name, or an option that the model does not have.
    """
    if name not in MODELS:
        raise ValueError(f"unknown model {name!r}; {suggest(name, MODELS)}")
    if unknown := unknown_option(name, options):
        raise ValueError(unknown)
    return MODELS[name](**options)


__all__ = [
    "MODELS",
    "bn_inception",
    "build",
    "efficientnet",
    "efficientnet_b0",
    "inception",
    "mobilenet",
    "mobilenet_v1",
    "mobilenet_v3_large",
    "mobilenet_v3_small",
    "resnet",
    "resnet8",
    "resnet14",
    "resnet20",
    "resnet32",
    "resnet44",
    "resnet56",
    "resnet110",
    "se_bn_inception",
    "se_efficientnet",
    "se_efficientnet_b0",
    "se_inception",
    "se_mobilenet",
    "se_mobilenet_v1",
    "se_mobilenet_v3_large",
    "se_mobilenet_v3_small",
    "se_resnet8",
    "se_resnet14",
    "se_resnet20",
    "se_resnet32",
    "se_resnet44",
    "se_resnet56",
    "se_resnet110",
    "se_shufflenet",
    "se_shufflenet_v1",
    "se_vgg8",
    "se_vgg16",
    "se_vgg16_bn",
    "se_wide",
    "shufflenet",
    "shufflenet_v1",
    "vgg8",
    "vgg16",
    "vgg16_bn",
    "wide",
]
