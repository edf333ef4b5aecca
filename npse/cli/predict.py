"""``npse predict RUN image...``: the classes that a trained network finds in images of any size."""

from pathlib import Path
from typing import Annotated

import numpy as np
import typer
from typer import Argument, Option

from npse.cli.console import complain

BAR = 30


def predict(
    run: Annotated[Path, Argument(metavar="RUN", help="folder of a run")],
    images: Annotated[list[Path], Argument(metavar="IMAGE...",
                                           help="image files of any size and any format that Pillow reads")],
    weights: Annotated[str, Option(help="last or best")] = "last",
    edition: Annotated[str, Option(help="auto, reference, cpu or cuda")] = "auto",
) -> None:
    """Print the five likeliest classes of each image.

    Images that cannot be read are named at the end, after the results of the others. The exit code is 2 then.
    """
    readable, failures = [], []
    for path in images:
        try:
            readable.append((path, read_picture(path)))
        except (OSError, ValueError) as error:
            failures.append(error)
    if readable:
        _answer(run, weights, edition, *zip(*readable, strict=True))
    for failure in failures:
        complain(failure)
    if failures:
        raise typer.Exit(2)


def _answer(run, weights, edition, paths, pictures):
    """Print the classes of images by the network of a run."""
    from npse import backend, training

    backend.use(edition)
    folder = training.RunFolder(run)
    network, _ = folder.load_network(weights)
    classes, mean, std = folder.pixels()
    p = backend.to_host(backend.active().softmax(training.predict(network, np.stack(pictures), mean, std)))
    for path, row in zip(paths, p, strict=True):
        typer.echo(path)
        for k in row.argsort()[::-1][:5]:
            typer.echo(f"  {classes[k]:<18} {row[k]:6.1%} {'█' * round(BAR * row[k])}".rstrip())


def read_picture(path, size=32):
    """Read an image as uint8 (size, size, 3): its largest central square, resampled."""
    from PIL import Image, ImageOps

    from npse.data import picture

    whole = picture.read(path)
    return np.asarray(ImageOps.fit(whole, (size, size), Image.Resampling.BOX if min(whole.size) >= size
                                   else Image.Resampling.BICUBIC))
