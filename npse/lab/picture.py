"""The picture of an experiment: for each variant its mean, its deviation, and each seed as a point."""

from typing import TYPE_CHECKING

from npse.lab.table import Table
from npse.support.style import BLUE, GREY, ORANGE, SMALL, figure, plain

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def picture(table: Table) -> "Figure":
    """Draw the accuracies of a table with at least one finished run.

    The variants stand in the order of the table, from the top. A line marks the mean of the baseline.
    """
    rows, spec = table.rows, table.spec
    drawn = figure(8, 1.5 + 0.3 * len(rows), f"{spec.title}: {len(table.results)} runs on {_data(table)}")
    axes = drawn.subplots()
    for place, row in enumerate(rows):
        accuracies = [100 * value for value in row.accuracies.values()]
        axes.plot(accuracies, [place] * len(accuracies), "o", color=GREY, markersize=4, alpha=0.6, linestyle="none",
                  label="one seed")
        if row.mean is not None and row.deviation is not None:
            axes.errorbar(100 * row.mean, place, xerr=100 * row.deviation, fmt="D", color=BLUE, markersize=5,
                          capsize=3, label="mean and standard deviation")
        if row.variant == spec.baseline and row.mean is not None:
            axes.axvline(100 * row.mean, color=ORANGE, linewidth=1, linestyle="--", label=f"mean of {spec.baseline}")
    axes.set_yticks(range(len(rows)), [f"{row.variant} (n={len(row.accuracies)})" for row in rows])
    axes.set_ylim(len(rows) - 0.5, -0.5)
    axes.set_xlabel(f"{table.results[0].evaluated_on} accuracy, per cent")
    plain(axes)
    once = dict(zip(*reversed(axes.get_legend_handles_labels()), strict=True))      # a label stands for many points
    drawn.legend(once.values(), once.keys(), loc="outside lower center", ncols=3, frameon=False, fontsize=SMALL)
    return drawn


def _data(table: Table) -> str:
    """Return the names of data set and networks."""
    configs = [result.config for result in table.results]
    return ", ".join(dict.fromkeys(config.data for config in configs)) + ": " + ", ".join(
        dict.fromkeys(config.model for config in configs))
