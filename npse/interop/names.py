"""The names and layouts that the arrays of a network have in PyTorch, in timm and in torchvision.

    what                            npse                             PyTorch
    filters of a convolution        (kh, kw, Cin / groups, Cout)     (Cout, Cin / groups, kh, kw)
    weights of a dense layer        (Cout, Cin)                      the same
    scale, shift, mean, variance    weight, bias, running_mean,      the same names
      of a batch norm                 running_var
    batches seen by a batch norm    not kept                         num_batches_tracked
    dense layers that timm has as   (K, C)                           (K, C, 1, 1)
      1x1 convolutions

Every other array has one layout. A network that timm has gets timm's names; all others keep the names of npse.
"""

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from npse.layers import BatchNorm, Conv2d, Layer, MaxPool
from npse.layers.dropout import kept_slots
from npse.layers.layer import Slot
from npse.types import Array, Arrays, Shape

COUNTER = "num_batches_tracked"                     # of PyTorch's batch norm
IMAGENET = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)         # mean and deviation of pixels in 0..1, by channel
HALF = (0.5, 0.5, 0.5), (0.5, 0.5, 0.5)

Rules = Sequence[tuple[str, str | Callable[[re.Match[str]], str]]]
Pixels = tuple[tuple[float, ...], tuple[float, ...]]


@dataclass(frozen=True)
class Layout:
    """How an array of npse is laid out elsewhere.

    Attributes
    ----------
    there, here : function of an array -> array
        To the other layout and back. Each only moves numbers.
    torch : str
        The way back from the other layout to PyTorch's usual one, as Python code for ``{}``.
    """

    there: Callable[[Array], Array]
    here: Callable[[Array], Array]
    torch: str = "{}"


SAME = Layout(lambda w: w, lambda w: w)
FILTERS = Layout(lambda w: w.transpose(3, 2, 0, 1), lambda w: w.transpose(2, 3, 1, 0))
POINTWISE = Layout(lambda w: w[:, :, None, None], lambda w: w[:, :, 0, 0], "{}.flatten(1)")


def channels_first(size: int, as_filters: bool) -> Layout:
    """Return the layout of the first dense layer of a VGG, which reads maps of size x size pixels.

    There it reads a map channel by channel, here pixel by pixel. It may be a convolution there (``as_filters``).
    """
    def there(w: Array) -> Array:
        maps = w.reshape(len(w), size, size, -1).transpose(0, 3, 1, 2)
        return maps if as_filters else maps.reshape(len(w), -1)

    def here(w: Array) -> Array:
        return w.reshape(len(w), -1, size, size).transpose(0, 2, 3, 1).reshape(len(w), -1)
    return Layout(there, here, f"{{}}.reshape(len({{}}), -1, {size}, {size}).permute(0, 2, 3, 1).flatten(1)")


