"""Pictures of a run, drawn without a display: learning curves, confusion matrix, gates.

All are narrow enough to be read on the page of a telephone. Section 7 of arXiv 1709.01507 has the figures 6 and 7.
"""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.image import AxesImage
from matplotlib.ticker import FuncFormatter, LogLocator, MaxNLocator, NullFormatter

from npse.support.files import write_atomically
from npse.support.style import BLUE, GREY, INK, LABEL, ORANGE, SMALL, figure, plain, png
from npse.training.gate_histograms import BINS, HIGH, LOW
from npse.types import Array

WIDTH = 5.4                      # inches
DECADE = 5.0                     # errors whose ratio exceeds this factor are drawn on a logarithmic axis
MANY = 20                        # classes; more are drawn without names and numbers


def save(picture: Figure, path: str | Path) -> None:
    """Write a figure to a PNG file, completely or not at all; OSError if it cannot be written."""
    write_atomically(path, png(picture))


def curves(rows: Sequence[Mapping[str, Any]], title: str) -> Figure:
    """Draw loss and error by epoch, from the rows of metrics.jsonl, at least one."""
    picture = figure(WIDTH, 5.6, title)
    epochs, held = [row["epoch"] for row in rows], rows[-1]["evaluated_on"]
    loss, error = picture.subplots(2, 1)
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
    picture = figure(WIDTH, 4.9, title)
    axes = picture.subplots()
    image = axes.imshow(share, cmap="Blues", vmin=0, vmax=100)
    for (row, column), value in np.ndenumerate(share):
        if value > 0 and len(classes) <= MANY:
            axes.text(column, row, f"{value:.0f}" if value >= 0.5 else "<1", ha="center", va="center", fontsize=SMALL,
                      color="white" if value > 55 else INK)
    _name(axes, classes)
    axes.set_xticks(axes.get_yticks(), [label.get_text() for label in axes.get_yticklabels()], rotation=45, ha="right")
    axes.set(xlabel="predicted class", ylabel="true class")
    plain(axes, grid=False)
    _bar(image, axes, "per cent of the images of the true class", "right")
    return picture


def gates(by_block: Mapping[str, Array], classes: Sequence[str], title: str) -> Figure:
    """Draw the mean gate of each channel for each class, a row for each block: figure 6 of the paper.

    Left are the gates, with channels sorted by their mean over the classes. Right is the difference of each class from
    that mean: it is blank if a block treats all classes alike.

    Parameters
    ----------
    by_block : dict of str to array (K, C)
        From `npse.analysis.statistics.by_class`, at least one block. Classes without images are left blank.
    classes : sequence of K str
    title : str
    """
    picture = figure(WIDTH, 1.1 + 2.1 * len(by_block), title)
    grid = picture.subplots(len(by_block), 2, squeeze=False, sharey=True)
    centres = {name: np.nanmean(s, axis=0) for name, s in by_block.items()}
    reach = max(np.nanmax(abs(s - centres[name])) for name, s in by_block.items()) or 1.0
    low, high = _span(by_block.values())
    for (left, right), (name, s) in zip(grid, by_block.items(), strict=True):
        order = centres[name].argsort()
        level = left.imshow(s[:, order], aspect="auto", cmap="viridis", vmin=low, vmax=high, interpolation="nearest")
        shift = right.imshow((s - centres[name])[:, order], aspect="auto", cmap="RdBu_r", vmin=-reach, vmax=reach,
                             interpolation="nearest")
        left.set_title(f"{name}: mean gate")
        right.set_title("less the mean of all classes")
        for axes in (left, right):
            _name(axes, classes)
            axes.set_xlabel(f"{s.shape[1]} {'channels, sorted' if s.shape[1] > 1 else 'number'}")
            axes.set_xticks([])
            plain(axes, grid=False)
        right.tick_params(labelleft=False)
    _bar(level, grid[:, 0], f"gate, {low:g} to {high:g}", "bottom")           # the colours mean the same in all rows
    _bar(shift, grid[:, 1], "gate less the mean", "bottom")
    return picture


