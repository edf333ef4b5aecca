"""Models by name: each is a function with typed options, so that an editor can complete the options."""

import functools
import inspect
from collections.abc import Callable, Iterable
from typing import Any, ParamSpec, Unpack

from npse.layers import Sequential
from npse.models.bn_inception import bn_inception as bn_inception_network
from npse.models.bottleneck_resnet import bottleneck_resnet
from npse.models.efficientnet import efficientnet as efficientnet_network
from npse.models.imagenet_resnet import imagenet_resnet
from npse.models.inception import inception as inception_network
from npse.models.inception_resnet import inception_resnet_v2 as inception_resnet_v2_network
from npse.models.mobilenet import mobilenet as mobilenet_network
from npse.models.mobilenet_v3 import LARGE
from npse.models.mobilenet_v3 import mobilenet_v3 as mobilenet_v3_network
from npse.models.options import NetworkOptions, parameters_of
from npse.models.preact_resnet import preact_resnet
from npse.models.resnet import resnet
from npse.models.resnext import resnext
from npse.models.senet154 import senet
from npse.models.shake_shake import shake_shake
from npse.models.shufflenet import shufflenet as shufflenet_network
from npse.models.vgg import imagenet_vgg, vgg
from npse.models.wide import wide as wide_network
from npse.models.wide_resnet import wide_resnet
from npse.support.names import suggest


class WideOptions(NetworkOptions, total=False):
    """Options of `npse.models.wide.wide`."""

    widths: tuple[int, ...]


class PlacementOptions(WideOptions, total=False):
    """The place of the excitations."""

    placement: str


class ImageNetOptions(PlacementOptions, total=False):
    """Options of `npse.models.imagenet_resnet.imagenet_resnet`."""

    stride_first: bool


class ResNetOptions(PlacementOptions, total=False):
    """Options of `npse.models.resnet.resnet`, except the depth; the same for bottlenecks, ResNeXts, pre-activation."""

    shortcut: str


class DropoutOptions(PlacementOptions, total=False):
    """Options of `npse.models.wide_resnet.wide_resnet` and `npse.models.senet154.senet`."""

    dropout: float


class ShakeOptions(NetworkOptions, total=False):
    """Options of `npse.models.shake_shake.shake_shake`."""

    placement: str


class InceptionOptions(WideOptions, total=False):
    """Options of `npse.models.inception.inception`."""

    blocks: int


class InceptionResNetOptions(NetworkOptions, total=False):
    """Options of `npse.models.inception_resnet.inception_resnet_v2`."""

    blocks: tuple[int, int, int]
    dropout: float


class MobileNetOptions(WideOptions, total=False):
    """Options of `npse.models.mobilenet.mobilenet`."""

    stem: int
    blocks: tuple[int, ...]
    activation: str
    small_images: bool


class ShuffleNetOptions(NetworkOptions, total=False):
    """Options of `npse.models.shufflenet.shufflenet`."""

    groups: int
    stem: int
    widths: tuple[int, ...] | None
    blocks: tuple[int, ...]
    small_images: bool


class ImageNetVGGOptions(WideOptions, total=False):
    """Options of `npse.models.vgg.imagenet_vgg`."""

    hidden: int
    dropout: float


class MobileOptions(NetworkOptions, total=False):
    """Options of `npse.models.mobilenet_v3.mobilenet_v3` and `npse.models.efficientnet.efficientnet`."""

    width: float
    small_images: bool
    dropout: float


P = ParamSpec("P")
MODELS: dict[str, Callable[..., Sequential]] = {}
IMAGENET = {"classes": 1000, "image_size": 224, "small_images": False}     # defaults of families for both sizes


def unknown_option(name: str, options: Iterable[str]) -> str | None:
    """Return a message about the first option that the model ``name`` does not have; None if it has all."""
    known = inspect.signature(MODELS[name]).parameters
    for option in options:
        if option not in known:
            return f"{name} has no option {option}; {suggest(option, known)}"
    return None


