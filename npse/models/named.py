"""Models by name: each is a function with typed options, so that an editor can complete the options."""

import functools
import inspect
from collections.abc import Callable, Iterable
from typing import ParamSpec, Unpack

from npse.layers import Sequential
from npse.models.options import NetworkOptions, parameters_of
from npse.models.resnet import resnet
from npse.models.wide import wide as wide_network
from npse.support.names import suggest


class WideOptions(NetworkOptions, total=False):
    """Options of `npse.models.wide.wide`."""

    widths: tuple[int, ...]


class ResNetOptions(WideOptions, total=False):
    """Options of `npse.models.resnet.resnet`, except the depth."""

    placement: str
    shortcut: str


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
