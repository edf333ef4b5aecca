"""Pictures of a run, as PNG: learning curves, confusion matrix, gates. Drawn without a display."""

import io

import numpy as np
from matplotlib.figure import Figure

from npse.files import write_atomically

INK, ACCENT, MUTED = "#1f2933", "#d1495b", "#7b8794"


def save(figure, path):
    """Write a figure as PNG, never half of one."""
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=130)
    write_atomically(path, buffer.getvalue())


def curves(rows, title):
    """Loss and error by epoch, from the rows of metrics.jsonl."""
    figure = Figure(figsize=(9, 3.4), layout="constrained")
    figure.suptitle(title, color=INK)
    epochs, held = [row["epoch"] for row in rows], rows[-1]["evaluated_on"]
    loss, error = figure.subplots(1, 2)
    for axes, label, ours, theirs in (
            (loss, "cross-entropy", [row["train_loss"] for row in rows], [row["loss"] for row in rows]),
            (error, "error, %", [100 - 100 * row["train_accuracy"] for row in rows],
             [100 - 100 * row["accuracy"] for row in rows])):
        axes.plot(epochs, ours, color=MUTED, label="training (augmented, smoothed labels)")
        axes.plot(epochs, theirs, color=ACCENT, marker="o", markersize=3, label=held)
        axes.set(xlabel="epoch", ylabel=label)
        axes.xaxis.get_major_locator().set_params(integer=True)
        axes.grid(alpha=0.25)
    error.set_yscale("log")
    error.yaxis.set_major_formatter("{x:g}")
    error.yaxis.set_minor_formatter("{x:g}")
    error.tick_params(which="minor", labelsize=7)
    loss.legend(frameon=False, fontsize=8)
    return figure


def confusion(matrix, classes, title):
    """Confusion matrix, true class by predicted class, in per cent of the true class."""
    share = 100 * matrix / np.maximum(matrix.sum(axis=1, keepdims=True), 1)
    figure = Figure(figsize=(6.4, 5.6), layout="constrained")
    axes = figure.subplots()
    axes.imshow(share, cmap="Reds", vmin=0, vmax=100)
    for (row, column), value in np.ndenumerate(share):
        if value >= 0.5:
            axes.text(column, row, f"{value:.0f}", ha="center", va="center", fontsize=8,
                      color="white" if value > 55 else INK)
    axes.set_xticks(range(len(classes)), classes, rotation=45, ha="right")
    axes.set_yticks(range(len(classes)), classes)
    axes.set(xlabel="predicted", ylabel="true", title=title)
    return figure


def gates(by_block, classes, title):
    """Mean gate of each channel for each class: one row of pictures a stage, for the last block of that stage.

    Left, the gates themselves, channels sorted by their mean; right, how far each class departs from that mean:
    a stage whose right picture is blank treats all classes alike.
    """
    stages = {name.split(".")[0]: (name, s) for name, s in by_block.items()}         # the last block of a stage wins
    figure = Figure(figsize=(10, 0.6 + 2.5 * len(stages)), layout="constrained")
    figure.suptitle(title, color=INK)
    grid = figure.subplots(len(stages), 2, squeeze=False)
    departures = {name: s - s.mean(axis=0) for name, s in stages.values()}
    reach = max(abs(d).max() for d in departures.values())
    for (left, right), (name, s) in zip(grid, stages.values(), strict=True):
        order = s.mean(axis=0).argsort()
        level = left.imshow(s[:, order], aspect="auto", cmap="viridis", vmin=0, vmax=1, interpolation="nearest")
        shift = right.imshow(departures[name][:, order], aspect="auto", cmap="RdBu_r", vmin=-reach, vmax=reach,
                             interpolation="nearest")
        left.set_yticks(range(len(classes)), classes, fontsize=7)
        right.set_yticks([])
        left.set_title(f"{name}: gate s", fontsize=9)
        right.set_title("departure from the mean over classes", fontsize=9)
        for axes, picture in ((left, level), (right, shift)):
            axes.set_xlabel(f"{s.shape[1]} channels, sorted by mean gate", fontsize=8)
            figure.colorbar(picture, ax=axes, fraction=0.04, pad=0.01)
    return figure
