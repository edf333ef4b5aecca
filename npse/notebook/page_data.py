"""The data set of the pages that train: CIFAR-10 if it is there, else the embedded shapes."""

import dataclasses
import os

from npse import data
from npse.notebook.play import STATIC


def page_data(most: int = 10_000) -> data.Dataset:
    """Return CIFAR-10 with its first ``most`` images for training, or the embedded shapes.

    CIFAR-10 is taken where the environment variable NPSE_CIFAR10 says, or from the data folder. While the pages are
    executed to be committed, and where there is no CIFAR-10, it is the shapes.
    """
    place = os.environ.get("NPSE_CIFAR10") or ("cifar10" if data.SETS["cifar10"].is_here() else "")
    whole = data.load(place if place and not os.environ.get(STATIC) else "shapes")
    return dataclasses.replace(whole, images=whole.images[:most], labels=whole.labels[:most])
