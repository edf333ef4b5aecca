"""Types of the options of the models that have names: an editor and mypy read them."""

from npse.models.options import NetworkOptions


class WideOptions(NetworkOptions, total=False):
    """Options of `npse.models.wide.wide`."""

    widths: tuple[int, ...]



class FastOptions(WideOptions, total=False):
    """Options of `npse.models.fast.fast`."""

    activation: str
    whitened: bool
    patch: int
    identity_start: bool
    norm_scale: bool



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

