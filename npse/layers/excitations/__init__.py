"""Structures in place of the two dense layers, by name.

    make_excitation("eca", channels=64, gate="tanh", rng=rng)

Each is a class derived from `npse.layers.excitation.Excitation`. It takes those options by name for which it has a use.
"""

import functools
import inspect
from collections.abc import Callable
from typing import TypedDict

import numpy as np

from npse.layers.excitation import Excitation, SqueezedGates
from npse.layers.excitations.channelwise import ECA, GroupedDense, NoWeights, OneDense, PerChannel
from npse.layers.excitations.context import GlobalContext
from npse.layers.excitations.normalized import GatedChannels, GaussianContext, LinearContext
from npse.layers.excitations.pair import MeanMaxGates, StyleGates
from npse.layers.excitations.spatial import (
    BAM,
    CBAM,
    ConcurrentGates,
    CoordinateAttention,
    NoSqueeze,
    PixelGates,
    SimAM,
    SpatialGates,
)
from npse.layers.squeeze_excite import SqueezeExcite
from npse.layers.squeezes import make_squeeze
from npse.support.names import suggest


class ExcitationOptions(TypedDict, total=False):
    """Options of the excitations of a network, see `make_excitation`."""

    excitation: str
    squeeze: str
    gate: str
    reduction: int
    min_hidden: int
    bias: bool
    hidden_norm: bool


SIZES = ("reduction", "min_hidden")     # a structure without a hidden layer ignores them


def _gather_excite(channels: int, size: int | None, gate: str, rng: np.random.Generator) -> Excitation:
    return NoWeights(gate).squeezed_by(make_squeeze("weighted", channels, size, rng=rng))


def _gather_excite_plus(channels: int, size: int | None, reduction: int, min_hidden: int, bias: bool, gate: str,
                        hidden_norm: bool, rng: np.random.Generator) -> Excitation:
    excite = SqueezeExcite(channels, reduction, min_hidden, bias, gate, hidden_norm, rng=rng)
    return excite.squeezed_by(make_squeeze("weighted", channels, size, rng=rng))


def _fca(channels: int, reduction: int, min_hidden: int, bias: bool, gate: str, hidden_norm: bool,
         rng: np.random.Generator) -> Excitation:
    excite = SqueezeExcite(channels, reduction, min_hidden, bias, gate, hidden_norm, rng=rng)
    return excite.squeezed_by(make_squeeze("dct", channels, rng=rng))


EXCITATIONS: dict[str, Callable[..., Excitation]] = {
    "se": SqueezeExcite,
    "none": NoWeights,
    "per_channel": PerChannel,
    "dense": OneDense,
    "grouped_dense": GroupedDense,
    "eca": ECA,
    "eca_circular": functools.partial(ECA, circular=True),
    "lct": LinearContext,
    "gaussian_context": GaussianContext,
    "gct": GatedChannels,
    "srm": StyleGates,
    "ge_theta": _gather_excite,
    "ge_theta_plus": _gather_excite_plus,
    "fca": _fca,
    "gc": GlobalContext,
    "cbam_channel": MeanMaxGates,
    "cbam_spatial": SpatialGates,
    "cbam": CBAM,
    "sse": PixelGates,
    "scse": ConcurrentGates,
    "scse_max": functools.partial(ConcurrentGates, larger=True),
    "bam": BAM,
    "coordinate": CoordinateAttention,
    "simam": SimAM,
    "no_squeeze": NoSqueeze,
}


def make_excitation(channels: int, size: int | None = None, *, excitation: str = "se", squeeze: str = "mean",
                    gate: str = "sigmoid", reduction: int = 4, min_hidden: int = 4, bias: bool = False,
                    hidden_norm: bool = False, rng: np.random.Generator) -> Excitation:
    """Make a structure by its name.

    Parameters
    ----------
    channels : int, C
    size : int, optional
        Height and width of the maps, for structures with a weight for each pixel.
    rng : Generator
        Draws the weights.
    excitation : str
        One of `EXCITATIONS`; by default "se".
    squeeze : str
        What takes maps to one number for each channel, one of `npse.layers.SQUEEZES`; by default "mean".
    gate : str
        One of `npse.layers.GATES`; by default "sigmoid".
    reduction : int
        C // reduction units in the hidden layer, by default 4; for structures that have groups, their number.
    min_hidden : int
        The fewest units of the hidden layer, by default 4.
    bias : bool
        Whether dense layers and weights for each channel have biases.
    hidden_norm : bool
        Whether a batch norm follows the first dense layer.

    Raises
    ------
    ValueError
        An unknown name, an option for which the structure has no use, or sizes that do not fit.
    """
    given = dict(locals())
    if excitation not in EXCITATIONS:
        raise ValueError(f"unknown excitation {excitation!r}; {suggest(excitation, EXCITATIONS)}")
    for option, default in DEFAULTS.items():
        if option not in SIZES and given[option] != default and not takes(excitation, option):
            raise ValueError(f"{excitation} takes no {option}; it is for: "
                             + ", ".join(other for other in EXCITATIONS if takes(other, option)))
    layer = EXCITATIONS[excitation](**{key: given[key] for key in _parameters(excitation) if key in given})
    if isinstance(layer, SqueezedGates) and squeeze != "mean":
        layer.squeezed_by(make_squeeze(squeeze, channels, size, rng=rng))
    return layer


DEFAULTS = {name: parameter.default for name, parameter in inspect.signature(make_excitation).parameters.items()
            if name in ExcitationOptions.__annotations__}


def takes(name: str, option: str) -> bool:
    """Whether the structure of that name has a use for an option."""
    if option == "squeeze":
        made = EXCITATIONS[name]
        made = made.func if isinstance(made, functools.partial) else made
        return isinstance(made, type) and issubclass(made, SqueezedGates)
    return option == "excitation" or option in _parameters(name)


def _parameters(name: str) -> tuple[str, ...]:
    """The names of those arguments of a structure that are not set in `EXCITATIONS`."""
    made = EXCITATIONS[name]
    fixed = made.keywords if isinstance(made, functools.partial) else {}
    return tuple(key for key in inspect.signature(made).parameters if key not in fixed)
