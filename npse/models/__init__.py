"""Networks compose layers. ``build("se_resnet20", seed=0)``, or by name: ``se_resnet20(seed=0)``."""

import functools
import inspect

from npse.models.resnet import DEPTHS, resnet
from npse.models.wide import wide
from npse.support.names import suggest


def _model(name, family, *chosen, **options_chosen):
    """The model of that name: a family of networks with some of its arguments chosen."""
    chosen = functools.partial(family, *chosen, **options_chosen)

    @functools.wraps(family)
    def model(**options):
        if unknown := _unknown_options(name, options):
            raise TypeError(unknown)
        return chosen(**options)

    model.__name__ = model.__qualname__ = name
    model.__signature__ = inspect.signature(chosen)
    return model


MODELS = {f"{prefix}resnet{depth}": _model(f"{prefix}resnet{depth}", resnet, depth, se=bool(prefix))
          for prefix in ("se_", "") for depth in DEPTHS}
MODELS |= {"se_wide": _model("se_wide", wide), "wide": _model("wide", wide, se=False)}
globals().update(MODELS)


def build(name, **options):
    """Build the model of that name.

    Options are those of `npse.models.resnet.resnet` or `npse.models.wide.wide`. ValueError lists the known names, or
    tells of an option that the model does not have.
    """
    if name not in MODELS:
        raise ValueError(f"unknown model {name!r}; {suggest(name, MODELS)}")
    if unknown := _unknown_options(name, options):
        raise ValueError(unknown)
    return MODELS[name](**options)


def _unknown_options(name, options):
    """Say which option the model of that name does not have; None if it has all."""
    known = inspect.signature(MODELS[name]).parameters
    for option in options:
        if option not in known:
            return f"{name} has no option {option}; {suggest(option, known)}"
    return None


__all__ = ["MODELS", "build", "resnet", *MODELS]
