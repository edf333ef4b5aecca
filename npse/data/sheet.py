"""A contact sheet: sample images of a data set, one row for each class, as PNG."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from npse.data.dataset import Dataset
from npse.support.files import write_atomically
from npse.support.style import DPI, SMALL, png
from npse.types import Array

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_SCALE = 2                        # dots for each pixel
_NAMES = 160                      # dots of the column with the names of the classes


def contact_sheet(images: Array, labels: Array, classes: Sequence[str], columns: int = 12) -> "Figure":
    """Draw the first images of each class.

    Parameters
    ----------
    images : uint8 array (N, S, S, C)
    labels : integer array (N,)
    classes : sequence of str
    columns : int
        Images of each class.

    Returns
    -------
    matplotlib.figure.Figure
    """
    from matplotlib.figure import Figure

    size = images.shape[1]
    cell = size + 2                                              # an image and a margin of 1 on each side
    sheet = np.full((cell * len(classes), cell * columns, 3), 255, np.uint8)
    for row in range(len(classes)):
        for column, image in enumerate(images[labels == row][:columns]):
            y, x = row * cell + 1, column * cell + 1
            sheet[y:y + size, x:x + size] = image               # a grey image fills all three channels
    height, width = (_SCALE * side for side in sheet.shape[:2])
    figure = Figure(figsize=((_NAMES + width) / DPI, height / DPI), dpi=DPI)
    axes = figure.add_axes((_NAMES / (_NAMES + width), 0, width / (_NAMES + width), 1))
    axes.imshow(sheet, interpolation="nearest", aspect="auto")
    axes.set_yticks((np.arange(len(classes)) + 0.5) * cell - 0.5, classes, fontsize=SMALL + 1)
    axes.set_xticks([])
    axes.tick_params(length=0)
    axes.spines[:].set_visible(False)
    return figure


def save_contact_sheet(dataset: Dataset, path: str | Path, columns: int = 12) -> None:
    """Write the contact sheet of the training images of a data set to a PNG file; OSError if it cannot be written."""
    write_atomically(path, png(contact_sheet(dataset.images, dataset.labels, dataset.classes, columns)))
