"""Data sets, and the batches that a network is trained and evaluated on. Images stay uint8 until a batch is made."""

from npse.data import cifar10, shapes
from npse.data.batches import evaluation_batches, steps_per_epoch, training_batches
from npse.data.dataset import Dataset, pixel_statistics
from npse.data.folder import data_dir
from npse.names import suggest

LOADERS = {"shapes": shapes.load, "cifar10": cifar10.load}


def load(name):
    """Load a data set by name.

    Parameters
    ----------
    name : str, "shapes" (built in) or "cifar10" (see ``npse data fetch cifar10``)

    Returns
    -------
    Dataset

    Raises
    ------
    ValueError
        An unknown name, or files that are not what they should be.
    FileNotFoundError
        The data set has not been fetched.
    """
    if name not in LOADERS:
        raise ValueError(f"unknown data set {name!r}; {suggest(name, LOADERS)}")
    return LOADERS[name]()


def found():
    """Names of the data sets that can be loaded without fetching anything."""
    return ["shapes", *(["cifar10"] if not cifar10.absent() else [])]


__all__ = ["Dataset", "data_dir", "evaluation_batches", "found", "load", "pixel_statistics", "steps_per_epoch",
           "training_batches"]
