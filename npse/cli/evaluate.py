"""``npse evaluate RUN``: the accuracy of a run's weights on the test set."""

from pathlib import Path
from typing import Annotated

import typer
from typer import Argument, Option

from npse.cli.command import names, run_folder


def evaluate(
    run: Annotated[Path, Argument(metavar="RUN", help="folder of a run, or a network that comes with npse")],
    weights: Annotated[str, Option(help="last or best (by the accuracy during the run)")] = "last",
    tta: Annotated[str | None, Option(help="average over views of each image: none, mirror, mirror+shift, unsure",
                                      show_default="that of the run",
                                      autocompletion=names("npse.training.evaluation:VIEWS"))] = None,
    edition: Annotated[str, Option(help="auto, reference, cpu or cuda")] = "auto",
) -> None:
    """Evaluate a run on the test set of its data."""
    from npse import backend, training

    backend.use(edition)
    folder = training.RunFolder(run_folder(run))
    network, facts = folder.load_network(weights)
    config = folder.config()
    dataset = folder.load_data()
    views = config.tta if tta is None else tta
    result = training.evaluate(network, dataset.test_images, dataset.test_labels, dataset.mean, dataset.std, tta=views)
    typer.echo(f"{config.model} on {dataset.name}, {weights} weights (epoch {facts['epoch']}): "
               f"test accuracy {result.accuracy:.2%}, loss {result.loss:.4f}, {len(dataset.test_images)} images"
               + ("" if views == "none" else f", averaged over views ({views})"))
    for name, row in zip(dataset.classes, result.confusion, strict=True):
        right = row[dataset.classes.index(name)] / max(row.sum(), 1)
        typer.echo(f"  {name:<18} {right:7.2%}")
