"""The report of a run: report.html, a page that holds everything it shows, and its main pictures as PNG files."""

import textwrap
from pathlib import Path
from typing import Any

import numpy as np

from npse.analysis import page, plots, sections
from npse.analysis.inspection import Inspection
from npse.bench import cost, cost_report
from npse.bench.report import Table
from npse.support.files import write_atomically
from npse.support.style import png
from npse.training import Config, RunFolder
from npse.training.evaluation import confusion_matrix

COLUMNS = 62                     # letters in a line of the title of a picture


def write(folder: RunFolder, found: Inspection, out: Path | None = None) -> list[Path]:
    """Write report.html, curves.png, confusion.png and, for a network with gates, gates.png.

    Parameters
    ----------
    folder : RunFolder
    found : Inspection
        Of the network of the run, from `npse.analysis.inspection`.
    out : Path, optional
        The folder to write into, which is made if it does not exist; by default that of the run.

    Returns
    -------
    list of Path
        The files that were written, the page first. OSError if one cannot be written.
    """
    kept, rows = folder.record(), folder.metrics()
    config = folder.config()
    title = textwrap.fill(found.title, COLUMNS)
    right = float((found.observation.logits.argmax(axis=1) == found.labels).mean())
    confusion = confusion_matrix(found.observation.logits, found.labels)
    pictures = {"confusion.png": png(plots.confusion(confusion, found.classes,
                                                     f"{title}\ntest accuracy {right:.1%}"))}
    if rows:
        pictures["curves.png"] = png(plots.curves(rows, title))
    if found.blocks:
        pictures["gates.png"] = png(sections.gates_by_class(found))
    body = [page.heading(found.title, 1), page.facts(_main_numbers(found, right, rows))]
    if rows:
        body += [page.heading("How it learned"),
                 page.grid([page.picture(pictures["curves.png"], _about_curves(rows)), _epochs(rows)])]
    body += [*sections.mistakes(found, pictures["confusion.png"]), *sections.gates(found, pictures.get("gates.png")),
             *_cost(config, found), *sections.settings(kept)]
    files: dict[str, str | bytes] = {"report.html": page.document(found.title, body)}
    files |= dict(sorted(pictures.items()))
    out = out or folder.path
    out.mkdir(parents=True, exist_ok=True)
    for name, content in files.items():
        write_atomically(out / name, content)
    return [out / name for name in files]


def _main_numbers(found: Inspection, right: float, rows: list[dict[str, Any]]) -> list[tuple[str, str]]:
    count = len(found.labels)
    error = float(np.sqrt(right * (1 - right) / count))
    numbers = [(f"test accuracy, ± {error:.1%} by the choice of its {count} images", f"{right:.1%}")]
    if rows:
        seconds = sum(row["seconds"] for row in rows)
        numbers += [("epochs", str(rows[-1]["epoch"])),
                    ("minutes of training", f"{seconds / 60:.1f}"),
                    ("images a second, last epoch", f"{rows[-1]['images_per_second']:.0f}")]
    return numbers


def _about_curves(rows: list[dict[str, Any]]) -> str:
    return ("Loss and error after each epoch. The training curve is of augmented images and smoothed labels, measured "
            f"while the weights change; the other is of the {rows[-1]['evaluated_on']} images, without.")


def _epochs(rows: list[dict[str, Any]]) -> str:
    """Return a table of some epochs: the first, the last, and about ten between them."""
    chosen = sorted({int(k) for k in np.linspace(0, len(rows) - 1, 12).round()})
    return page.table(Table(
        "Epochs", ("epoch", "training loss", "loss", "accuracy", "seconds"),
        [(rows[k]["epoch"], f"{rows[k]['train_loss']:.3f}", f"{rows[k]['loss']:.3f}", f"{rows[k]['accuracy']:.2%}",
          f"{rows[k]['seconds']:.0f}") for k in chosen]))


def _cost(config: Config, found: Inspection) -> list[str]:
    """Return the section of what the network costs for one image of the data."""
    _, size, _, channels = found.images.shape
    options = config.model_options() | {"classes": len(found.classes), "channels": channels}
    counted = cost.counted(config.model, options, size=size)
    return [page.heading("What it costs"),
            page.grid([page.table(cost_report.share(counted)), page.table(cost_report.layers(counted, depth=1))])]
