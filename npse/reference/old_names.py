"""The names of ops in version 0.1, which every edition still answers to."""

import importlib
from collections.abc import Callable
from typing import Any

OLD_NAMES = {"orthogonalise": "orthogonalize", "normalise": "normalize", "gated_join": "bn_scale_add_relu",
             "gated_join_backward": "bn_scale_add_relu_backward",
             "gated_join_backward_s": "bn_scale_add_relu_backward_s"}


def answers_to_old_names(module: str) -> Callable[[str], Any]:
    """Return the ``__getattr__`` of an edition, the module of this name: Python calls it for an unknown name."""
    def getattr_(name: str) -> Any:
        if name in OLD_NAMES:
            return getattr(importlib.import_module(module), OLD_NAMES[name])
        raise AttributeError(f"module {module!r} has no attribute {name!r}", name=name)
    return getattr_
