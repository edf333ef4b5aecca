"""``npse predict [RUN] image...``: the classes that a trained network finds in images of any size."""

from pathlib import Path
from typing import Annotated

import numpy as np
import typer
from typer import Argument, Option

from npse.cli.command import run_folder
from npse.cli.console import complain
from npse.data.picture import endings, read_picture

BAR = 30


def predict(
    paths: Annotated[list[Path], Argument(metavar="[RUN] IMAGE...", help="folder of a run, by default the network that "
                                          "comes with npse; image files of any size and any format that Pillow reads")],
    weights: Annotated[str, Option(help="last or best")] = "last",
    edition: Annotated[str, Option(help="auto, reference, cpu or cuda")] = "auto",
) -> None:
    """Print the five likeliest classes of each image.

    Images that cannot be read are named at the end, after the results of the others. The exit code is 2 then.
    """
    from npse import backend, training
    from npse.models import trained

    run, images = _run_and_images(paths)
    backend.use(edition)
    folder = training.RunFolder(run)
    network, _ = folder.load_network(weights)
    size, _, channels = folder.image_shape()
    readable, failures = [], []
    for path in images:
        try:
            readable.append((path, read_picture(path, size, channels)))
        except (OSError, ValueError) as error:
            failures.append(error)
    if readable:
        if images is paths:                                       # no run was named
            typer.echo(f"by {trained.USUAL}, which comes with npse")
        _answer(network, folder, *zip(*readable, strict=True))
    for failure in failures:
        complain(failure)
    if failures:
        raise typer.Exit(2)


def _run_and_images(paths):
    """Return the folder of a run and the images; the run may be left out."""
    from npse.models import trained

    first, *others = paths
    if first.is_file() or first.suffix.lower() in endings():
        return trained.folder(), paths
    if not others:
        raise ValueError(f"images are missing: npse predict {first} IMAGE...")
    return run_folder(first), others


def _answer(network, folder, paths, pictures):
    """Print the classes of pictures by the network of a run."""
    from npse import backend, training

    classes, mean, std = folder.pixels()
    logits = training.predict(network, np.stack(pictures), mean, std)
    p = backend.to_host(backend.active().softmax(logits))
    for path, row in zip(paths, p, strict=True):
        typer.echo(path)
        for k in row.argsort()[::-1][:5]:
            typer.echo(f"  {classes[k]:<18} {row[k]:6.1%} {'█' * round(BAR * row[k])}".rstrip())
