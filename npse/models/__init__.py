"""Networks compose layers. ``build("se_resnet20", seed=0)``, or by name: ``se_resnet20(seed=0)``."""

from typing import Any

from npse.layers import Sequential
from npse.models.named import (
    MODELS,
    preact_resnet20,
    preact_resnet110,
    preact_resnet164,
    resnet8,
    resnet14,
    resnet20,
    resnet32,
    resnet44,
    resnet50,
    resnet56,
    resnet101,
    resnet110,
    resnet152,
    resnet164,
    resnext29_8x64d,
    resnext29_32x4d,
    resnext50_32x4d,
    resnext101_32x4d,
    se_preact_resnet20,
    se_preact_resnet110,
    se_preact_resnet164,
    se_resnet8,
    se_resnet14,
    se_resnet20,
    se_resnet32,
    se_resnet44,
    se_resnet50,
    se_resnet56,
    se_resnet101,
    se_resnet110,
    se_resnet152,
    se_resnet164,
    se_resnext29_8x64d,
    se_resnext29_32x4d,
    se_resnext50_32x4d,
    se_resnext101_32x4d,
    se_shake_shake26_2x32d,
    se_shake_shake26_2x96d,
    se_wide,
    se_wide_resnet16_8,
    se_wide_resnet28_10,
    senet154,
    shake_shake26_2x32d,
    shake_shake26_2x96d,
    unknown_option,
    wide,
    wide_resnet16_8,
    wide_resnet28_10,
)
from npse.models.resnet import resnet
from npse.support.names import suggest


def build(name: str, **options: Any) -> Sequential:
    """Build the model ``name``.

    Options are those of its family, such as `npse.models.resnet.resnet`; `help` of the model names the family.

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
    "build",
    "preact_resnet20",
    "preact_resnet110",
    "preact_resnet164",
    "resnet",
    "resnet8",
    "resnet14",
    "resnet20",
    "resnet32",
    "resnet44",
    "resnet50",
    "resnet56",
    "resnet101",
    "resnet110",
    "resnet152",
    "resnet164",
    "resnext29_8x64d",
    "resnext29_32x4d",
    "resnext50_32x4d",
    "resnext101_32x4d",
    "se_preact_resnet20",
    "se_preact_resnet110",
    "se_preact_resnet164",
    "se_resnet8",
    "se_resnet14",
    "se_resnet20",
    "se_resnet32",
    "se_resnet44",
    "se_resnet50",
    "se_resnet56",
    "se_resnet101",
    "se_resnet110",
    "se_resnet152",
    "se_resnet164",
    "se_resnext29_8x64d",
    "se_resnext29_32x4d",
    "se_resnext50_32x4d",
    "se_resnext101_32x4d",
    "se_shake_shake26_2x32d",
    "se_shake_shake26_2x96d",
    "se_wide",
    "se_wide_resnet16_8",
    "se_wide_resnet28_10",
    "senet154",
    "shake_shake26_2x32d",
    "shake_shake26_2x96d",
    "wide",
    "wide_resnet16_8",
    "wide_resnet28_10",
]
