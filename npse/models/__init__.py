"""Networks compose layers. ``build("se_resnet20", seed=0)``, or by name: ``se_resnet20(seed=0)``."""

import inspect
from functools import partial

from npse.models.resnet import DEPTHS, resnet
from npse.models.wide import wide

MODELS = {f"{prefix}resnet{depth}": partial(resnet, depth, se=bool(prefix))
          for prefix in ("se_", "") for depth in DEPTHS}
MODELS |= {"se_wide": wide, "wide": partial(wide, se=False)}
globals().update(MODELS)


def build(name, **options):
    """Build the model of that name.

    Options are those of `npse.models.resnet.resnet` or `npse.models.wide.wide`. ValueError lists the known names, or
    tells of an option that the model does not have.
    """
    if name not in MODELS:
        raise ValueError(f"unknown model {name!r}; known are: {', '.join(MODELS)}")
    for option in options.keys() - inspect.signature(MODELS[name]).parameters.keys():
        raise ValueError(f"{name} has no option {option}: leave it out, or take a model that has it, as se_resnet8")
    return MODELS[name](**options)


__all__ = ["MODELS", "build", "resnet", *MODELS]
