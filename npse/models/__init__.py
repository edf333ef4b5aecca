"""Networks compose layers. ``build("se_resnet20", seed=0)``, or by name: ``se_resnet20(seed=0)``."""

from functools import partial

from npse.models.resnet import DEPTHS, resnet

MODELS = {f"{prefix}resnet{depth}": partial(resnet, depth, se=bool(prefix))
          for prefix in ("se_", "") for depth in DEPTHS}
globals().update(MODELS)


def build(name, **options):
    """Build the model of that name; options as in `npse.models.resnet.resnet`. ValueError lists the known names."""
    if name not in MODELS:
        raise ValueError(f"unknown model {name!r}; known are: {', '.join(MODELS)}")
    return MODELS[name](**options)


__all__ = ["MODELS", "build", "resnet", *MODELS]
