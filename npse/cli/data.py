"""``npse data``: the data sets on this machine."""

from pathlib import Path
from typing import Annotated

import typer
from typer import Argument, Option

from npse.cli.command import App, names

app = App(help="Fetch, list and show data sets.")


@app.command(examples=("npse data fetch cifar10", "npse data fetch cifar10 --from ~/Downloads"))
def fetch(
    name: Annotated[str, Argument(metavar="NAME", help="cifar10")],
    source: Annotated[Path | None, Option("--from", help="a folder or tar.gz with the batches, instead of a download",
                                          show_default=False)] = None,
) -> None:
    """Fetch a data set into the data folder (NPSE_DATA_DIR) and verify it. A broken download can be continued."""
    from npse.data.fetch import fetch

    fetch(name, source, typer.echo)


@app.command("list", examples=("npse data list",))
def list_() -> None:
    """List the data sets with their folders and sizes."""
    from npse.data import cifar10

    typer.echo("shapes   built in, drawn when it is used")
    if missing := cifar10.absent():
        typer.echo(f"cifar10  not in {cifar10.folder()} ({len(missing)} of {len(cifar10.SHA256)} files missing); "
                   f"{cifar10.REMEDY}")
    else:
        size = sum((cifar10.folder() / name).stat().st_size for name in cifar10.SHA256)
        typer.echo(f"cifar10  {cifar10.folder()}, {size / 1e6:.3g} MB")


@app.command(examples=("npse data sheet shapes", "npse data sheet cifar10 --columns 20 --out cifar10.png"))
def sheet(
    name: Annotated[str, Argument(metavar="NAME", help="shapes or cifar10",
                                  autocompletion=names("npse.data:LOADERS"))],
    out: Annotated[Path | None, Option(metavar="FILE", help="PNG file to write", show_default="sheet-NAME.png")] = None,
    columns: Annotated[int, Option(min=1, help="images of each class")] = 12,
) -> None:
    """Draw a contact sheet: a row of training images for each class."""
    from npse import data
    from npse.data.sheet import save_contact_sheet
    from npse.support.files import expect_place

    out = out or Path(f"sheet-{name}.png")
    expect_place(out, ".png")
    save_contact_sheet(data.load(name), out, columns)
    typer.echo(f"wrote {out}")