def _model(family: Callable[..., Sequential], **defaults: Any) -> Callable[[Callable[P, Sequential]],
                                                                           Callable[P, Sequential]]:
    """Return a decorator that adds a function to `MODELS`, with the options of ``family``, some with other defaults."""
    options = [parameter.replace(default=defaults.get(parameter.name, parameter.default))
               for parameter in parameters_of(family)]

    def enter(make: Callable[P, Sequential]) -> Callable[P, Sequential]:
        name = make.__name__

        @functools.wraps(make)
        def model(*arguments: P.args, **given: P.kwargs) -> Sequential:
            if unknown := unknown_option(name, given):
                raise TypeError(unknown)
            return make(*arguments, **{**defaults, **given})

        model.__signature__ = inspect.Signature(options, return_annotation=Sequential)      # type: ignore[attr-defined]
        MODELS[name] = model
        return model
    return enter


@_model(resnet, se=True)
def se_resnet8(**options: Unpack[ResNetOptions]) -> Sequential:
    """SE-ResNet-8: 3 residual blocks, each with squeeze-and-excitation. Options: see `resnet`."""
    return resnet(8, **options)


@_model(resnet, se=True)
def se_resnet14(**options: Unpack[ResNetOptions]) -> Sequential:
    """SE-ResNet-14: 6 residual blocks, each with squeeze-and-excitation. Options: see `resnet`."""
    return resnet(14, **options)


@_model(resnet, se=True)
def se_resnet20(**options: Unpack[ResNetOptions]) -> Sequential:
    """SE-ResNet-20: 9 residual blocks, each with squeeze-and-excitation. Options: see `resnet`."""
    return resnet(20, **options)


@_model(resnet, se=True)
def se_resnet32(**options: Unpack[ResNetOptions]) -> Sequential:
    """SE-ResNet-32: 15 residual blocks, each with squeeze-and-excitation. Options: see `resnet`."""
    return resnet(32, **options)


@_model(resnet, se=True)
def se_resnet44(**options: Unpack[ResNetOptions]) -> Sequential:
    """SE-ResNet-44: 21 residual blocks, each with squeeze-and-excitation. Options: see `resnet`."""
    return resnet(44, **options)


@_model(resnet, se=True)
def se_resnet56(**options: Unpack[ResNetOptions]) -> Sequential:
    """SE-ResNet-56: 27 residual blocks, each with squeeze-and-excitation. Options: see `resnet`."""
    return resnet(56, **options)


@_model(resnet, se=True)
def se_resnet110(**options: Unpack[ResNetOptions]) -> Sequential:
    """SE-ResNet-110: 54 residual blocks, each with squeeze-and-excitation. Options: see `resnet`."""
    return resnet(110, **options)


@_model(resnet, se=False)
def resnet8(**options: Unpack[ResNetOptions]) -> Sequential:
    """ResNet-8: 3 residual blocks, without squeeze-and-excitation. Options: see `resnet`."""
    return resnet(8, **options)


@_model(resnet, se=False)
def resnet14(**options: Unpack[ResNetOptions]) -> Sequential:
    """ResNet-14: 6 residual blocks, without squeeze-and-excitation. Options: see `resnet`."""
    return resnet(14, **options)


@_model(resnet, se=False)
def resnet20(**options: Unpack[ResNetOptions]) -> Sequential:
    """ResNet-20: 9 residual blocks, without squeeze-and-excitation. Options: see `resnet`."""
    return resnet(20, **options)


@_model(resnet, se=False)
def resnet32(**options: Unpack[ResNetOptions]) -> Sequential:
    """ResNet-32: 15 residual blocks, without squeeze-and-excitation. Options: see `resnet`."""
    return resnet(32, **options)


@_model(resnet, se=False)
def resnet44(**options: Unpack[ResNetOptions]) -> Sequential:
    """ResNet-44: 21 residual blocks, without squeeze-and-excitation. Options: see `resnet`."""
    return resnet(44, **options)


@_model(resnet, se=False)
def resnet56(**options: Unpack[ResNetOptions]) -> Sequential:
    """ResNet-56: 27 residual blocks, without squeeze-and-excitation. Options: see `resnet`."""
    return resnet(56, **options)


