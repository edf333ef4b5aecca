"""Models by name: VGG, Inception, MobileNet, ShuffleNet, EfficientNet; those for 224x224 images stand at the end."""

from typing import Unpack

from npse.layers import Sequential
from npse.models.bn_inception import bn_inception as bn_inception_network
from npse.models.efficientnet import efficientnet as efficientnet_network
from npse.models.inception import inception as inception_network
from npse.models.inception_resnet import inception_resnet_v2 as inception_resnet_v2_network
from npse.models.mobilenet import mobilenet as mobilenet_network
from npse.models.mobilenet_v3 import LARGE
from npse.models.mobilenet_v3 import mobilenet_v3 as mobilenet_v3_network
from npse.models.named import WideOptions, _model
from npse.models.options import NetworkOptions
from npse.models.shufflenet import shufflenet as shufflenet_network
from npse.models.vgg import imagenet_vgg, vgg

IMAGENET = {"classes": 1000, "image_size": 224, "small_images": False}         # defaults for 224x224 images


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


@_model(vgg, se=True)
def se_vgg8(**options: Unpack[WideOptions]) -> Sequential:
    """SE-VGG with batch norm and one convolution in each stage, for 32x32 images. Options: see `vgg`."""
    return vgg(8, **options)


@_model(vgg, se=False)
def vgg8(**options: Unpack[WideOptions]) -> Sequential:
    """VGG with batch norm and one convolution in each stage, for 32x32 images. Options: see `vgg`."""
    return vgg(8, **options)


@_model(vgg, se=True)
def se_vgg16(**options: Unpack[WideOptions]) -> Sequential:
    """SE-VGG-16 with batch norm for 32x32 images. Options: see `vgg`."""
    return vgg(16, **options)


@_model(vgg, se=False)
def vgg16(**options: Unpack[WideOptions]) -> Sequential:
    """VGG-16 with batch norm for 32x32 images. Options: see `vgg`."""
    return vgg(16, **options)


@_model(inception_network, se=True)
def se_inception(**options: Unpack[InceptionOptions]) -> Sequential:
    """SE-Inception with batch norm for 32x32 images. Options: see `inception`."""
    return inception_network(**options)


@_model(inception_network, se=False)
def inception(**options: Unpack[InceptionOptions]) -> Sequential:
    """Inception with batch norm for 32x32 images. Options: see `inception`."""
    return inception_network(**options)


@_model(mobilenet_network, se=True)
def se_mobilenet(**options: Unpack[MobileNetOptions]) -> Sequential:
    """SE-MobileNet v1 for 32x32 images. Options: see `mobilenet`."""
    return mobilenet_network(**options)


@_model(mobilenet_network, se=False)
def mobilenet(**options: Unpack[MobileNetOptions]) -> Sequential:
    """MobileNet v1 for 32x32 images. Options: see `mobilenet`."""
    return mobilenet_network(**options)


@_model(mobilenet_v3_network, se=True)
def se_mobilenet_v3_small(**options: Unpack[MobileOptions]) -> Sequential:
    """SE-MobileNetV3-Small for 32x32 images. Options: see `mobilenet_v3`."""
    return mobilenet_v3_network(**options)


@_model(mobilenet_v3_network, se=False)
def mobilenet_v3_small(**options: Unpack[MobileOptions]) -> Sequential:
    """MobileNetV3-Small for 32x32 images. Options: see `mobilenet_v3`."""
    return mobilenet_v3_network(**options)


@_model(shufflenet_network, se=True)
def se_shufflenet(**options: Unpack[ShuffleNetOptions]) -> Sequential:
    """SE-ShuffleNet v1 for 32x32 images. Options: see `shufflenet`."""
    return shufflenet_network(**options)


@_model(shufflenet_network, se=False)
def shufflenet(**options: Unpack[ShuffleNetOptions]) -> Sequential:
    """ShuffleNet v1 for 32x32 images. Options: see `shufflenet`."""
    return shufflenet_network(**options)


@_model(efficientnet_network, se=True)
def se_efficientnet(**options: Unpack[MobileOptions]) -> Sequential:
    """SE-EfficientNet-B0 for 32x32 images. Options: see `efficientnet`."""
    return efficientnet_network(**options)


