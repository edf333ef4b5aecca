"""Residual networks for small images, by name."""

from typing import Unpack

from npse.layers import Sequential
from npse.models.bottleneck_resnet import bottleneck_resnet
from npse.models.fast import fast as fast_network
from npse.models.named_options import DropoutOptions, FastOptions, ResNetOptions, ShakeOptions, WideOptions
from npse.models.naming import model
from npse.models.preact_resnet import preact_resnet
from npse.models.resnet import resnet
from npse.models.resnext import resnext
from npse.models.shake_shake import shake_shake
from npse.models.wide import wide as wide_network
from npse.models.wide_resnet import wide_resnet


@model(resnet, se=True)
def se_resnet8(**options: Unpack[ResNetOptions]) -> Sequential:
    """SE-ResNet-8: 3 residual blocks, each with squeeze-and-excitation. Options: see `resnet`."""
    return resnet(8, **options)



@model(resnet, se=True)
def se_resnet14(**options: Unpack[ResNetOptions]) -> Sequential:
    """SE-ResNet-14: 6 residual blocks, each with squeeze-and-excitation. Options: see `resnet`."""
    return resnet(14, **options)



@model(resnet, se=True)
def se_resnet20(**options: Unpack[ResNetOptions]) -> Sequential:
    """SE-ResNet-20: 9 residual blocks, each with squeeze-and-excitation. Options: see `resnet`."""
    return resnet(20, **options)



@model(resnet, se=True)
def se_resnet32(**options: Unpack[ResNetOptions]) -> Sequential:
    """SE-ResNet-32: 15 residual blocks, each with squeeze-and-excitation. Options: see `resnet`."""
    return resnet(32, **options)



@model(resnet, se=True)
def se_resnet44(**options: Unpack[ResNetOptions]) -> Sequential:
    """SE-ResNet-44: 21 residual blocks, each with squeeze-and-excitation. Options: see `resnet`."""
    return resnet(44, **options)



@model(resnet, se=True)
def se_resnet56(**options: Unpack[ResNetOptions]) -> Sequential:
    """SE-ResNet-56: 27 residual blocks, each with squeeze-and-excitation. Options: see `resnet`."""
    return resnet(56, **options)



@model(resnet, se=True)
def se_resnet110(**options: Unpack[ResNetOptions]) -> Sequential:
    """SE-ResNet-110: 54 residual blocks, each with squeeze-and-excitation. Options: see `resnet`."""
    return resnet(110, **options)



@model(resnet, se=False)
def resnet8(**options: Unpack[ResNetOptions]) -> Sequential:
    """ResNet-8: 3 residual blocks, without squeeze-and-excitation. Options: see `resnet`."""
    return resnet(8, **options)



@model(resnet, se=False)
def resnet14(**options: Unpack[ResNetOptions]) -> Sequential:
    """ResNet-14: 6 residual blocks, without squeeze-and-excitation. Options: see `resnet`."""
    return resnet(14, **options)



@model(resnet, se=False)
def resnet20(**options: Unpack[ResNetOptions]) -> Sequential:
    """ResNet-20: 9 residual blocks, without squeeze-and-excitation. Options: see `resnet`."""
    return resnet(20, **options)



@model(resnet, se=False)
def resnet32(**options: Unpack[ResNetOptions]) -> Sequential:
    """ResNet-32: 15 residual blocks, without squeeze-and-excitation. Options: see `resnet`."""
    return resnet(32, **options)



@model(resnet, se=False)
def resnet44(**options: Unpack[ResNetOptions]) -> Sequential:
    """ResNet-44: 21 residual blocks, without squeeze-and-excitation. Options: see `resnet`."""
    return resnet(44, **options)



@model(resnet, se=False)
def resnet56(**options: Unpack[ResNetOptions]) -> Sequential:
    """ResNet-56: 27 residual blocks, without squeeze-and-excitation. Options: see `resnet`."""
    return resnet(56, **options)



@model(resnet, se=False)
def resnet110(**options: Unpack[ResNetOptions]) -> Sequential:
    """ResNet-110: 54 residual blocks, without squeeze-and-excitation. Options: see `resnet`."""
    return resnet(110, **options)



@model(wide_network, se=True)
def se_wide(**options: Unpack[WideOptions]) -> Sequential:
    """The wide and shallow network, with squeeze-and-excitation. Options: see `npse.models.wide`."""
    return wide_network(**options)



@model(wide_network, se=False)
def wide(**options: Unpack[WideOptions]) -> Sequential:
    """The wide and shallow network, without squeeze-and-excitation. Options: see `npse.models.wide`."""
    return wide_network(**options)



@model(fast_network, se=True)
def se_fast(**options: Unpack[FastOptions]) -> Sequential:
    """SE-Fast: the network for the shortest runs, with squeeze-and-excitation. Options: see `npse.models.fast`."""
    return fast_network(**options)



@model(fast_network, se=False)
def fast(**options: Unpack[FastOptions]) -> Sequential:
    """Fast: the network for the shortest runs, without squeeze-and-excitation. Options: see `npse.models.fast`."""
    return fast_network(**options)



@model(bottleneck_resnet, se=True)
def se_resnet164(**options: Unpack[ResNetOptions]) -> Sequential:
    """SE-ResNet-164: 54 bottlenecks, with squeeze-and-excitation. Options: see `bottleneck_resnet`."""
    return bottleneck_resnet(164, **options)



@model(bottleneck_resnet, se=False)
def resnet164(**options: Unpack[ResNetOptions]) -> Sequential:
    """ResNet-164: 54 bottlenecks, without squeeze-and-excitation. Options: see `bottleneck_resnet`."""
    return bottleneck_resnet(164, **options)



