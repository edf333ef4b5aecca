"""Data sets, and the batches for training and evaluation. Images stay uint8 until a batch is made."""

import os.path
from collections.abc import Callable

from npse.data import cifar10, shapes
from npse.data.batches import evaluation_batches, steps_per_epoch, training_batches
from npse.data.dataset import Dataset, pixel_statistics
from npse.data.folder import data_dir
from npse.support.names import suggest

LOADERS: dict[str, Callable[[], Dataset]] = {"shapes": shapes.load, "cifar10": cifar10.load}


def load(name: str) -> Dataset:
    """Load a data set by name.

    Parameters
    ----------
    name : str
        "shapes" (built in) or "cifar10" (see ``npse data fetch cifar10``).

    Returns
    -------
    Dataset

    Raises
    ------
    ValueError
        The name is unknown, or a file is not the official one.
    FileNotFoundError
        The data set has not been fetched.
    """
    expect_known(name)
    return LOADERS[name]()


def expect_known(name: str) -> None:
    """Check the name of a data set.

    Raises
    ------
    ValueError
        The name is unknown; the message lists the known names. If it is a path, the message says how to import it.
    """
    if name in LOADERS:
        return
    if os.path.exists(name):
        raise ValueError(f"data must be the name of a data set, but is the file or folder {name!r}; if CIFAR-10 is "
                         f"there, run: npse data fetch cifar10 --from {name}")
    raise ValueError(f"unknown data set {name!r}; {suggest(name, LOADERS)}")


def found() -> list[str]:
    """Return the names of the data sets that can be loaded without a download."""
    return ["shapes", *(["cifar10"] if not cifar10.absent() else [])]


__all__ = ["Dataset", "data_dir", "evaluation_batches", "expect_known", "found", "load", "pixel_statistics",
           "steps_per_epoch", "training_batches"]
