"""Models by name: each is a function with typed options, so that an editor can complete the options."""

import functools
import inspect
from collections.abc import Callable, Iterable
from typing import ParamSpec, Unpack

from npse.layers import Sequential
from npse.models.efficientnet import efficientnet
from npse.models.inception import inception as inception_network
from npse.models.mobilenet import mobilenet as mobilenet_network
from npse.models.mobilenet_v3 import mobilenet_v3
from npse.models.options import NetworkOptions, parameters_of
from npse.models.resnet import resnet
from npse.models.shufflenet import shufflenet as shufflenet_network
from npse.models.vgg import vgg
from npse.models.wide import wide as wide_network
from npse.support.names import suggest


class WideOptions(NetworkOptions, total=False):
    """Options of `npse.models.wide.wide`."""

    widths: tuple[int, ...]


class ResNetOptions(WideOptions, total=False):
    """Options of `npse.models.resnet.resnet`, except the depth."""

    placement: str
    shortcut: str


class InceptionOptions(WideOptions, total=False):
    """Options of `npse.models.inception.inception`."""

    blocks: int


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


class MobileOptions(NetworkOptions, total=False):
    """Options of `npse.models.mobilenet_v3.mobilenet_v3` and `npse.models.efficientnet.efficientnet`."""

    width: float
    small_images: bool
    dropout: float


P = ParamSpec("P")
MODELS: dict[str, Callable[..., Sequential]] = {}


def unknown_option(name: str, options: Iterable[str]) -> str | None:
    """Return a message about the first option that the model ``name`` does not have; None if it has all."""
    known = inspect.signature(MODELS[name]).parameters
    for option in options:
        if option not in known:
            return f"{name} has no option {option}; {suggest(option, known)}"
    return None


def _model(family: Callable[..., Sequential], *, se: bool
           ) -> Callable[[Callable[P, Sequential]], Callable[P, Sequential]]:
    """Return a decorator that adds a function to `MODELS`, with the options of ``family`` and a default for ``se``."""
    options = [parameter.replace(default=se) if parameter.name == "se" else parameter
               for parameter in parameters_of(family)]

    def enter(make: Callable[P, Sequential]) -> Callable[P, Sequential]:
        name = make.__name__

        @functools.wraps(make)
        def model(*arguments: P.args, **given: P.kwargs) -> Sequential:
            if unknown := unknown_option(name, given):
                raise TypeError(unknown)
            given.setdefault("se", se)
            return make(*arguments, **given)

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


@_model(vgg, se=True)
def se_vgg8(**options: Unpack[WideOptions]) -> Sequential:
    """VGG with batch norm and one convolution in each stage for 32x32 images, with squeeze-and-excitation.

    Options: see `npse.models.vgg.vgg`.
    """
    return vgg(8, **options)


@_model(vgg, se=False)
def vgg8(**options: Unpack[WideOptions]) -> Sequential:
    """VGG with batch norm and one convolution in each stage for 32x32 images, without squeeze-and-excitation.

    Options: see `npse.models.vgg.vgg`.
    """
    return vgg(8, **options)


@_model(vgg, se=True)
def se_vgg16(**options: Unpack[WideOptions]) -> Sequential:
    """VGG-16 with batch norm for 32x32 images, with squeeze-and-excitation. Options: see `npse.models.vgg.vgg`."""
    return vgg(16, **options)


@_model(vgg, se=False)
def vgg16(**options: Unpack[WideOptions]) -> Sequential:
    """VGG-16 with batch norm for 32x32 images, without squeeze-and-excitation. Options: see `npse.models.vgg.vgg`."""
    return vgg(16, **options)


@_model(inception_network, se=True)
def se_inception(**options: Unpack[InceptionOptions]) -> Sequential:
    """Inception with batch norm for 32x32 images, with squeeze-and-excitation.

    Options: see `npse.models.inception.inception`.
    """
    return inception_network(**options)


@_model(inception_network, se=False)
def inception(**options: Unpack[InceptionOptions]) -> Sequential:
    """Inception with batch norm for 32x32 images, without squeeze-and-excitation.

    Options: see `npse.models.inception.inception`.
    """
    return inception_network(**options)


@_model(mobilenet_network, se=True)
def se_mobilenet(**options: Unpack[MobileNetOptions]) -> Sequential:
    """MobileNet v1 for 32x32 images, with squeeze-and-excitation. Options: see `npse.models.mobilenet.mobilenet`."""
    return mobilenet_network(**options)


@_model(mobilenet_network, se=False)
def mobilenet(**options: Unpack[MobileNetOptions]) -> Sequential:
    """MobileNet v1 for 32x32 images, without squeeze-and-excitation. Options: see `npse.models.mobilenet.mobilenet`."""
    return mobilenet_network(**options)


@_model(mobilenet_v3, se=True)
def se_mobilenet_v3_small(**options: Unpack[MobileOptions]) -> Sequential:
    """MobileNetV3-Small for 32x32 images, with squeeze-and-excitation.

    Options: see `npse.models.mobilenet_v3.mobilenet_v3`.
    """
    return mobilenet_v3(**options)


@_model(mobilenet_v3, se=False)
def mobilenet_v3_small(**options: Unpack[MobileOptions]) -> Sequential:
    """MobileNetV3-Small for 32x32 images, without squeeze-and-excitation.

    Options: see `npse.models.mobilenet_v3.mobilenet_v3`.
    """
    return mobilenet_v3(**options)


@_model(shufflenet_network, se=True)
def se_shufflenet(**options: Unpack[ShuffleNetOptions]) -> Sequential:
    """ShuffleNet v1 for 32x32 images, with squeeze-and-excitation. Options: see `npse.models.shufflenet.shufflenet`."""
    return shufflenet_network(**options)


@_model(shufflenet_network, se=False)
def shufflenet(**options: Unpack[ShuffleNetOptions]) -> Sequential:
    """ShuffleNet v1 for 32x32 images, without squeeze-and-excitation.

    Options: see `npse.models.shufflenet.shufflenet`.
    """
    return shufflenet_network(**options)


@_model(efficientnet, se=True)
def se_efficientnet_b0(**options: Unpack[MobileOptions]) -> Sequential:
    """EfficientNet-B0 for 32x32 images, with squeeze-and-excitation.

    Options: see `npse.models.efficientnet.efficientnet`.
    """
    return efficientnet(**options)


@_model(efficientnet, se=False)
def efficientnet_b0(**options: Unpack[MobileOptions]) -> Sequential:
    """EfficientNet-B0 for 32x32 images, without squeeze-and-excitation.

    Options: see `npse.models.efficientnet.efficientnet`.
    """
    return efficientnet(**options)
