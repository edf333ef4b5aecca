"""Pictures of a run, as PNG: learning curves, confusion matrix, gates. Drawn without a display."""

import numpy as np
from matplotlib.ticker import FuncFormatter, LogLocator, MaxNLocator, NullFormatter

from npse.support.files import write_atomically
from npse.support.style import GREY, INK, LABEL, ORANGE, SMALL, figure, plain, png

DECADE = 5.0                     # errors that differ by this factor are drawn on a logarithmic axis


def save(picture, path):
    """Write a figure as PNG, never half of one."""
    write_atomically(path, png(picture))


def curves(rows, title):
    """Loss and error by epoch, from the rows of metrics.jsonl."""
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


def _percent(axes, errors):
    """An axis of per cent, logarithmic where errors differ much."""
    seen = errors[errors > 0]
    if len(seen) and seen.max() > DECADE * seen.min():
        axes.set_yscale("log")
        axes.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
        axes.yaxis.set_minor_formatter(NullFormatter())
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))


def confusion(matrix, classes, title):
    """Confusion matrix, true class by predicted class, in per cent of the true class."""
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


def gates(by_block, classes, title):
    """Mean gate of each channel for each class: one row of pictures a stage, for the last block of that stage.

    Left, the gates themselves, channels sorted by their mean; right, how far each class departs from that mean:
    a stage whose right picture is blank treats all classes alike.
    """
    stages = {name.split(".")[0]: (name, s) for name, s in by_block.items()}         # the last block of a stage wins
    picture = figure(10, 0.6 + 2.5 * len(stages), title)
    grid = picture.subplots(len(stages), 2, squeeze=False)
    departures = {name: s - s.mean(axis=0) for name, s in stages.values()}
    reach = max(abs(d).max() for d in departures.values())
    for number, ((left, right), (name, s)) in enumerate(zip(grid, stages.values(), strict=True), start=1):
        order = s.mean(axis=0).argsort()
        level = left.imshow(s[:, order], aspect="auto", cmap="viridis", vmin=0, vmax=1, interpolation="nearest")
        shift = right.imshow(departures[name][:, order], aspect="auto", cmap="RdBu_r", vmin=-reach, vmax=reach,
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


def _bar(image, axes, label):
    """The scale of colours beside axes, with what it measures."""
    bar = axes.figure.colorbar(image, ax=axes, fraction=0.04, pad=0.01)
    bar.set_label(label, fontsize=LABEL, color=INK)
    bar.ax.tick_params(labelsize=SMALL)
