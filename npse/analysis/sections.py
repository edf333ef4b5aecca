"""The sections of the report of a run: each turns what was found into parts of a page, or into pictures."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from npse.analysis import page, plots, sheets, tables
from npse.analysis.inspection import Inspection
from npse.bench.report import Table
from npse.training import Config, records
from npse.types import Array

PAIRS = 5                        # confused pairs of classes that are shown


def mistakes(found: Inspection, confusion: bytes) -> list[str]:
    """Return the section of the confusion matrix and the pairs of classes that are confused most."""
    predicted = found.observation.logits.argmax(axis=1)
    pairs = sheets.confused_pairs(found.labels, predicted, PAIRS)
    parts = [page.picture(confusion, "Confusion matrix: true class by predicted class.")]
    if pairs:
        parts.append(page.picture(sheets.confused(found.images, pairs, found.classes, "The most frequent mistakes"),
                                  "The pairs of classes that are confused most often, with test images."))
    return [page.heading("What it gets wrong"), page.grid(parts),
            *([] if pairs else [page.paragraph("Every test image is right.")])]


def gates(found: Inspection, by_class: bytes | None = None) -> list[str]:
    """Return the section of the gates; the picture ``by_class`` of `gates_by_class` is drawn here if it is left out."""
    parts = [page.heading("What the gates do"), page.points(found.remarks)]
    if not found.blocks:
        return parts
    return [*parts, page.grid(map(page.table, tables.all_of(found))),
            page.heading("The last block of each stage in pictures", 3), page.grid(_pictures(found, by_class))]


def gates_by_class(found: Inspection) -> Figure:
    """Draw the mean gates of each class, for the last block of each stage."""
    rows = np.arange(len(found.classes))
    if len(rows) > plots.MANY:                                    # blank rows of other classes would hide these
        rows = np.unique(found.labels)
    classes = [found.classes[int(row)] for row in rows]
    return plots.gates({name: found.by_class(name)[0][rows] for name in found.shown}, classes, "Gates by class")


def _pictures(found: Inspection, by_class: bytes | None) -> list[str]:
    """Return the pictures of the gates, the fastest to understand first."""
    shown = found.shown
    last = next((name for name in reversed(shown) if found.blocks[name].channels > 1), shown[-1])
    of_last, of_shown = found.observation.gates[last], {name: found.observation.gates[name] for name in shown}
    drawn: list[tuple[Figure | bytes, str]] = [
             (by_class or gates_by_class(found),
              "Mean gate of each channel for each class (figure 6 of the paper). Where the right side is pale, the "
              "block treats all classes alike."),
             (sheets.channels(found.images, of_shown, "What opens a channel"),
              "Left: the test images that open a channel most; right: those that close it most. Shown are the channels "
              "whose gates vary most over all images."),
             (sheets.opened(found.images, found.labels, of_last, found.classes, f"What an image opens: {last}"),
              "The first test image of each class, and how far it opens (red) or closes (blue) each channel, relative "
              "to the channel's mean over all images.")]
    if pair := most_different(found.by_class(last)[0]):
        drawn.append((plots.spread({name: found.by_class(name) for name in shown}, found.classes, pair,
                                   "Within a class and between classes"),
                      "Mean gate and standard deviation within two classes (figure 7 of the paper). The two are those "
                      f"whose mean gates in {last} differ most, so a typical pair is closer together."))
    if found.rows:
        drawn.append((plots.history(found.rows, shown, "The gates over the epochs"),
                      "How the gates of the images that are evaluated after each epoch are spread over values; each "
                      "column adds up to 100 per cent."))
    return [page.picture(figure, text) for figure, text in drawn]


def most_different(means: Array) -> tuple[int, int] | None:
    """Return the two classes whose mean gates (K, C) differ most, or None if fewer than two classes have images."""
    present = np.flatnonzero(~np.isnan(means[:, 0]))
    if len(present) < 2:
        return None
    squares = (means[present] ** 2).sum(axis=1)
    distances = squares[:, None] + squares - 2 * means[present] @ means[present].T
    first, second = np.unravel_index(distances.argmax(), distances.shape)
    return int(present[min(first, second)]), int(present[max(first, second)])


def settings(kept: Mapping[str, Any]) -> list[str]:
    """Return the section of all settings of a run and the facts about its machine, from config.json."""
    chosen = records.kinds_of(Config)
    facts = {name: value for name, value in kept.items() if name not in (*chosen, "classes", "mean", "std", "versions")}
    versions = kept.get("versions")
    parts = {"Settings": {name: value for name, value in kept.items() if name in chosen},
             "Command and machine": facts, "Versions": versions if isinstance(versions, Mapping) else {}}
    return [page.heading("How it was made"),
            page.grid(page.table(Table(title, ("<", "<"), [(name.replace("_", " "), _text(value))
                                                          for name, value in part.items()]))
                      for title, part in parts.items() if part)]


def notebook(found: Inspection) -> str:
    """Return an inspection as the output of a notebook."""
    return page.fragment([page.heading(found.title, 3) if found.title else "", *gates(found)])


def _text(value: object) -> str:
    if isinstance(value, Mapping):
        return ", ".join(f"{name} {_text(part)}" for name, part in value.items())
    if isinstance(value, bool):
        return "yes" if value else "no"
    return "none" if value is None else str(value)
