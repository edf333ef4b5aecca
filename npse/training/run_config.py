"""What config.json of a run holds: its settings, and facts about its data.

Each function takes the content of the file; it raises ValueError and names the entry that cannot be used.
"""

from typing import Any

import numpy as np

from npse import backend, data
from npse.support.names import suggest
from npse.training import records
from npse.training.config import Config
from npse.types import Array


def config_of(kept: Any) -> Config:
    """Return the settings of the run."""
    config = Config.from_dict(kept)
    data.expect_known(config.data)
    if config.edition not in ("auto", *backend.EDITIONS):
        raise ValueError(f"unknown edition {config.edition!r}; {suggest(config.edition, ('auto', *backend.EDITIONS))}")
    return config


def pixels_of(kept: Any) -> tuple[list[str], Array, Array]:
    """Return classes, mean and std from the content of config.json."""
    for name in ("classes", "mean", "std"):
        if not isinstance(kept.get(name), list):
            raise ValueError(f"{name} must be a list, but is {records.short(kept.get(name))}")
    classes, mean, std = kept["classes"], kept["mean"], kept["std"]
    if not (classes and all(isinstance(name, str) and name.isprintable() for name in classes)):
        raise ValueError(f"classes must be names, but are {records.short(classes)}")
    channels = image_shape_of(kept)[2]
    for name, numbers in (("mean", mean), ("std", std)):
        if not (len(numbers) == channels and all(records.is_a(x, float) and 0 <= x <= 1 for x in numbers)):
            raise ValueError(f"{name} must be a number in 0..1 for each channel of {channels}, "
                             f"but is {records.short(numbers)}")
    if not np.float32(std).all():
        raise ValueError(f"std must be above 0, but is {std}")
    return classes, np.array(mean, np.float32), np.array(std, np.float32)


def image_shape_of(kept: Any) -> tuple[int, int, int]:
    """Return the shape of the images from the content of config.json; runs of 0.1.0 have 32x32 colour images."""
    shape = kept.get("image_shape", [32, 32, 3])
    if not (isinstance(shape, list) and len(shape) == 3 and all(records.is_a(size, int) for size in shape)
            and 1 <= shape[0] == shape[1] <= 1024 and shape[2] in (1, 3)):
        raise ValueError(f"image_shape must be [S, S, C] with C 1 or 3, but is {records.short(shape)}")
    return tuple(shape)


def history_of(kept: Any) -> list[dict[str, int]]:
    """Return the earlier numbers of epochs of the run, from the content of config.json."""
    raised = kept.get("raised", [])
    if not isinstance(raised, list):
        raise ValueError(f"raised must be a list, but is {records.short(raised)}")
    return raised
