"""A sweep: the runs of an experiment that are not finished are trained, several at once.

Each run has a folder OUT/VARIANT-SEED, as `npse train` writes it, so a run that was stopped or killed at any moment is
resumed. The executor decides where runs are trained: any of `concurrent.futures`. What it calls is given too, such as
`npse.lab.process.Processes`.
"""

import time
from collections.abc import Callable, Collection, Sequence
from concurrent.futures import FIRST_COMPLETED, Executor, Future, wait
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from npse.lab.results import Results, of_folder
from npse.lab.spec import Spec
from npse.support.names import suggest
from npse.training import Config, Interrupted, RunFolder

LOOK_EVERY = 1.0                 # seconds between two looks at the folders


@dataclass(frozen=True)
class Run:
    """A run of a sweep: a variant, with its settings and a seed, in its folder."""

    variant: str
    config: Config
    folder: Path

    @property
    def name(self) -> str:
        """The name of the run and of its folder."""
        return self.folder.name


@dataclass(frozen=True)
class Standing:
    """How far a sweep is.

    Attributes
    ----------
    runs, finished, failed : int
        Numbers of runs.
    under_way : dict of str to (int, int)
        The trained epochs, and the epochs in all, of each run that is being trained, by its name.
    epochs, trained : int
        Epochs of all runs that did not fail, and how many of them are trained.
    left : float, optional
        Seconds, at the pace so far; None until an epoch of this sweep is trained.
    """

    runs: int
    finished: int
    failed: int
    under_way: dict[str, tuple[int, int]]
    epochs: int
    trained: int
    left: float | None


class Reporter(Protocol):
    """What a sweep tells."""

    def say(self, line: str) -> None:
        """Called with a line for the user."""

    def show(self, standing: Standing) -> None:
        """Called about once in a second."""


def plan(spec: Spec, seeds: Sequence[int], out: Path, only: Collection[str] = ()) -> list[Run]:
    """Return the runs of an experiment, all variants with the first seed first; ``only`` of these variants if given.

    ValueError if one of ``only`` is not a variant.
    """
    for name in only:
        if name not in spec.variants:
            raise ValueError(f"unknown variant {name!r} of {spec.name}; {suggest(name, spec.variants)}")
    return [Run(variant, spec.config(variant, seed), out / f"{variant}-{seed}")
            for seed in seeds for variant in spec.variants if variant in (only or spec.variants)]


def collect_finished(runs: Sequence[Run], results: Results, say: Callable[[str], None]) -> list[Run]:
    """Add the results of finished runs, from their folders, unsaved; return the runs that have no result yet.

    A folder that cannot be used counts as not finished; ``say`` is called with a line about it.
    """
    found, missing = [], []
    for run in runs:
        if results.get(run.config):
            continue
        folder = RunFolder(run.folder)
        try:
            if folder.config_file.exists():
                expect_same(folder, run.config)
                if result := of_folder(folder, run.variant, run.config.tta):
                    found.append(result)
                    continue
        except (ValueError, OSError) as error:
            say(f"{run.name} cannot be used: {error}")
        missing.append(run)
    results.add(found)
    return missing


def expect_same(folder: RunFolder, config: Config) -> None:
    """Check that the run in a folder has these settings.

    ValueError if it has others, or was trained for fewer epochs first: then its learning rate was another one.
    """
    ours, theirs = (each.identity().as_dict() for each in (config, folder.config()))
    if other := [f"{name} is {theirs[name]}, not {ours[name]}" for name in ours if ours[name] != theirs[name]]:
        raise ValueError(f"{folder.path} is a run with other settings: {', '.join(other)}; move it away, or choose "
                         "another folder")
    if folder.record().get("raised"):
        raise ValueError(f"{folder.path} is a run whose number of epochs was raised; move it away")


class Sweep:
    """Trains runs.

    Parameters
    ----------
    runs : sequence of Run
        Those without a result, see `collect_finished`.
    results : Results
        Gets the result of each run when it is finished.
    report : Reporter
    retries : int
        How often a run that failed is tried again.
    """

    def __init__(self, runs: Sequence[Run], results: Results, report: Reporter, retries: int = 0) -> None:
        self.failures: dict[str, str] = {}                        # by the name of the run
        self.finished: list[Run] = []
        self._results, self._report = results, report
        self._retries, self._again = dict.fromkeys(runs, retries), list[Run]()
        self._before = {run: _epochs_of(run) for run in runs}
        self._trained = dict(self._before)                        # epochs; runs that failed are left out
        self._began = time.monotonic()

    def train(self, executor: Executor, attempt: Callable[[Run], None], stop: Callable[[], bool] = lambda: False
              ) -> None:
        """Train all runs. A run that fails is kept in `failures`, and the others go on.

        Parameters
        ----------
        executor : Executor
            Gets all runs, in their order.
        attempt : callable
            Trains a run in its folder, or goes on with it. Any exception means that the run failed.
        stop : callable
            Once it returns True, no other run begins. Whoever stops a sweep also stops ``attempt``.

        Raises
        ------
        Interrupted
            The sweep was stopped; all runs are saved.
        """
        futures = {executor.submit(attempt, run): run for run in self._trained}
        pending, stopped = set(futures), False
        while pending:
            done, pending = wait(pending, LOOK_EVERY, FIRST_COMPLETED)
            if stop():
                for future in pending:
                    future.cancel()
            for future in done:
                stopped |= future.cancelled() or not self._take(futures[future], future)
            for run in self._again:
                futures[again := executor.submit(attempt, run)] = run
                pending.add(again)
            self._again.clear()
            self._look({futures[future] for future in pending if future.running()})
        if stopped:
            raise Interrupted

    def _take(self, run: Run, future: Future[None]) -> bool:
        """Keep what became of a run; return False if it was stopped."""
        try:
            future.result()
            result = of_folder(RunFolder(run.folder), run.variant, run.config.tta)
            if result is None:
                raise RuntimeError(f"{run.folder} holds no finished run")
            self._results.add([result])
            self._results.save()
        except Interrupted:
            return False
        except Exception as error:
            reason = " ".join(str(error).split()) or type(error).__name__
            if self._retries[run] > 0:
                self._retries[run] -= 1
                self._again.append(run)
                self._report.say(f"{run.name} failed: {reason}; it is tried again")
                return True
            self.failures[run.name] = reason
            del self._trained[run]
            self._report.say(f"{run.name} failed: {self.failures[run.name]}")
            return True
        self.finished.append(run)
        self._trained[run] = run.config.epochs
        self._report.say(f"{run.name}: accuracy {result.accuracy:.2%}, {result.seconds:.0f} s of training")
        return True

    def _look(self, running: Collection[Run]) -> None:
        """Look how far the runs are, and tell."""
        self._trained |= {run: _epochs_of(run) for run in running}
        epochs, trained = sum(run.config.epochs for run in self._trained), sum(self._trained.values())
        new = trained - sum(self._before[run] for run in self._trained)
        left = (time.monotonic() - self._began) / new * (epochs - trained) if new > 0 else None
        under_way = {run.name: (self._trained[run], run.config.epochs) for run in running}
        self._report.show(Standing(len(self._before), len(self.finished), len(self.failures), under_way, epochs,
                                   trained, left))


def _epochs_of(run: Run) -> int:
    """Return how many epochs of a run are on record."""
    try:
        return max((row["epoch"] for row in RunFolder(run.folder).metrics()), default=0)
    except (ValueError, OSError):
        return 0