@dataclass(frozen=True)
class Names:
    """The names and layouts of all arrays of one network elsewhere.

    Attributes
    ----------
    origin : str
        Whose they are, such as "timm's seresnet50".
    arrays : dict of str to (str, Layout)
        Our name to their name and layout.
    counters : list of str
        Their names of the counters of batch norms.
    """

    origin: str
    arrays: dict[str, tuple[str, Layout]]
    counters: list[str]

    def there(self, state: Mapping[str, Array]) -> Arrays:
        """Return arrays of npse under the other names and in the other layouts, without counters."""
        return {name: np.ascontiguousarray(layout.there(state[ours])) for ours, (name, layout) in self.arrays.items()}

    def here(self, arrays: Mapping[str, Array], shapes: Mapping[str, Shape]) -> Arrays:
        """Return arrays with the other names and layouts as npse names and stores them. Counters are left out.

        Parameters
        ----------
        arrays : dict of str to array
        shapes : dict of str to tuple
            The shapes of the network's arrays, by our name.

        Raises
        ------
        ValueError
            An array is missing, unknown, or has another shape.
        """
        for name in sorted({name for name, _ in self.arrays.values()} - arrays.keys()):
            raise ValueError(f"lacks {name}, which {self.origin} has{_and_more(self._missing(arrays))}")
        unknown = [name for name in arrays if name not in self._known]
        if unknown:
            raise ValueError(f"holds {unknown[0]}, which {self.origin} does not have{_and_more(unknown)}")
        found = {}
        for ours, (name, layout) in self.arrays.items():
            wanted = layout.there(np.broadcast_to(np.float32(0), shapes[ours])).shape
            if arrays[name].shape != wanted:
                raise ValueError(f"holds {name} of shape {arrays[name].shape}, but {self.origin} has {wanted}")
            found[ours] = np.ascontiguousarray(layout.here(arrays[name]))
        return found

    def differences(self, arrays: Iterable[str]) -> int:
        """Return how many names are missing or unknown among those of a file."""
        return len(self._missing(arrays)) + sum(name not in self._known for name in arrays)

    @property
    def _known(self) -> set[str]:
        return {name for name, _ in self.arrays.values()} | {*self.counters}

    def _missing(self, arrays: Iterable[str]) -> list[str]:
        return sorted({name for name, _ in self.arrays.values()} - {*arrays})


def _and_more(names: Sequence[str]) -> str:
    return f", and {len(names) - 1} more" if len(names) > 1 else ""


@dataclass(frozen=True)
class Twin:
    """A network of another library with the structure of one of npse.

    Attributes
    ----------
    library, name : str
        Such as "timm" and "seresnet50".
    rules : sequence of (pattern, replacement)
        They turn our names into those of the library, one after another.
    pointwise : str
        A pattern for our names of the dense layers that are 1x1 convolutions there.
    options : dict of str to str
        Options that the network of npse needs to have the same structure.
    pixels : (mean, deviation)
        What the published weights of that name were trained with.
    """

    library: str
    name: str
    rules: Rules = ()
    pointwise: str = r"\bse\.fc[12]\.weight$"
    options: tuple[tuple[str, str], ...] = ()
    pixels: Pixels = IMAGENET

    def __str__(self) -> str:
        return f"{self.library}'s {self.name}"

    def names(self, network: Layer) -> Names:
        """Return the names of the arrays of a network there."""
        rules = [*(_vgg_rules(network) if "vgg" in self.name else ()), *self.rules]
        arrays = {}
        for slot in kept_slots(network):
            layout = POINTWISE if re.search(self.pointwise, slot.name) else layout_of(slot)
            if "vgg" in self.name and slot.name == "fc1.weight":
                layout = channels_first(_size_before_dense(network), self.library == "timm")
            arrays[slot.name] = renamed(slot.name, rules), layout
        return Names(str(self), arrays, [renamed(name, rules) for name in counters(network)])


def own_names(network: Layer) -> Names:
    """Return the names of npse, with PyTorch's layouts."""
    return Names("this network", {slot.name: (slot.name, layout_of(slot)) for slot in kept_slots(network)},
                 counters(network))


def renamed(name: str, rules: Rules) -> str:
    """Return a name after all replacements, in order."""
    for pattern, replacement in rules:
        name = re.sub(pattern, replacement, name)
    return name


def counters(network: Layer) -> list[str]:
    """Return the names that the counters of all batch norms would have in PyTorch."""
    found = []
    for slot in network.slots("buffers"):
        if slot.key == "running_var":
            found.append(slot.name.removesuffix(slot.key) + COUNTER)
    return found


def layout_of(slot: Slot) -> Layout:
    """Return the layout of an array in PyTorch: arrays with four axes are filters."""
    return FILTERS if slot.owner[slot.key].ndim == 4 else SAME


