"""The pictures of a finished (or interrupted) run, into its folder."""

from npse.analysis import gates as gate_statistics
from npse.analysis import plots


def draw(folder, network, dataset, result):
    """Write curves.png, confusion.png and, for a network with excitation, gates.png; return their paths.

    ``result`` is the network's Evaluation on the test images.
    """
    config, rows, written = folder.config(), folder.metrics(), []
    title = f"{config.model} on {config.data}, seed {config.seed}"

    def put(name, figure):
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