@_model(efficientnet_network, se=False)
def efficientnet(**options: Unpack[MobileOptions]) -> Sequential:
    """EfficientNet-B0 for 32x32 images. Options: see `efficientnet`."""
    return efficientnet_network(**options)


@_model(imagenet_vgg, se=True)
def se_vgg16_bn(**options: Unpack[ImageNetVGGOptions]) -> Sequential:
    """SE-VGG-16 with batch norm for 224x224 images. Options: see `imagenet_vgg`."""
    return imagenet_vgg(16, **options)


@_model(imagenet_vgg, se=False)
def vgg16_bn(**options: Unpack[ImageNetVGGOptions]) -> Sequential:
    """VGG-16 with batch norm for 224x224 images. Options: see `imagenet_vgg`."""
    return imagenet_vgg(16, **options)


@_model(bn_inception_network, se=True)
def se_bn_inception(**options: Unpack[NetworkOptions]) -> Sequential:
    """SE-BN-Inception for 224x224 images. Options: see `bn_inception`."""
    return bn_inception_network(**options)


@_model(bn_inception_network, se=False)
def bn_inception(**options: Unpack[NetworkOptions]) -> Sequential:
    """BN-Inception for 224x224 images. Options: see `bn_inception`."""
    return bn_inception_network(**options)


@_model(mobilenet_network, se=True, **IMAGENET, reduction=16)
def se_mobilenet_v1(**options: Unpack[MobileNetOptions]) -> Sequential:
    """SE-MobileNet v1 for 224x224 images. Options: see `mobilenet`."""
    return mobilenet_network(**options)


@_model(mobilenet_network, se=False, **IMAGENET, reduction=16)
def mobilenet_v1(**options: Unpack[MobileNetOptions]) -> Sequential:
    """MobileNet v1 for 224x224 images. Options: see `mobilenet`."""
    return mobilenet_network(**options)


@_model(mobilenet_v3_network, se=True, **IMAGENET, dropout=0.2)
def se_mobilenet_v3_large(**options: Unpack[MobileOptions]) -> Sequential:
    """SE-MobileNetV3-Large for 224x224 images. Options: see `mobilenet_v3`."""
    return mobilenet_v3_network(LARGE, **options)


@_model(mobilenet_v3_network, se=False, **IMAGENET, dropout=0.2)
def mobilenet_v3_large(**options: Unpack[MobileOptions]) -> Sequential:
    """MobileNetV3-Large for 224x224 images. Options: see `mobilenet_v3`."""
    return mobilenet_v3_network(LARGE, **options)


@_model(shufflenet_network, se=True, **IMAGENET, reduction=16)
def se_shufflenet_v1(**options: Unpack[ShuffleNetOptions]) -> Sequential:
    """SE-ShuffleNet v1 with 3 groups for 224x224 images. Options: see `shufflenet`."""
    return shufflenet_network(**options)


@_model(shufflenet_network, se=False, **IMAGENET, reduction=16)
def shufflenet_v1(**options: Unpack[ShuffleNetOptions]) -> Sequential:
    """ShuffleNet v1 with 3 groups for 224x224 images. Options: see `shufflenet`."""
    return shufflenet_network(**options)


@_model(efficientnet_network, se=True, **IMAGENET, dropout=0.2)
def se_efficientnet_b0(**options: Unpack[MobileOptions]) -> Sequential:
    """SE-EfficientNet-B0 for 224x224 images. Options: see `efficientnet`."""
    return efficientnet_network(**options)


@_model(efficientnet_network, se=False, **IMAGENET, dropout=0.2)
def efficientnet_b0(**options: Unpack[MobileOptions]) -> Sequential:
    """EfficientNet-B0 for 224x224 images. Options: see `efficientnet`."""
    return efficientnet_network(**options)


@_model(inception_resnet_v2_network, se=True)
def se_inception_resnet_v2(**options: Unpack[InceptionResNetOptions]) -> Sequential:
    """SE-Inception-ResNet-v2 for 299x299 images. Options: see `inception_resnet_v2`."""
    return inception_resnet_v2_network(**options)


@_model(inception_resnet_v2_network, se=False)
def inception_resnet_v2(**options: Unpack[InceptionResNetOptions]) -> Sequential:
    """Inception-ResNet-v2 for 299x299 images. Options: see `inception_resnet_v2`."""
    return inception_resnet_v2_network(**options)
