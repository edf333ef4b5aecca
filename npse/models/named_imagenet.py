"""Networks for images of 224x224 pixels, by name; those of the paper among them."""

from typing import Unpack

from npse.layers import Sequential
from npse.models.bn_inception import bn_inception as bn_inception_network
from npse.models.efficientnet import efficientnet as efficientnet_network
from npse.models.imagenet_resnet import imagenet_resnet
from npse.models.inception_resnet import inception_resnet_v2 as inception_resnet_v2_network
from npse.models.mobilenet import mobilenet as mobilenet_network
from npse.models.mobilenet_v3 import LARGE
from npse.models.mobilenet_v3 import mobilenet_v3 as mobilenet_v3_network
from npse.models.named_options import (
    DropoutOptions,
    ImageNetOptions,
    ImageNetVGGOptions,
    InceptionResNetOptions,
    MobileNetOptions,
    MobileOptions,
    ShuffleNetOptions,
)
from npse.models.naming import model
from npse.models.options import NetworkOptions
from npse.models.senet154 import senet
from npse.models.shufflenet import shufflenet as shufflenet_network
from npse.models.vgg import imagenet_vgg

IMAGENET = {"classes": 1000, "image_size": 224, "small_images": False}     # defaults of families for both sizes


@model(imagenet_resnet, se=True)
def se_resnet50(**options: Unpack[ImageNetOptions]) -> Sequential:
    """SE-ResNet-50: 16 bottlenecks, for 224x224 images, with squeeze-and-excitation. Options: see `imagenet_resnet`."""
    return imagenet_resnet((3, 4, 6, 3), **options)



@model(imagenet_resnet, se=False)
def resnet50(**options: Unpack[ImageNetOptions]) -> Sequential:
    """ResNet-50: 16 bottlenecks, for 224x224 images, without squeeze-and-excitation. Options: see `imagenet_resnet`."""
    return imagenet_resnet((3, 4, 6, 3), **options)



@model(imagenet_resnet, se=True)
def se_resnet101(**options: Unpack[ImageNetOptions]) -> Sequential:
    """SE-ResNet-101: 33 bottlenecks, for 224x224 images, with squeeze-and-excitation.

    Options: see `imagenet_resnet`.
    """
    return imagenet_resnet((3, 4, 23, 3), **options)



@model(imagenet_resnet, se=False)
def resnet101(**options: Unpack[ImageNetOptions]) -> Sequential:
    """ResNet-101: 33 bottlenecks, for 224x224 images, without squeeze-and-excitation.

    Options: see `imagenet_resnet`.
    """
    return imagenet_resnet((3, 4, 23, 3), **options)



@model(imagenet_resnet, se=True)
def se_resnet152(**options: Unpack[ImageNetOptions]) -> Sequential:
    """SE-ResNet-152: 50 bottlenecks, for 224x224 images, with squeeze-and-excitation.

    Options: see `imagenet_resnet`.
    """
    return imagenet_resnet((3, 8, 36, 3), **options)



@model(imagenet_resnet, se=False)
def resnet152(**options: Unpack[ImageNetOptions]) -> Sequential:
    """ResNet-152: 50 bottlenecks, for 224x224 images, without squeeze-and-excitation.

    Options: see `imagenet_resnet`.
    """
    return imagenet_resnet((3, 8, 36, 3), **options)



@model(imagenet_resnet, se=True)
def se_resnext50_32x4d(**options: Unpack[ImageNetOptions]) -> Sequential:
    """SE-ResNeXt-50-32x4d: 16 bottlenecks with 32 groups, for 224x224 images, with squeeze-and-excitation.

    Options: see `imagenet_resnet`.
    """
    return imagenet_resnet((3, 4, 6, 3), 32, 4, **options)



@model(imagenet_resnet, se=False)
def resnext50_32x4d(**options: Unpack[ImageNetOptions]) -> Sequential:
    """ResNeXt-50-32x4d: 16 bottlenecks with 32 groups, for 224x224 images, without squeeze-and-excitation.

    Options: see `imagenet_resnet`.
    """
    return imagenet_resnet((3, 4, 6, 3), 32, 4, **options)



@model(imagenet_resnet, se=True)
def se_resnext101_32x4d(**options: Unpack[ImageNetOptions]) -> Sequential:
    """SE-ResNeXt-101-32x4d: 33 bottlenecks with 32 groups, for 224x224 images, with squeeze-and-excitation.

    Options: see `imagenet_resnet`.
    """
    return imagenet_resnet((3, 4, 23, 3), 32, 4, **options)



@model(imagenet_resnet, se=False)
def resnext101_32x4d(**options: Unpack[ImageNetOptions]) -> Sequential:
    """ResNeXt-101-32x4d: 33 bottlenecks with 32 groups, for 224x224 images, without squeeze-and-excitation.

    Options: see `imagenet_resnet`.
    """
    return imagenet_resnet((3, 4, 23, 3), 32, 4, **options)



@model(senet, se=True)
def senet154(**options: Unpack[DropoutOptions]) -> Sequential:
    """SENet-154: 50 bottlenecks with 64 groups, for 224x224 images, with squeeze-and-excitation.

    Options: see `senet`.
    """
    return senet(**options)



