"""Draw the pictures of a finished or interrupted run into its folder."""

from pathlib import Path

from matplotlib.figure import Figure

from npse.analysis import gates as gate_statistics
from npse.analysis import plots
from npse.data import Dataset
from npse.layers.layer import Layer
from npse.training import Evaluation, RunFolder


def draw(folder: RunFolder, network: Layer, dataset: Dataset, result: Evaluation) -> list[Path]:
    """Write curves.png, confusion.png and, for a network with excitation, gates.png.

    Parameters
    ----------
    folder : RunFolder
    network : Layer
    dataset : Dataset
    result : Evaluation
        Of the network on the test images.

    Returns
    -------
    list of Path
        The files that were written. OSError if one cannot be written.
    """
    config, rows = folder.config(), folder.metrics()
    written: list[Path] = []
    title = f"{config.model} on {dataset.name}, seed {config.seed}"

    def put(name: str, figure: Figure) -> None:
        plots.save(figure, folder.path / name)
        written.append(folder.path / name)

    if rows:
        put("curves.png", plots.curves(rows, title))
    put("confusion.png", plots.confusion(result.confusion, dataset.classes,
                                         f"{title}: test accuracy {result.accuracy:.1%}"))
    by_block = gate_statistics.gates_by_class(network, dataset.test_images, dataset.test_labels,
                                              dataset.mean, dataset.std, len(dataset.classes))
    if by_block:
        put("gates.png", plots.gates(by_block, dataset.classes, f"{title}: gates by class, last block of each stage"))
    return written