@model(preact_resnet, se=True)
def se_preact_resnet20(**options: Unpack[ResNetOptions]) -> Sequential:
    """SE-PreAct-ResNet-20: 9 pre-activation blocks, with squeeze-and-excitation. Options: see `preact_resnet`."""
    return preact_resnet(20, **options)



@model(preact_resnet, se=False)
def preact_resnet20(**options: Unpack[ResNetOptions]) -> Sequential:
    """PreAct-ResNet-20: 9 pre-activation blocks, without squeeze-and-excitation. Options: see `preact_resnet`."""
    return preact_resnet(20, **options)



@model(preact_resnet, se=True)
def se_preact_resnet110(**options: Unpack[ResNetOptions]) -> Sequential:
    """SE-PreAct-ResNet-110: 54 pre-activation blocks, with squeeze-and-excitation. Options: see `preact_resnet`."""
    return preact_resnet(110, **options)



@model(preact_resnet, se=False)
def preact_resnet110(**options: Unpack[ResNetOptions]) -> Sequential:
    """PreAct-ResNet-110: 54 pre-activation blocks, without squeeze-and-excitation. Options: see `preact_resnet`."""
    return preact_resnet(110, **options)



@model(preact_resnet, se=True)
def se_preact_resnet164(**options: Unpack[ResNetOptions]) -> Sequential:
    """SE-PreAct-ResNet-164: 54 pre-activation bottlenecks, with squeeze-and-excitation.

    Options: see `preact_resnet`.
    """
    return preact_resnet(164, "bottleneck", **options)



@model(preact_resnet, se=False)
def preact_resnet164(**options: Unpack[ResNetOptions]) -> Sequential:
    """PreAct-ResNet-164: 54 pre-activation bottlenecks, without squeeze-and-excitation.

    Options: see `preact_resnet`.
    """
    return preact_resnet(164, "bottleneck", **options)



@model(resnext, se=True)
def se_resnext29_8x64d(**options: Unpack[ResNetOptions]) -> Sequential:
    """SE-ResNeXt-29-8x64d: 9 bottlenecks with 8 groups, with squeeze-and-excitation. Options: see `resnext`."""
    return resnext(29, 8, 64, **options)



@model(resnext, se=False)
def resnext29_8x64d(**options: Unpack[ResNetOptions]) -> Sequential:
    """ResNeXt-29-8x64d: 9 bottlenecks with 8 groups, without squeeze-and-excitation. Options: see `resnext`."""
    return resnext(29, 8, 64, **options)



@model(resnext, se=True)
def se_resnext29_32x4d(**options: Unpack[ResNetOptions]) -> Sequential:
    """SE-ResNeXt-29-32x4d: 9 bottlenecks with 32 groups, with squeeze-and-excitation. Options: see `resnext`."""
    return resnext(29, 32, 4, **options)



@model(resnext, se=False)
def resnext29_32x4d(**options: Unpack[ResNetOptions]) -> Sequential:
    """ResNeXt-29-32x4d: 9 bottlenecks with 32 groups, without squeeze-and-excitation. Options: see `resnext`."""
    return resnext(29, 32, 4, **options)



@model(wide_resnet, se=True)
def se_wide_resnet16_8(**options: Unpack[DropoutOptions]) -> Sequential:
    """SE-Wide-ResNet-16-8: 6 pre-activation blocks, 8 times as wide, with squeeze-and-excitation.

    Options: see `wide_resnet`.
    """
    return wide_resnet(16, 8, **options)



@model(wide_resnet, se=False)
def wide_resnet16_8(**options: Unpack[DropoutOptions]) -> Sequential:
    """Wide-ResNet-16-8: 6 pre-activation blocks, 8 times as wide, without squeeze-and-excitation.

    Options: see `wide_resnet`.
    """
    return wide_resnet(16, 8, **options)



@model(wide_resnet, se=True)
def se_wide_resnet28_10(**options: Unpack[DropoutOptions]) -> Sequential:
    """SE-Wide-ResNet-28-10: 12 pre-activation blocks, 10 times as wide, with squeeze-and-excitation.

    Options: see `wide_resnet`.
    """
    return wide_resnet(28, 10, **options)



@model(wide_resnet, se=False)
def wide_resnet28_10(**options: Unpack[DropoutOptions]) -> Sequential:
    """Wide-ResNet-28-10: 12 pre-activation blocks, 10 times as wide, without squeeze-and-excitation.

    Options: see `wide_resnet`.
    """
    return wide_resnet(28, 10, **options)



@model(shake_shake, se=True)
def se_shake_shake26_2x32d(**options: Unpack[ShakeOptions]) -> Sequential:
    """SE-Shake-Shake-26-2x32d: 12 blocks of two branches, with squeeze-and-excitation. Options: see `shake_shake`."""
    return shake_shake(26, 32, **options)



@model(shake_shake, se=False)
def shake_shake26_2x32d(**options: Unpack[ShakeOptions]) -> Sequential:
    """Shake-Shake-26-2x32d: 12 blocks of two branches, without squeeze-and-excitation. Options: see `shake_shake`."""
    return shake_shake(26, 32, **options)



@model(shake_shake, se=True)
def se_shake_shake26_2x96d(**options: Unpack[ShakeOptions]) -> Sequential:
    """SE-Shake-Shake-26-2x96d: 12 blocks of two branches, with squeeze-and-excitation. Options: see `shake_shake`."""
    return shake_shake(26, 96, **options)



@model(shake_shake, se=False)
def shake_shake26_2x96d(**options: Unpack[ShakeOptions]) -> Sequential:
    """Shake-Shake-26-2x96d: 12 blocks of two branches, without squeeze-and-excitation. Options: see `shake_shake`."""
    return shake_shake(26, 96, **options)

