"""``npse data``: the data sets on this machine."""

from pathlib import Path
from typing import Annotated

import typer
from typer import Argument, Option

from npse.cli.command import App, names
from npse.cli.console import show

NAME_OR_PATH = "a data set (see: npse data list), or the path of one, or of a folder of pictures"
SIZE_HELP = "height and width to which own pictures are resized; 0: 32"

app = App(help="Fetch, list and show data sets.")


@app.command(examples=("npse data fetch cifar10", "npse data fetch cifar10 --from ~/Downloads"))
def fetch(
    name: Annotated[str, Argument(metavar="NAME", help="cifar10, cifar100, ... (see: npse data list)")],
    source: Annotated[Path | None, Option("--from", help="a folder or tar.gz with its files, instead of a download",
                                          show_default=False)] = None,
) -> None:
    """Fetch a data set into the data folder (NPSE_DATA_DIR) and verify it. A broken download can be continued."""
    from npse.data.fetch import fetch

    fetch(name, source, typer.echo)


@app.command("list", examples=("npse data list",))
def list_() -> None:
    """List the data sets: their images, and where they are."""
    from npse import data

    show(("<name", "classes", "<pixels", "<what", "<where"),
         [(entry.name, str(entry.classes), f"{entry.image_size}x{entry.image_size}x{entry.channels}", entry.about,
           _where(entry)) for entry in data.SETS.values()],
         notes=("Data sets that are not here: npse data fetch NAME, or set NPSE_DATA_DIR to a copy.",
                "Own pictures: the path of a folder, with a folder for each class."))


def _where(entry):
    """Return where a data set is, in words."""
    return "built in" if entry.files is None else str(entry.files.place() or "not here")


@app.command(examples=("npse data info fashion-mnist", "npse data info photos --image-size 64"))
def info(
    name: Annotated[str, Argument(metavar="NAME|PATH", help=NAME_OR_PATH, autocompletion=names("npse.data:SETS"))],
    image_size: Annotated[int, Option(help=SIZE_HELP)] = 0,
) -> None:
    """Read a data set and state its images, its classes and their numbers of images."""
    import numpy as np

    from npse import data

    dataset = data.load(name, image_size)
    height, width, channels = dataset.shape
    typer.echo(f"{dataset.name}: images of {height}x{width} pixels, {channels} channel{'s' * (channels > 1)}; "
               f"mean {_numbers(dataset.mean)}, deviation {_numbers(dataset.std)}")
    parts = {"training": dataset.labels, "test": dataset.test_labels}
    if dataset.val_labels is not None:
        parts["validation"] = dataset.val_labels
    counts = {part: np.bincount(labels, minlength=len(dataset.classes)) for part, labels in parts.items()}
    rows = [(each, *(str(count[k]) for count in counts.values())) for k, each in enumerate(dataset.classes)]
    show(("<class", *counts), [*rows, ("all", *(str(count.sum()) for count in counts.values()))], notes=dataset.notes)


def _numbers(values):
    return ", ".join(f"{value:.4f}" for value in values)


@app.command(examples=("npse data sheet shapes", "npse data sheet cifar10 --columns 20 --out cifar10.png"))
def sheet(
    name: Annotated[str, Argument(metavar="NAME|PATH", help=NAME_OR_PATH, autocompletion=names("npse.data:SETS"))],
    out: Annotated[Path | None, Option(metavar="FILE", help="PNG file to write", show_default="sheet-NAME.png")] = None,
    columns: Annotated[int, Option(min=1, help="images of each class")] = 12,
    image_size: Annotated[int, Option(help=SIZE_HELP)] = 0,
) -> None:
    """Draw a contact sheet: a row of training images for each class."""
    from npse import data
    from npse.data.sheet import save_contact_sheet
    from npse.support.files import expect_place

    out = out or Path(f"sheet-{data.name_of(name)}.png")
    expect_place(out, ".png")
    save_contact_sheet(data.load(name, image_size), out, columns)
    typer.echo(f"wrote {out}")