def spread(by_block: Mapping[str, tuple[Array, Array]], classes: Sequence[str], pair: tuple[int, int], title: str
           ) -> Figure:
    """Draw the gates of two classes, mean and standard deviation over their images: figure 7 of the paper.

    Parameters
    ----------
    by_block : dict of str to pair of arrays (K, C)
        Means and deviations from `npse.analysis.statistics.by_class`.
    classes : sequence of K str
    pair : tuple of two int
        The classes.
    title : str
    """
    picture = figure(WIDTH, 0.7 + 1.7 * len(by_block), title)
    for axes, (name, (means, deviations)) in zip(picture.subplots(len(by_block), 1, squeeze=False)[:, 0],
                                                 by_block.items(), strict=True):
        order, places = means[pair[0]].argsort(), np.arange(means.shape[1])
        for k, colour, style in zip(pair, (BLUE, ORANGE), ("-", "--"), strict=True):
            middle, width = means[k][order], deviations[k][order]
            axes.plot(places, middle, style, color=colour, marker="." if len(places) < 40 else "", label=classes[k])
            axes.fill_between(places, middle - width, middle + width, color=colour, alpha=0.2, linewidth=0)
        axes.set_title(f"{name}: mean and deviation within a class")
        axes.set(ylabel="gate", xlabel=f"{len(places)} channels, sorted by {classes[pair[0]]}", xticks=[])
        plain(axes)
    picture.legend(*axes.get_legend_handles_labels(), loc="outside lower center", ncols=2, frameon=False,
                   fontsize=SMALL)
    return picture


def history(rows: Sequence[Mapping[str, Any]], blocks: Sequence[str], title: str) -> Figure:
    """Draw how the gates are spread after each epoch: a column of colours is a histogram.

    Parameters
    ----------
    rows : sequence of rows of metrics.jsonl that have the entry ``gates``, at least one
    blocks : sequence of str, names of blocks in these rows
    title : str
    """
    picture = figure(WIDTH, 0.4 + 1.8 * len(blocks), title)
    epochs = [row["epoch"] for row in rows]
    edges = np.linspace(LOW, HIGH, BINS + 1)
    for axes, name in zip(picture.subplots(len(blocks), 1, squeeze=False)[:, 0], blocks, strict=True):
        counts = np.array([row["gates"][name] for row in rows]).T                  # (BINS, epochs)
        share = 100 * counts / np.maximum(counts.sum(axis=0), 1)
        used = np.flatnonzero(counts.any(axis=1))
        image = axes.imshow(share, origin="lower", aspect="auto", cmap="Blues", vmin=0,
                            extent=(epochs[0] - 0.5, epochs[-1] + 0.5, LOW, HIGH), interpolation="nearest")
        axes.set(ylim=(edges[used[0]], edges[used[-1] + 1]), ylabel="gate", xlabel="epoch")
        axes.set_title(name)
        axes.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
        plain(axes, grid=False)
        _bar(image, axes, "per cent", "right")
    return picture


def _span(values: Iterable[Array]) -> tuple[float, float]:
    """Return the range of colours for gates: 0 to 1, or wider if there are other gates."""
    seen = np.concatenate([s.ravel() for s in values])
    return min(0.0, float(np.floor(np.nanmin(seen)))), max(1.0, float(np.ceil(np.nanmax(seen))))


def _name(axes: Axes, classes: Sequence[str]) -> None:
    """Write the names of the classes at the rows of an image; about ten numbers if there are many."""
    if len(classes) <= MANY:
        axes.set_yticks(range(len(classes)), classes)
    else:
        some = range(0, len(classes), len(classes) // 10)
        axes.set_yticks(some, map(str, some))


def _bar(image: AxesImage, axes: Axes | Array, label: str, location: str) -> None:
    """Add a labelled colour bar beside or below the axes, one or several."""
    bar = image.axes.figure.colorbar(image, ax=axes, fraction=0.04, pad=0.01, location=location)
    bar.set_label(label, fontsize=LABEL, color=INK)
    bar.ax.tick_params(labelsize=SMALL)
