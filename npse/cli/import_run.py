"""``npse import FILE --as MODEL``: weights of PyTorch and timm as the folder of a run."""

import contextlib
import os
import shlex
import sys
from pathlib import Path
from typing import Annotated

import typer
from typer import Argument, Option

from npse.cli.command import names
from npse.cli.console import noted
from npse.cli.run import next_folder
from npse.cli.train import model_options


def import_run(
    file: Annotated[Path, Argument(metavar="FILE", help="a .safetensors, .pt or .pth file with a state dict, in the "
                                   "names of npse, timm or torchvision")],
    model: Annotated[str | None, Option("--as", metavar="MODEL", help="the network, as in npse train",
                                        show_default="what a file of npse export says",
                                        autocompletion=names("npse.models:MODELS"))] = None,
    data: Annotated[str | None, Option(metavar="NAME|PATH", help="look at it with these data; as in npse train",
                                       show_default="none: predict works, evaluate and inspect do not",
                                       autocompletion=names("npse.data:SETS"))] = None,
    image_size: Annotated[int, Option(help="height and width of images; 0: that of the data, or of the model")] = 0,
    classes: Annotated[Path | None, Option(metavar="FILE", help="text file with the names of the network's classes, "
                                           "one a line; those of the data must be among them",
                                           show_default="those of the data, or numbers")] = None,
    mean: Annotated[str | None, Option(metavar="X,X,X", help="of the pixels in training, in 0..1, by channel",
                                       show_default="as published, or that of the data")] = None,
    std: Annotated[str | None, Option(metavar="X,X,X", help="their deviation", show_default="likewise")] = None,
    options: Annotated[list[str] | None, Option("--option", metavar="NAME=VALUE", help="an option of the model, such "
                                                "as reduction=8; may be repeated", show_default="none")] = None,
    out: Annotated[Path | None, Option(metavar="FOLDER", help="of the run", show_default="runs/MODEL-FILE-N")] = None,
) -> None:
    """Make the folder of a run of weights from PyTorch, so that predict, evaluate, inspect and export work with them.

    No code in the file is run: a pickle that holds more than tensors is refused.
    """
    from npse import interop
    from npse.interop import files
    from npse.support.environment import record

    labels = None if classes is None else _lines(classes)
    numbers = {name: _numbers(name, text) for name, text in (("mean", mean), ("std", std)) if text is not None}
    chosen = model_options(options or [])
    if out is None:
        files.read(file)                                          # what is wrong is reported before a folder is made
    environment = record() | {"command": shlex.join(["npse", *sys.argv[1:]])}
    folder = out or next_folder(model or "imported", file.stem)
    try:
        with noted("name another folder with --out", (FileExistsError, NotADirectoryError)):
            found = interop.import_file(file, model, folder, data_set=data, image_size=image_size, classes=labels,
                                        options=chosen, environment=environment, **numbers)
    except BaseException:
        if out is None:
            with contextlib.suppress(OSError):
                os.removedirs(folder)
        raise
    config, (known, _, _), (size, _, _) = found.folder.config(), found.folder.pixels(), found.folder.image_shape()
    typer.echo(f"{config.model} with the arrays of {file}, in the names of {found.origin}: {len(known)} classes, "
               f"images of {size}x{size} pixels")
    typer.echo(f"run: {found.folder.path}")
    what = "npse inspect" if data or "data_sha256" in found.folder.record() else "npse predict"
    typer.echo(f"go on with: {what} {found.folder.path}{'' if what.endswith('inspect') else ' IMAGE'}")


def _lines(path):
    """Return the lines of a text file, without spaces at their ends; empty lines are left out."""
    try:
        text = path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError:
        raise ValueError(f"{path} is not a text file in UTF-8; expected one class a line") from None
    return [line.strip() for line in text.splitlines() if line.strip()]


def _numbers(name, text):
    """Return numbers with commas between them."""
    try:
        return [float(part) for part in text.split(",")]
    except ValueError:
        raise ValueError(f"--{name} must be numbers with commas between them, such as 0.485,0.456,0.406, "
                         f"but is {text!r}") from None