@_model(resnet, se=False)
def resnet110(**options: Unpack[ResNetOptions]) -> Sequential:
    """ResNet-110: 54 residual blocks, without squeeze-and-excitation. Options: see `resnet`."""
    return resnet(110, **options)


@_model(wide_network, se=True)
def se_wide(**options: Unpack[WideOptions]) -> Sequential:
    """The wide and shallow network, with squeeze-and-excitation. Options: see `npse.models.wide`."""
    return wide_network(**options)


@_model(wide_network, se=False)
def wide(**options: Unpack[WideOptions]) -> Sequential:
    """The wide and shallow network, without squeeze-and-excitation. Options: see `npse.models.wide`."""
    return wide_network(**options)


@_model(bottleneck_resnet, se=True)
def se_resnet164(**options: Unpack[ResNetOptions]) -> Sequential:
    """SE-ResNet-164: 54 bottlenecks, with squeeze-and-excitation. Options: see `bottleneck_resnet`."""
    return bottleneck_resnet(164, **options)


@_model(bottleneck_resnet, se=False)
def resnet164(**options: Unpack[ResNetOptions]) -> Sequential:
    """ResNet-164: 54 bottlenecks, without squeeze-and-excitation. Options: see `bottleneck_resnet`."""
    return bottleneck_resnet(164, **options)


@_model(preact_resnet, se=True)
def se_preact_resnet20(**options: Unpack[ResNetOptions]) -> Sequential:
    """SE-PreAct-ResNet-20: 9 pre-activation blocks, with squeeze-and-excitation. Options: see `preact_resnet`."""
    return preact_resnet(20, **options)


@_model(preact_resnet, se=False)
def preact_resnet20(**options: Unpack[ResNetOptions]) -> Sequential:
    """PreAct-ResNet-20: 9 pre-activation blocks, without squeeze-and-excitation. Options: see `preact_resnet`."""
    return preact_resnet(20, **options)


@_model(preact_resnet, se=True)
def se_preact_resnet110(**options: Unpack[ResNetOptions]) -> Sequential:
    """SE-PreAct-ResNet-110: 54 pre-activation blocks, with squeeze-and-excitation. Options: see `preact_resnet`."""
    return preact_resnet(110, **options)


@_model(preact_resnet, se=False)
def preact_resnet110(**options: Unpack[ResNetOptions]) -> Sequential:
    """PreAct-ResNet-110: 54 pre-activation blocks, without squeeze-and-excitation. Options: see `preact_resnet`."""
    return preact_resnet(110, **options)


@_model(preact_resnet, se=True)
def se_preact_resnet164(**options: Unpack[ResNetOptions]) -> Sequential:
    """SE-PreAct-ResNet-164: 54 pre-activation bottlenecks, with squeeze-and-excitation.

    Options: see `preact_resnet`.
    """
    return preact_resnet(164, "bottleneck", **options)


@_model(preact_resnet, se=False)
def preact_resnet164(**options: Unpack[ResNetOptions]) -> Sequential:
    """PreAct-ResNet-164: 54 pre-activation bottlenecks, without squeeze-and-excitation.

    Options: see `preact_resnet`.
    """
    return preact_resnet(164, "bottleneck", **options)


@_model(resnext, se=True)
def se_resnext29_8x64d(**options: Unpack[ResNetOptions]) -> Sequential:
    """SE-ResNeXt-29-8x64d: 9 bottlenecks with 8 groups, with squeeze-and-excitation. Options: see `resnext`."""
    return resnext(29, 8, 64, **options)


@_model(resnext, se=False)
def resnext29_8x64d(**options: Unpack[ResNetOptions]) -> Sequential:
    """ResNeXt-29-8x64d: 9 bottlenecks with 8 groups, without squeeze-and-excitation. Options: see `resnext`."""
    return resnext(29, 8, 64, **options)


@_model(resnext, se=True)
def se_resnext29_32x4d(**options: Unpack[ResNetOptions]) -> Sequential:
    """SE-ResNeXt-29-32x4d: 9 bottlenecks with 32 groups, with squeeze-and-excitation. Options: see `resnext`."""
    return resnext(29, 32, 4, **options)


