"""Other networks for small images, by name: VGG, Inception, MobileNet, ShuffleNet, EfficientNet."""

from typing import Unpack

from npse.layers import Sequential
from npse.models.efficientnet import efficientnet as efficientnet_network
from npse.models.inception import inception as inception_network
from npse.models.mobilenet import mobilenet as mobilenet_network
from npse.models.mobilenet_v3 import mobilenet_v3 as mobilenet_v3_network
from npse.models.named_options import InceptionOptions, MobileNetOptions, MobileOptions, ShuffleNetOptions, WideOptions
from npse.models.naming import model
from npse.models.shufflenet import shufflenet as shufflenet_network
from npse.models.vgg import vgg


@model(vgg, se=True)
def se_vgg8(**options: Unpack[WideOptions]) -> Sequential:
    """SE-VGG-8: VGG with batch norm and one convolution in each stage, for 32x32 images, with squeeze-and-excitation.

    Options: see `vgg`.
    """
    return vgg(8, **options)



@model(vgg, se=False)
def vgg8(**options: Unpack[WideOptions]) -> Sequential:
    """VGG-8: VGG with batch norm and one convolution in each stage, for 32x32 images, without squeeze-and-excitation.

    Options: see `vgg`.
    """
    return vgg(8, **options)



@model(vgg, se=True)
def se_vgg16(**options: Unpack[WideOptions]) -> Sequential:
    """SE-VGG-16: VGG with batch norm, for 32x32 images, with squeeze-and-excitation.

    Options: see `vgg`.
    """
    return vgg(16, **options)



@model(vgg, se=False)
def vgg16(**options: Unpack[WideOptions]) -> Sequential:
    """VGG-16: VGG with batch norm, for 32x32 images, without squeeze-and-excitation.

    Options: see `vgg`.
    """
    return vgg(16, **options)



@model(inception_network, se=True)
def se_inception(**options: Unpack[InceptionOptions]) -> Sequential:
    """SE-Inception: modules of four branches, for 32x32 images, with squeeze-and-excitation.

    Options: see `inception`.
    """
    return inception_network(**options)



@model(inception_network, se=False)
def inception(**options: Unpack[InceptionOptions]) -> Sequential:
    """Inception: modules of four branches, for 32x32 images, without squeeze-and-excitation.

    Options: see `inception`.
    """
    return inception_network(**options)



@model(mobilenet_network, se=True)
def se_mobilenet(**options: Unpack[MobileNetOptions]) -> Sequential:
    """SE-MobileNet: depthwise and pointwise convolutions, for 32x32 images, with squeeze-and-excitation.

    Options: see `mobilenet`.
    """
    return mobilenet_network(**options)



@model(mobilenet_network, se=False)
def mobilenet(**options: Unpack[MobileNetOptions]) -> Sequential:
    """MobileNet: depthwise and pointwise convolutions, for 32x32 images, without squeeze-and-excitation.

    Options: see `mobilenet`.
    """
    return mobilenet_network(**options)



@model(mobilenet_v3_network, se=True)
def se_mobilenet_v3_small(**options: Unpack[MobileOptions]) -> Sequential:
    """SE-MobileNetV3-Small: inverted residual blocks, for 32x32 images, with squeeze-and-excitation.

    Options: see `mobilenet_v3`.
    """
    return mobilenet_v3_network(**options)



@model(mobilenet_v3_network, se=False)
def mobilenet_v3_small(**options: Unpack[MobileOptions]) -> Sequential:
    """MobileNetV3-Small: inverted residual blocks, for 32x32 images, without squeeze-and-excitation.

    Options: see `mobilenet_v3`.
    """
    return mobilenet_v3_network(**options)



@model(shufflenet_network, se=True)
def se_shufflenet(**options: Unpack[ShuffleNetOptions]) -> Sequential:
    """SE-ShuffleNet: grouped convolutions and shuffled channels, for 32x32 images, with squeeze-and-excitation.

    Options: see `shufflenet`.
    """
    return shufflenet_network(**options)



@model(shufflenet_network, se=False)
def shufflenet(**options: Unpack[ShuffleNetOptions]) -> Sequential:
    """ShuffleNet: grouped convolutions and shuffled channels, for 32x32 images, without squeeze-and-excitation.

    Options: see `shufflenet`.
    """
    return shufflenet_network(**options)



@model(efficientnet_network, se=True)
def se_efficientnet(**options: Unpack[MobileOptions]) -> Sequential:
    """SE-EfficientNet: EfficientNet-B0, for 32x32 images, with squeeze-and-excitation.

    Options: see `efficientnet`.
    """
    return efficientnet_network(**options)



@model(efficientnet_network, se=False)
def efficientnet(**options: Unpack[MobileOptions]) -> Sequential:
    """EfficientNet: EfficientNet-B0, for 32x32 images, without squeeze-and-excitation.

    Options: see `efficientnet`.
    """
    return efficientnet_network(**options)