@model(imagenet_vgg, se=True)
def se_vgg16_bn(**options: Unpack[ImageNetVGGOptions]) -> Sequential:
    """SE-VGG-16-BN: VGG-16 with batch norm, for 224x224 images, with squeeze-and-excitation.

    Options: see `imagenet_vgg`.
    """
    return imagenet_vgg(16, **options)



@model(imagenet_vgg, se=False)
def vgg16_bn(**options: Unpack[ImageNetVGGOptions]) -> Sequential:
    """VGG-16-BN: VGG-16 with batch norm, for 224x224 images, without squeeze-and-excitation.

    Options: see `imagenet_vgg`.
    """
    return imagenet_vgg(16, **options)



@model(bn_inception_network, se=True)
def se_bn_inception(**options: Unpack[NetworkOptions]) -> Sequential:
    """SE-BN-Inception: modules of four branches, for 224x224 images, with squeeze-and-excitation.

    Options: see `bn_inception`.
    """
    return bn_inception_network(**options)



@model(bn_inception_network, se=False)
def bn_inception(**options: Unpack[NetworkOptions]) -> Sequential:
    """BN-Inception: modules of four branches, for 224x224 images, without squeeze-and-excitation.

    Options: see `bn_inception`.
    """
    return bn_inception_network(**options)



@model(mobilenet_network, se=True, **IMAGENET, reduction=16)
def se_mobilenet_v1(**options: Unpack[MobileNetOptions]) -> Sequential:
    """SE-MobileNet-v1: depthwise and pointwise convolutions, for 224x224 images, with squeeze-and-excitation.

    Options: see `mobilenet`.
    """
    return mobilenet_network(**options)



@model(mobilenet_network, se=False, **IMAGENET, reduction=16)
def mobilenet_v1(**options: Unpack[MobileNetOptions]) -> Sequential:
    """MobileNet-v1: depthwise and pointwise convolutions, for 224x224 images, without squeeze-and-excitation.

    Options: see `mobilenet`.
    """
    return mobilenet_network(**options)



@model(mobilenet_v3_network, se=True, **IMAGENET, dropout=0.2)
def se_mobilenet_v3_large(**options: Unpack[MobileOptions]) -> Sequential:
    """SE-MobileNetV3-Large: inverted residual blocks, for 224x224 images, with squeeze-and-excitation.

    Options: see `mobilenet_v3`.
    """
    return mobilenet_v3_network(LARGE, **options)



@model(mobilenet_v3_network, se=False, **IMAGENET, dropout=0.2)
def mobilenet_v3_large(**options: Unpack[MobileOptions]) -> Sequential:
    """MobileNetV3-Large: inverted residual blocks, for 224x224 images, without squeeze-and-excitation.

    Options: see `mobilenet_v3`.
    """
    return mobilenet_v3_network(LARGE, **options)



@model(shufflenet_network, se=True, **IMAGENET, reduction=16)
def se_shufflenet_v1(**options: Unpack[ShuffleNetOptions]) -> Sequential:
    """SE-ShuffleNet-v1: 3 groups and shuffled channels, for 224x224 images, with squeeze-and-excitation.

    Options: see `shufflenet`.
    """
    return shufflenet_network(**options)



@model(shufflenet_network, se=False, **IMAGENET, reduction=16)
def shufflenet_v1(**options: Unpack[ShuffleNetOptions]) -> Sequential:
    """ShuffleNet-v1: 3 groups and shuffled channels, for 224x224 images, without squeeze-and-excitation.

    Options: see `shufflenet`.
    """
    return shufflenet_network(**options)



@model(efficientnet_network, se=True, **IMAGENET, dropout=0.2)
def se_efficientnet_b0(**options: Unpack[MobileOptions]) -> Sequential:
    """SE-EfficientNet-B0: inverted residual blocks, for 224x224 images, with squeeze-and-excitation.

    Options: see `efficientnet`.
    """
    return efficientnet_network(**options)



@model(efficientnet_network, se=False, **IMAGENET, dropout=0.2)
def efficientnet_b0(**options: Unpack[MobileOptions]) -> Sequential:
    """EfficientNet-B0: inverted residual blocks, for 224x224 images, without squeeze-and-excitation.

    Options: see `efficientnet`.
    """
    return efficientnet_network(**options)



@model(inception_resnet_v2_network, se=True)
def se_inception_resnet_v2(**options: Unpack[InceptionResNetOptions]) -> Sequential:
    """SE-Inception-ResNet-v2: 40 residual blocks with branches, for 299x299 images, with squeeze-and-excitation.

    Options: see `inception_resnet_v2`.
    """
    return inception_resnet_v2_network(**options)



@model(inception_resnet_v2_network, se=False)
def inception_resnet_v2(**options: Unpack[InceptionResNetOptions]) -> Sequential:
    """Inception-ResNet-v2: 40 residual blocks with branches, for 299x299 images, without squeeze-and-excitation.

    Options: see `inception_resnet_v2`.
    """
    return inception_resnet_v2_network(**options)