def _vgg_rules(network: Layer) -> Rules:
    """Return the rules for a VGG: there all layers of the convolutional part have numbers in one list."""
    names, number = {}, 0
    for path, layer in _leaves(network):
        if isinstance(layer, (Conv2d, BatchNorm, MaxPool)):
            names[path] = number
            number += 2 if isinstance(layer, BatchNorm) else 1            # there a ReLU follows each batch norm
    return [(r"^((?:stem|layer\d\.\d+)\.(?:conv1|bn1))\.", lambda found: f"features.{names[found[1]]}.")]


def _leaves(layer: Layer, path: str = "") -> Iterable[tuple[str, Layer]]:
    if not layer.children:
        yield path, layer
    for name, child in layer.children.items():
        yield from _leaves(child, f"{path}.{name}" if path else name)


def _size_before_dense(network: Layer) -> int:
    """Return the height of the maps that the first dense layer of a VGG reads."""
    channels = [layer.gamma.shape[0] for layer in network.layers() if isinstance(layer, BatchNorm)][-1]
    return int((network.children["fc1"].parameters["weight"].shape[1] // channels) ** 0.5)


def _block(found: re.Match[str]) -> str:
    return f"blocks.{int(found[1]) - 1}."


_TIMM: Rules = ((r"^fc\.", "classifier."), (r"^stem\.conv1\.", "conv_stem."), (r"^stem\.bn1\.", "bn1."),
                (r"\.fc1\.", ".conv_reduce."), (r"\.fc2\.", ".conv_expand."), (r"^head\.bn1\.", "bn2."),
                (r"^layer(\d+)\.", _block))
_MOBILENET_V3: Rules = ((r"^fc1\.", "conv_head."), (r"^head\.conv1\.", "blocks.6.0.conv."),
                        (r"^head\.bn1\.", "blocks.6.0.bn1."), *_TIMM)
_EFFICIENTNET: Rules = ((r"^head\.conv1\.", "conv_head."), *_TIMM)
_INCEPTION_RESNET: Rules = ((r"^fc\.", "classif."), (r"^(repeat.*?\.\d+|block8)\.branches\.branch", r"\1.branch"))
_SENET: Rules = ((r"\.se\.", ".se_module."), (r"^fc\.", "last_linear."))
_TIMM_VGG: Rules = ((r"^fc([12])\.", r"pre_logits.fc\1."), (r"^fc\.", "head.fc."))
_TORCHVISION_VGG: Rules = ((r"^fc1\.", "classifier.0."), (r"^fc2\.", "classifier.3."), (r"^fc\.", "classifier.6."))

# Networks of other libraries by the name of that of npse; the first is the one that is exported.
TWINS: dict[str, tuple[Twin, ...]] = {
    **{name: (Twin("timm", name),) for name in ("resnet50", "resnet101", "resnet152", "resnext50_32x4d",
                                               "resnext101_32x4d")},
    **{f"se_{name}": (Twin("timm", f"se{name}"),) for name in ("resnet50", "resnet101", "resnet152", "resnext50_32x4d",
                                                              "resnext101_32x4d")},
    "senet154": (Twin("timm", "legacy_senet154", _SENET),),
    "vgg16_bn": (Twin("timm", "vgg16_bn", _TIMM_VGG, pointwise=r"^fc2\.weight$"),
                 Twin("torchvision", "vgg16_bn", _TORCHVISION_VGG, pointwise="(?!)")),
    "mobilenet_v1": (Twin("timm", "mobilenetv1_100", _TIMM, options=(("activation", "relu6"),), pixels=HALF),),
    "se_mobilenet_v3_large": (Twin("timm", "mobilenetv3_large_100", _MOBILENET_V3,
                                   pointwise=r"^fc1\.weight$|\bse\.fc[12]\.weight$"),),
    "se_efficientnet_b0": (Twin("timm", "efficientnet_b0", _EFFICIENTNET),),
    "inception_resnet_v2": (Twin("timm", "inception_resnet_v2", _INCEPTION_RESNET, pixels=HALF),),
}
