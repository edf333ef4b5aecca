"""Options that all networks share, and the excitations of a network."""

import inspect
from collections.abc import Callable, Collection
from typing import Any, Protocol, TypedDict, Unpack, cast, get_type_hints

import numpy as np

from npse.layers import Excitation, Sequential, make_excitation
from npse.layers.excitations import DEFAULTS, EXCITATIONS, SIZES, ExcitationOptions, takes

__all__ = ["Excite", "NetworkOptions", "StructureOptions", "excitations", "expect_image_size", "expect_stages",
           "parameters_of", "with_defaults"]


class NetworkOptions(ExcitationOptions, total=False):
    """Options of every network.

    Attributes
    ----------
    se : bool
        Whether the network has excitations.
    stages : collection of int, optional
        The stages that have excitations, counted from 1; by default all.
    classes : int
    channels : int
        Of the images.
    image_size : int
        Height and width of the images. Only structures with a weight for each pixel need it.
    input_gradient : bool
        Whether backward returns the gradient of the images; training does not need it.
    seed : int
        For the initial weights.
    excitation, squeeze, gate, reduction, min_hidden, bias, hidden_norm
        See `npse.layers.make_excitation`.
    """

    se: bool
    stages: Collection[int] | None
    classes: int
    channels: int
    image_size: int
    input_gradient: bool
    seed: int


class StructureOptions(TypedDict, total=False):
    """Options of an excitation but ``reduction`` and ``bias``, for networks that have other defaults for these two."""

    excitation: str
    squeeze: str
    gate: str
    min_hidden: int
    hidden_norm: bool


class Excite(Protocol):
    """Makes the excitation of a block, or None if the block has none."""

    def __call__(self, channels: int, size: int, stage: int, **changes: Unpack[ExcitationOptions]
                 ) -> Excitation | None:
        """Return it for so many channels, maps of size x size pixels and a stage; ``changes`` are for this block."""


def excitations(se: bool, stages: Collection[int] | None, rng: np.random.Generator,
                **options: Unpack[ExcitationOptions]) -> Excite:
    """Return a function that makes the excitation of each block of a network.

        excite = excitations(se, stages, rng, excitation="eca")
        part = excite(64, 8, 3)          # for 64 channels, maps of 8 x 8 pixels, stage 3; None if it has none

    Parameters
    ----------
    se : bool
        Whether the network has any.
    stages : collection of int, optional
        The stages that have them; by default all.
    rng : Generator
        Draws the weights.
    options
        See `npse.layers.make_excitation`.
    """
    def make(channels: int, size: int, stage: int, **changes: Unpack[ExcitationOptions]) -> Excitation | None:
        if changes:
            changed: ExcitationOptions = {**options, **changes}
            return excitations(se, stages, rng, **changed)(channels, size, stage)
        if not se or (stages is not None and stage not in stages):
            return None
        return make_excitation(channels, size, rng=rng, **options)
    return make


def with_defaults(options: ExcitationOptions, **defaults: Unpack[ExcitationOptions]) -> ExcitationOptions:
    """Return the options, and those of a network's own defaults for which the structure has a use."""
    name = options.get("excitation", DEFAULTS["excitation"])
    usable = [option for option in defaults if option in SIZES or (name in EXCITATIONS and takes(name, option))]
    return cast(ExcitationOptions, {option: value for option, value in defaults.items() if option in usable}
                | {**options})


def expect_stages(stages: Collection[int] | None, count: int) -> None:
    """Raise ValueError unless the stages are some of 1, ..., count."""
    if stages is not None and not {*stages} <= {*range(1, count + 1)}:
        raise ValueError(f"stages must be some of {', '.join(map(str, range(1, count + 1)))}, but are "
                         f"{', '.join(map(str, stages))}")


def expect_image_size(image_size: int, least: int) -> None:
    """Raise ValueError unless images have at least so many pixels in height and width."""
    if image_size < least:
        raise ValueError(f"image_size must be at least {least} for this network, but is {image_size}")


def parameters_of(family: Callable[..., Sequential]) -> list[inspect.Parameter]:
    """Return the options of a function that builds networks.

    ``**options`` counts as those options of an excitation that the function does not name itself, with other defaults.
    """
    found: list[inspect.Parameter] = []
    for parameter in inspect.signature(family).parameters.values():
        if parameter.kind is parameter.KEYWORD_ONLY:
            found.append(parameter)
        elif parameter.kind is parameter.VAR_KEYWORD:
            types: dict[str, Any] = get_type_hints(ExcitationOptions)
            named = {other.name for other in found}
            found += [inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=default, annotation=types[name])
                      for name, default in DEFAULTS.items() if name not in named]
    return found
