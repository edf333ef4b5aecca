"""The table of an experiment, made from results alone: means, deviations, paired differences, costs."""

import functools
import json
import re
import shlex
import statistics
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from npse import backend, data
from npse.bench import cost
from npse.bench.cost_report import exact, short
from npse.data import pictures
from npse.lab.comparison import LEVEL, Difference, deviation, paired
from npse.lab.estimate import in_words
from npse.lab.results import Result, Results
from npse.lab.spec import Spec
from npse.training import Config

REASON = re.compile(r" \(.*?\)")                                  # why an edition was chosen


@dataclass(frozen=True)
class Row:
    """One variant.

    Attributes
    ----------
    variant : str
    accuracies : dict of int to float
        0..1, by seed.
    mean, deviation : float, optional
        None without a run, or with one.
    difference : Difference, optional
        To the baseline; None for the baseline itself, and if no seed is in both.
    parameters, multiply_adds : int
        Of the network, see `npse.bench.cost`.
    paper : str
        The number of the paper; empty if there is none.
    """

    variant: str
    accuracies: dict[int, float]
    mean: float | None
    deviation: float | None
    difference: Difference | None
    parameters: int
    multiply_adds: int
    paper: str


@dataclass(frozen=True)
class Table:
    """The rows of an experiment, and the results that they were made from."""

    spec: Spec
    seeds: tuple[int, ...]
    rows: list[Row]
    results: list[Result]

    @property
    def intervals(self) -> int:
        """The number of intervals in the table."""
        return sum(row.difference is not None and row.difference.low is not None for row in self.rows)


def make(spec: Spec, seeds: Sequence[int], results: Results) -> Table:
    """Make the table of an experiment from the results of its runs with these seeds; some may be missing."""
    found = {variant: {seed: result for seed in seeds if (result := results.get(spec.config(variant, seed)))}
             for variant in spec.variants}
    accuracies = {variant: {seed: result.accuracy for seed, result in by_seed.items()}
                  for variant, by_seed in found.items()}
    baseline, rows = accuracies[spec.baseline], []
    comparisons = sum(len(ours.keys() & baseline) > 1 for variant, ours in accuracies.items()
                      if variant != spec.baseline)
    for variant, ours in accuracies.items():
        classes = next((result.classes for result in found[variant].values()), 10)
        parameters, multiply_adds = _cost(spec.config(variant, 0), classes)
        rows.append(Row(variant, ours, statistics.fmean(ours.values()) if ours else None, deviation([*ours.values()]),
                        None if variant == spec.baseline else paired(ours, baseline, comparisons),
                        parameters, multiply_adds, spec.paper.get(variant, "")))
    return Table(spec, tuple(seeds), rows, [result for by_seed in found.values() for result in by_seed.values()])


@functools.cache
def _cost(config: Config, classes: int) -> tuple[int, int]:
    """Return the parameters and the multiply-adds of the network of a run."""
    entry = data.SETS.get(config.data)                            # own pictures may be on another machine
    size, channels = (entry.image_size, entry.channels) if entry else (config.image_size or pictures.SIZE, 3)
    options = config.model_options() | {"classes": classes, "channels": channels}
    with backend.using_edition("reference"):
        found = cost.counted(config.model, options, size=size)
    return tuple(sum(row[key] for row in found["layers"]) for key in ("parameters", "multiply_adds"))


def titles(table: Table) -> list[str]:
    """Return the titles of the columns; ``<`` marks a column of text."""
    paper = [f"<paper: {table.spec.paper_column}"] if table.spec.paper else []
    return ["<variant", "n", "accuracy, %", "deviation", f"difference to {table.spec.baseline}",
            f"{LEVEL:.0%} interval", "<in words", "parameters", "mult.-adds", *paper]


def cells(table: Table) -> list[list[str]]:
    """Return the rows as text: accuracies and differences in per cent."""
    return [[row.variant, str(len(row.accuracies)), _percent(row.mean), _percent(row.deviation),
             *_difference(row, table.spec.baseline), exact(row.parameters), short(row.multiply_adds),
             *([row.paper] if table.spec.paper else [])] for row in table.rows]


def _difference(row: Row, baseline: str) -> tuple[str, str, str]:
    if row.variant == baseline:
        return "", "", "the baseline"
    if row.difference is None:
        return "", "", "no seed in common" if row.accuracies else "no run"
    low, high = row.difference.low, row.difference.high
    interval = "" if low is None or high is None else f"{100 * low:+.2f} to {100 * high:+.2f}"
    return f"{100 * row.difference.mean:+.2f}", interval, row.difference.word


def _percent(value: float | None) -> str:
    return "" if value is None else f"{100 * value:.2f}"


def notes(table: Table) -> list[str]:
    """Return what a reader must know of the table: what is missing, what its words mean, how it was made."""
    baseline, wanted = table.spec.baseline, len(table.rows) * len(table.seeds)
    found = []
    if len(table.results) < wanted:
        found.append(f"NOT COMPLETE: {len(table.results)} of {wanted} runs are finished.")
    if any(len(row.accuracies) < 2 for row in table.rows):
        found.append("With fewer than two seeds there is neither a deviation nor an interval: one seed never shows "
                     "that one network is better than another.")
    if count := table.intervals:
        found.append(
            f"Differences to {baseline} are in points, and paired: a seed is compared with the same seed. The table "
            f"holds {count} interval{'s' * (count > 1)} of {LEVEL:.0%}; if no variant differed from {baseline}, about "
            f"{(1 - LEVEL) * count:.2g} of them would still not hold zero. \"Within noise\": the interval holds zero. "
            "\"Better\" and \"worse\" hold for all intervals at the same time; with \"perhaps\" only the one interval "
            "does not hold zero.")
    return [*found, *_conditions(table)]


def _conditions(table: Table) -> list[str]:
    """Return lines about how the results were made."""
    if not table.results:
        return []
    seconds = sum(result.seconds for result in table.results)
    versions = [_listed(f"{title} {result.versions.get(key)}" for result in table.results)
                for key, title in (("python", "Python"), ("numpy", "NumPy"), ("numba", "Numba"))]
    where = _listed(f"{REASON.sub('', result.ran_on)} on {result.cores} cores, {result.processor}"
                    for result in table.results)
    views = [result.config.tta for result in table.results if result.config.tta != "none"]
    averaged = f", averaged over views ({_listed(views)})" if views else ""
    return [f"Accuracy on the {_listed(result.evaluated_on for result in table.results)} images after the last epoch"
            f"{averaged}. "
            f"Each run is `{command(table.spec)}` with the settings of its variant, seeds "
            f"{', '.join(map(str, table.seeds))}.",
            f"Commit {_listed(str(result.commit) for result in table.results)}; {'; '.join(versions)}; {where}. "
            f"Training took {in_words(seconds)} in all."]


def command(spec: Spec) -> str:
    """Return the command of a run, with the settings that all variants share."""
    settings = {name.replace("_", "-"): value for name, value in spec.base.items() if value is not False}
    of_model = settings.pop("options", {})
    words = ["npse", "train", *(["--recipe", spec.recipe] if spec.recipe else [])]
    for name, value in settings.items():
        words += [f"--{name}"] if value is True else [f"--{name}", str(value)]
    for name, value in of_model.items():
        words += ["--option", f"{name}={json.dumps(value)}"]
    return shlex.join([*words, "--seed", "S"])


def _listed(texts: Iterable[str]) -> str:
    """Return the different texts, in their first order, with commas between them."""
    return ", ".join(dict.fromkeys(texts))
