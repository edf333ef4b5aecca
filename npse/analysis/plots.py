"""Pictures of a run as PNG, drawn without a display: learning curves, confusion matrix, gates."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.image import AxesImage
from matplotlib.ticker import FuncFormatter, LogLocator, MaxNLocator, NullFormatter

from npse.support.files import write_atomically
from npse.support.style import GREY, INK, LABEL, ORANGE, SMALL, figure, plain, png
from npse.types import Array

DECADE = 5.0                     # errors whose ratio exceeds this factor are drawn on a logarithmic axis


def save(picture: Figure, path: str | Path) -> None:
    """Write a figure to a PNG file, completely or not at all; OSError if it cannot be written."""
    write_atomically(path, png(picture))


def curves(rows: Sequence[Mapping[str, Any]], title: str) -> Figure:
    """Draw loss and error by epoch, from the rows of metrics.jsonl, at least one."""
    picture = figure(9, 3.6, title)
    epochs, held = [row["epoch"] for row in rows], rows[-1]["evaluated_on"]
    loss, error = picture.subplots(1, 2)
    errors = [[100 - 100 * row[name] for row in rows] for name in ("train_accuracy", "accuracy")]
    losses = [[row[name] for row in rows] for name in ("train_loss", "loss")]
    for axes, label, (training, other) in ((loss, "cross-entropy", losses), (error, "error, per cent", errors)):
        axes.plot(epochs, training, color=GREY, marker="s", markersize=3, label="training (augmented, smoothed labels)")
        axes.plot(epochs, other, color=ORANGE, marker="o", markersize=3.5, label=held)
        axes.set(xlabel="epoch", ylabel=label, xlim=(epochs[0] - 0.5, epochs[-1] + 0.5))
        axes.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
        plain(axes)
    _percent(error, np.array(errors))
    picture.legend(*loss.get_legend_handles_labels(), loc="outside lower center", ncols=2, frameon=False,
                   fontsize=SMALL)
    return picture


def _percent(axes: Axes, errors: Array) -> None:
    """Make the y axis one of per cent, logarithmic if the errors (2, epochs) differ much."""
    seen = errors[errors > 0]
    if len(seen) and seen.max() > DECADE * seen.min():
        axes.set_yscale("log")
        axes.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
        axes.yaxis.set_minor_formatter(NullFormatter())
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))


def confusion(matrix: Array, classes: Sequence[str], title: str) -> Figure:
    """Draw a confusion matrix (K, K) of counts, true class by predicted class, in per cent of the true class."""
    share = 100 * matrix / np.maximum(matrix.sum(axis=1, keepdims=True), 1)
    picture = figure(7.2, 5.8, title)
    axes = picture.subplots()
    image = axes.imshow(share, cmap="Blues", vmin=0, vmax=100)
    for (row, column), value in np.ndenumerate(share):
        if value > 0:
            axes.text(column, row, f"{value:.0f}" if value >= 0.5 else "<1", ha="center", va="center", fontsize=SMALL,
                      color="white" if value > 55 else INK)
    axes.set_xticks(range(len(classes)), classes, rotation=45, ha="right")
    axes.set_yticks(range(len(classes)), classes)
    axes.set(xlabel="predicted class", ylabel="true class")
    plain(axes, grid=False)
    _bar(image, axes, "per cent of the images of the true class")
    return picture


def gates(by_block: Mapping[str, Array], classes: Sequence[str], title: str) -> Figure:
    """Draw the mean gate of each channel for each class, one row for each stage, from the last block of the stage.

    Left are the gates, with channels sorted by their mean over the classes. Right is the difference of each class from
    that mean: it is blank if a stage treats all classes alike.

    Parameters
    ----------
    by_block : dict of str to array (K, channels)
        From `npse.analysis.gates.gates_by_class`, at least one block.
    classes : sequence of K str
    title : str
    """
    stages = {name.split(".")[0]: (name, s) for name, s in by_block.items()}     # later blocks replace earlier ones
    picture = figure(10, 0.6 + 2.5 * len(stages), title)
    grid = picture.subplots(len(stages), 2, squeeze=False)
    differences = {name: s - s.mean(axis=0) for name, s in stages.values()}
    reach = max(abs(d).max() for d in differences.values())
    for number, ((left, right), (name, s)) in enumerate(zip(grid, stages.values(), strict=True), start=1):
        order = s.mean(axis=0).argsort()
        level = left.imshow(s[:, order], aspect="auto", cmap="viridis", vmin=0, vmax=1, interpolation="nearest")
        shift = right.imshow(differences[name][:, order], aspect="auto", cmap="RdBu_r", vmin=-reach, vmax=reach,
                             interpolation="nearest")
        left.set_title(f"stage {number} ({name}): how far each channel is opened")
        right.set_title("what sets a class apart from the mean of all")
        for axes, image, label in ((left, level, "gate, 0 to 1"), (right, shift, "gate less the mean")):
            axes.set_yticks(range(len(classes)), classes)
            axes.set_xlabel(f"{s.shape[1]} channels, sorted by mean gate")
            axes.set_xticks([])
            plain(axes, grid=False)
            _bar(image, axes, label)
    return picture


def _bar(image: AxesImage, axes: Axes, label: str) -> None:
    """Add a labelled colour bar beside the axes."""
    bar = axes.figure.colorbar(image, ax=axes, fraction=0.04, pad=0.01)
    bar.set_label(label, fontsize=LABEL, color=INK)
    bar.ax.tick_params(labelsize=SMALL)