@_model(resnext, se=False)
def resnext29_32x4d(**options: Unpack[ResNetOptions]) -> Sequential:
    """ResNeXt-29-32x4d: 9 bottlenecks with 32 groups, without squeeze-and-excitation. Options: see `resnext`."""
    return resnext(29, 32, 4, **options)


@_model(wide_resnet, se=True)
def se_wide_resnet16_8(**options: Unpack[DropoutOptions]) -> Sequential:
    """SE-Wide-ResNet-16-8: 6 pre-activation blocks, 8 times as wide, with squeeze-and-excitation.

    Options: see `wide_resnet`.
    """
    return wide_resnet(16, 8, **options)


@_model(wide_resnet, se=False)
def wide_resnet16_8(**options: Unpack[DropoutOptions]) -> Sequential:
    """Wide-ResNet-16-8: 6 pre-activation blocks, 8 times as wide, without squeeze-and-excitation.

    Options: see `wide_resnet`.
    """
    return wide_resnet(16, 8, **options)


@_model(wide_resnet, se=True)
def se_wide_resnet28_10(**options: Unpack[DropoutOptions]) -> Sequential:
    """SE-Wide-ResNet-28-10: 12 pre-activation blocks, 10 times as wide, with squeeze-and-excitation.

    Options: see `wide_resnet`.
    """
    return wide_resnet(28, 10, **options)


@_model(wide_resnet, se=False)
def wide_resnet28_10(**options: Unpack[DropoutOptions]) -> Sequential:
    """Wide-ResNet-28-10: 12 pre-activation blocks, 10 times as wide, without squeeze-and-excitation.

    Options: see `wide_resnet`.
    """
    return wide_resnet(28, 10, **options)


@_model(shake_shake, se=True)
def se_shake_shake26_2x32d(**options: Unpack[ShakeOptions]) -> Sequential:
    """SE-Shake-Shake-26-2x32d: 12 blocks of two branches, with squeeze-and-excitation. Options: see `shake_shake`."""
    return shake_shake(26, 32, **options)


@_model(shake_shake, se=False)
def shake_shake26_2x32d(**options: Unpack[ShakeOptions]) -> Sequential:
    """Shake-Shake-26-2x32d: 12 blocks of two branches, without squeeze-and-excitation. Options: see `shake_shake`."""
    return shake_shake(26, 32, **options)


@_model(shake_shake, se=True)
def se_shake_shake26_2x96d(**options: Unpack[ShakeOptions]) -> Sequential:
    """SE-Shake-Shake-26-2x96d: 12 blocks of two branches, with squeeze-and-excitation. Options: see `shake_shake`."""
    return shake_shake(26, 96, **options)


@_model(shake_shake, se=False)
def shake_shake26_2x96d(**options: Unpack[ShakeOptions]) -> Sequential:
    """Shake-Shake-26-2x96d: 12 blocks of two branches, without squeeze-and-excitation. Options: see `shake_shake`."""
    return shake_shake(26, 96, **options)


@_model(imagenet_resnet, se=True)
def se_resnet50(**options: Unpack[ImageNetOptions]) -> Sequential:
    """SE-ResNet-50: 16 bottlenecks, for 224x224 images, with squeeze-and-excitation. Options: see `imagenet_resnet`."""
    return imagenet_resnet((3, 4, 6, 3), **options)


@_model(imagenet_resnet, se=False)
def resnet50(**options: Unpack[ImageNetOptions]) -> Sequential:
    """ResNet-50: 16 bottlenecks, for 224x224 images, without squeeze-and-excitation. Options: see `imagenet_resnet`."""
    return imagenet_resnet((3, 4, 6, 3), **options)


@_model(imagenet_resnet, se=True)
def se_resnet101(**options: Unpack[ImageNetOptions]) -> Sequential:
    """SE-ResNet-101: 33 bottlenecks, for 224x224 images, with squeeze-and-excitation.

    Options: see `imagenet_resnet`.
    """
    return imagenet_resnet((3, 4, 23, 3), **options)


