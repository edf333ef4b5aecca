"""How long runs will take, before anything starts."""

import dataclasses
import statistics
from collections.abc import Callable, Sequence

from npse import backend
from npse.lab.results import Results
from npse.lab.sweep import Run
from npse.support import environment
from npse.training import Config, budget

MEASURED = 2.0                   # seconds of training steps for a measurement


def seconds(runs: Sequence[Run], results: Results, threads: int, say: Callable[[str], None]) -> float:
    """Return the seconds that the runs will take, one after another.

    A variant of which runs are finished, on a machine with this processor and with so many threads, takes as long as
    they took. Of any other variant a few steps are made. Epochs that are trained already are not subtracted.

    Parameters
    ----------
    runs : sequence of Run
    results : Results
    threads : int
        Of a run, on the cpu edition.
    say : callable
        Called with a line before each measurement.
    """
    known, total = _finished(results, threads), 0.0
    for run in runs:
        variant = _without_seed(run.config)
        if variant not in known:
            say(f"measuring {run.variant}")
            known[variant] = run.config.epochs * _epoch(run.config, threads)
        total += known[variant]
    return total


def in_words(seconds: float) -> str:
    """Return seconds as minutes, or from two hours on as hours, such as "3.5 hours"."""
    minutes = round(seconds / 60)
    return f"{minutes} minute{'s' * (minutes != 1)}" if minutes < 120 else f"{seconds / 3600:.1f} hours"


def _finished(results: Results, threads: int) -> dict[Config, float]:
    """Return the mean seconds of the finished runs that are like ours, by their settings without the seed."""
    found: dict[Config, list[float]] = {}
    for result in results:
        if result.processor == environment.processor() and result.ran_on.endswith(f", {threads} threads"):
            found.setdefault(_without_seed(result.config), []).append(result.seconds)
    return {variant: statistics.fmean(each) for variant, each in found.items()}


def _without_seed(config: Config) -> Config:
    return dataclasses.replace(config.identity(), seed=0)


def _epoch(config: Config, threads: int) -> float:
    """Measure the seconds of an epoch, with so many threads if the edition is cpu."""
    name, _ = backend.choose(config.edition)
    with backend.using_edition(name) as ops:
        if name != "cpu":
            return budget.measure(config, MEASURED).epoch
        before = ops.get_threads()
        ops.set_threads(threads)
        try:
            return budget.measure(config, MEASURED).epoch
        finally:
            ops.set_threads(before)
