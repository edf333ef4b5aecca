"""``npse predict RUN image...``: what a trained network sees in pictures of any size."""

from pathlib import Path
from typing import Annotated

import numpy as np
import typer
from typer import Argument, Option

BAR = 30


def predict(
    run: Annotated[Path, Argument(metavar="RUN", help="folder of a run")],
    images: Annotated[list[Path], Argument(metavar="IMAGE...",
                                           help="pictures, of any size and format that Pillow reads")],
    weights: Annotated[str, Option(help="last or best")] = "last",
    edition: Annotated[str, Option(help="auto, reference, cpu or cuda")] = "auto",
) -> None:
    """Print the five likeliest classes of each picture."""
    from npse import backend, training
    from npse.cli.evaluate import load_network

    backend.use(edition)
    pictures = np.stack([read_picture(path) for path in images])
    folder = training.RunFolder(run)
    network, _ = load_network(folder, weights)
    classes, mean, std = folder.pixels()
    p = backend.to_host(backend.active().softmax(training.predict(network, pictures, mean, std)))
    for path, row in zip(images, p, strict=True):
        typer.echo(path)
        for k in row.argsort()[::-1][:5]:
            typer.echo(f"  {classes[k]:<18} {row[k]:6.1%} {'█' * round(BAR * row[k])}")


def read_picture(path, size=32):
    """Read a picture as uint8 (size, size, 3): the largest square from its middle, resampled."""
    from PIL import Image, ImageOps

    try:
        with Image.open(path) as picture:
            picture = ImageOps.exif_transpose(picture).convert("RGB")
    except Exception as error:                                    # decoders raise all kinds: SyntaxError, zlib.error
        if isinstance(error, OSError) and error.strerror:         # no such file, no right to read it
            raise
        raise ValueError(f"{path} is not a picture that Pillow can read ({error}); "
                         "expected PNG, JPEG or the like") from error
    return np.asarray(ImageOps.fit(picture, (size, size), Image.Resampling.BOX if min(picture.size) >= size
                                   else Image.Resampling.BICUBIC))