@_model(imagenet_resnet, se=False)
def resnet101(**options: Unpack[ImageNetOptions]) -> Sequential:
    """ResNet-101: 33 bottlenecks, for 224x224 images, without squeeze-and-excitation.

    Options: see `imagenet_resnet`.
    """
    return imagenet_resnet((3, 4, 23, 3), **options)


@_model(imagenet_resnet, se=True)
def se_resnet152(**options: Unpack[ImageNetOptions]) -> Sequential:
    """SE-ResNet-152: 50 bottlenecks, for 224x224 images, with squeeze-and-excitation.

    Options: see `imagenet_resnet`.
    """
    return imagenet_resnet((3, 8, 36, 3), **options)


@_model(imagenet_resnet, se=False)
def resnet152(**options: Unpack[ImageNetOptions]) -> Sequential:
    """ResNet-152: 50 bottlenecks, for 224x224 images, without squeeze-and-excitation.

    Options: see `imagenet_resnet`.
    """
    return imagenet_resnet((3, 8, 36, 3), **options)


@_model(imagenet_resnet, se=True)
def se_resnext50_32x4d(**options: Unpack[ImageNetOptions]) -> Sequential:
    """SE-ResNeXt-50-32x4d: 16 bottlenecks with 32 groups, for 224x224 images, with squeeze-and-excitation.

    Options: see `imagenet_resnet`.
    """
    return imagenet_resnet((3, 4, 6, 3), 32, 4, **options)


@_model(imagenet_resnet, se=False)
def resnext50_32x4d(**options: Unpack[ImageNetOptions]) -> Sequential:
    """ResNeXt-50-32x4d: 16 bottlenecks with 32 groups, for 224x224 images, without squeeze-and-excitation.

    Options: see `imagenet_resnet`.
    """
    return imagenet_resnet((3, 4, 6, 3), 32, 4, **options)


@_model(imagenet_resnet, se=True)
def se_resnext101_32x4d(**options: Unpack[ImageNetOptions]) -> Sequential:
    """SE-ResNeXt-101-32x4d: 33 bottlenecks with 32 groups, for 224x224 images, with squeeze-and-excitation.

    Options: see `imagenet_resnet`.
    """
    return imagenet_resnet((3, 4, 23, 3), 32, 4, **options)


@_model(imagenet_resnet, se=False)
def resnext101_32x4d(**options: Unpack[ImageNetOptions]) -> Sequential:
    """ResNeXt-101-32x4d: 33 bottlenecks with 32 groups, for 224x224 images, without squeeze-and-excitation.

    Options: see `imagenet_resnet`.
    """
    return imagenet_resnet((3, 4, 23, 3), 32, 4, **options)


@_model(senet, se=True)
def senet154(**options: Unpack[DropoutOptions]) -> Sequential:
    """SENet-154: 50 bottlenecks with 64 groups, for 224x224 images, with squeeze-and-excitation.

    Options: see `senet`.
    """
    return senet(**options)


@_model(vgg, se=True)
def se_vgg8(**options: Unpack[WideOptions]) -> Sequential:
    """SE-VGG-8: VGG with batch norm and one convolution in each stage, for 32x32 images, with squeeze-and-excitation.

    Options: see `vgg`.
    """
    return vgg(8, **options)


@_model(vgg, se=False)
def vgg8(**options: Unpack[WideOptions]) -> Sequential:
    """VGG-8: VGG with batch norm and one convolution in each stage, for 32x32 images, without squeeze-and-excitation.

    Options: see `vgg`.
    """
    return vgg(8, **options)


@_model(vgg, se=True)
def se_vgg16(**options: Unpack[WideOptions]) -> Sequential:
    """SE-VGG-16: VGG with batch norm, for 32x32 images, with squeeze-and-excitation.

    Options: see `vgg`.
    """
    return vgg(16, **options)


@_model(vgg, se=False)
def vgg16(**options: Unpack[WideOptions]) -> Sequential:
    """VGG-16: VGG with batch norm, for 32x32 images, without squeeze-and-excitation.

    Options: see `vgg`.
    """
    return vgg(16, **options)


@_model(inception_network, se=True)
def se_inception(**options: Unpack[InceptionOptions]) -> Sequential:
    """SE-Inception: modules of four branches, for 32x32 images, with squeeze-and-excitation.

    Options: see `inception`.
    """
    return inception_network(**options)


@_model(inception_network, se=False)
def inception(**options: Unpack[InceptionOptions]) -> Sequential:
    """Inception: modules of four branches, for 32x32 images, without squeeze-and-excitation.

    Options: see `inception`.
    """
    return inception_network(**options)


@_model(mobilenet_network, se=True)
def se_mobilenet(**options: Unpack[MobileNetOptions]) -> Sequential:
    """SE-MobileNet: depthwise and pointwise convolutions, for 32x32 images, with squeeze-and-excitation.

    Options: see `mobilenet`.
    """
    return mobilenet_network(**options)


@_model(mobilenet_network, se=False)
def mobilenet(**options: Unpack[MobileNetOptions]) -> Sequential:
    """MobileNet: depthwise and pointwise convolutions, for 32x32 images, without squeeze-and-excitation.

    Options: see `mobilenet`.
    """
    return mobilenet_network(**options)


@_model(mobilenet_v3_network, se=True)
def se_mobilenet_v3_small(**options: Unpack[MobileOptions]) -> Sequential:
    """SE-MobileNetV3-Small: inverted residual blocks, for 32x32 images, with squeeze-and-excitation.

    Options: see `mobilenet_v3`.
    """
    return mobilenet_v3_network(**options)


@_model(mobilenet_v3_network, se=False)
def mobilenet_v3_small(**options: Unpack[MobileOptions]) -> Sequential:
    """MobileNetV3-Small: inverted residual blocks, for 32x32 images, without squeeze-and-excitation.

    Options: see `mobilenet_v3`.
    """
    return mobilenet_v3_network(**options)


@_model(shufflenet_network, se=True)
def se_shufflenet(**options: Unpack[ShuffleNetOptions]) -> Sequential:
    """SE-ShuffleNet: grouped convolutions and shuffled channels, for 32x32 images, with squeeze-and-excitation.

    Options: see `shufflenet`.
    """
    return shufflenet_network(**options)


@_model(shufflenet_network, se=False)
def shufflenet(**options: Unpack[ShuffleNetOptions]) -> Sequential:
    """ShuffleNet: grouped convolutions and shuffled channels, for 32x32 images, without squeeze-and-excitation.

    Options: see `shufflenet`.
    """
    return shufflenet_network(**options)


@_model(efficientnet_network, se=True)
def se_efficientnet(**options: Unpack[MobileOptions]) -> Sequential:
    """SE-EfficientNet: EfficientNet-B0, for 32x32 images, with squeeze-and-excitation.

    Options: see `efficientnet`.
    """
    return efficientnet_network(**options)


@_model(efficientnet_network, se=False)
def efficientnet(**options: Unpack[MobileOptions]) -> Sequential:
    """EfficientNet: EfficientNet-B0, for 32x32 images, without squeeze-and-excitation.

    Options: see `efficientnet`.
    """
    return efficientnet_network(**options)


@_model(imagenet_vgg, se=True)
def se_vgg16_bn(**options: Unpack[ImageNetVGGOptions]) -> Sequential:
    """SE-VGG-16-BN: VGG-16 with batch norm, for 224x224 images, with squeeze-and-excitation.

    Options: see `imagenet_vgg`.
    """
    return imagenet_vgg(16, **options)


@_model(imagenet_vgg, se=False)
def vgg16_bn(**options: Unpack[ImageNetVGGOptions]) -> Sequential:
    """VGG-16-BN: VGG-16 with batch norm, for 224x224 images, without squeeze-and-excitation.

    Options: see `imagenet_vgg`.
    """
    return imagenet_vgg(16, **options)


@_model(bn_inception_network, se=True)
def se_bn_inception(**options: Unpack[NetworkOptions]) -> Sequential:
    """SE-BN-Inception: modules of four branches, for 224x224 images, with squeeze-and-excitation.

    Options: see `bn_inception`.
    """
    return bn_inception_network(**options)


@_model(bn_inception_network, se=False)
def bn_inception(**options: Unpack[NetworkOptions]) -> Sequential:
    """BN-Inception: modules of four branches, for 224x224 images, without squeeze-and-excitation.

    Options: see `bn_inception`.
    """
    return bn_inception_network(**options)


@_model(mobilenet_network, se=True, **IMAGENET, reduction=16)
def se_mobilenet_v1(**options: Unpack[MobileNetOptions]) -> Sequential:
    """SE-MobileNet-v1: depthwise and pointwise convolutions, for 224x224 images, with squeeze-and-excitation.

    Options: see `mobilenet`.
    """
    return mobilenet_network(**options)


@_model(mobilenet_network, se=False, **IMAGENET, reduction=16)
def mobilenet_v1(**options: Unpack[MobileNetOptions]) -> Sequential:
    """MobileNet-v1: depthwise and pointwise convolutions, for 224x224 images, without squeeze-and-excitation.

    Options: see `mobilenet`.
    """
    return mobilenet_network(**options)


@_model(mobilenet_v3_network, se=True, **IMAGENET, dropout=0.2)
def se_mobilenet_v3_large(**options: Unpack[MobileOptions]) -> Sequential:
    """SE-MobileNetV3-Large: inverted residual blocks, for 224x224 images, with squeeze-and-excitation.

    Options: see `mobilenet_v3`.
    """
    return mobilenet_v3_network(LARGE, **options)


@_model(mobilenet_v3_network, se=False, **IMAGENET, dropout=0.2)
def mobilenet_v3_large(**options: Unpack[MobileOptions]) -> Sequential:
    """MobileNetV3-Large: inverted residual blocks, for 224x224 images, without squeeze-and-excitation.

    Options: see `mobilenet_v3`.
    """
    return mobilenet_v3_network(LARGE, **options)


@_model(shufflenet_network, se=True, **IMAGENET, reduction=16)
def se_shufflenet_v1(**options: Unpack[ShuffleNetOptions]) -> Sequential:
    """SE-ShuffleNet-v1: 3 groups and shuffled channels, for 224x224 images, with squeeze-and-excitation.

    Options: see `shufflenet`.
    """
    return shufflenet_network(**options)


@_model(shufflenet_network, se=False, **IMAGENET, reduction=16)
def shufflenet_v1(**options: Unpack[ShuffleNetOptions]) -> Sequential:
    """ShuffleNet-v1: 3 groups and shuffled channels, for 224x224 images, without squeeze-and-excitation.

    Options: see `shufflenet`.
    """
    return shufflenet_network(**options)


@_model(efficientnet_network, se=True, **IMAGENET, dropout=0.2)
def se_efficientnet_b0(**options: Unpack[MobileOptions]) -> Sequential:
    """SE-EfficientNet-B0: inverted residual blocks, for 224x224 images, with squeeze-and-excitation.

    Options: see `efficientnet`.
    """
    return efficientnet_network(**options)


@_model(efficientnet_network, se=False, **IMAGENET, dropout=0.2)
def efficientnet_b0(**options: Unpack[MobileOptions]) -> Sequential:
    """EfficientNet-B0: inverted residual blocks, for 224x224 images, without squeeze-and-excitation.

    Options: see `efficientnet`.
    """
    return efficientnet_network(**options)


@_model(inception_resnet_v2_network, se=True)
def se_inception_resnet_v2(**options: Unpack[InceptionResNetOptions]) -> Sequential:
    """SE-Inception-ResNet-v2: 40 residual blocks with branches, for 299x299 images, with squeeze-and-excitation.

    Options: see `inception_resnet_v2`.
    """
    return inception_resnet_v2_network(**options)


@_model(inception_resnet_v2_network, se=False)
def inception_resnet_v2(**options: Unpack[InceptionResNetOptions]) -> Sequential:
    """Inception-ResNet-v2: 40 residual blocks with branches, for 299x299 images, without squeeze-and-excitation.

    Options: see `inception_resnet_v2`.
    """
    return inception_resnet_v2_network(**options)
