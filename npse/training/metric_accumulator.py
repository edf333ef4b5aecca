"""What a run knows of its steps: the sums of the epoch under way, read as rarely as the edition likes it.

On a device an op returns before it has run, and to look at a number is to wait until it is there. So losses and logits
are kept as they are and read every few steps; elsewhere a look costs nothing, and they are read at once.
"""

import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from npse.backend import on_device, to_host
from npse.training import records
from npse.types import Array

if TYPE_CHECKING:
    from npse.training.reporter import Reporter

READ_EVERY = 10                  # steps on a device


@dataclass
class Progress:
    """Where a run stands, and the sums of the epoch under way."""

    epoch: int = 0
    step: int = 0
    loss_sum: float = 0.0
    correct: int = 0
    seen: int = 0
    seconds: float = 0.0
    best_accuracy: float = -1.0

    def next_epoch(self) -> None:
        """Begin the next epoch."""
        self.epoch, self.step, self.loss_sum, self.correct, self.seen, self.seconds = self.epoch + 1, 0, 0.0, 0, 0, 0.0

    @classmethod
    def from_facts(cls, facts: Mapping[str, Any]) -> "Progress":
        """Make the Progress that a dict holds; ValueError if it lacks an entry or has one of another kind."""
        kinds = records.kinds_of(cls)
        records.expect(facts, kinds)
        return cls(**{name: facts[name] for name in kinds})

    def expect_within(self, epochs: int, steps: int, batch: int) -> None:
        """Check that a run of ``epochs`` of ``steps`` of ``batch`` images can stand here; ValueError otherwise."""
        last_step = steps if self.epoch < epochs else 0
        if not (0 <= self.epoch <= epochs and 0 <= self.step <= last_step):
            raise ValueError(f"it stands after {self.epoch} epochs and {self.step} steps, "
                             f"but the run has {epochs} epochs of {steps} steps")
        if self.seen != self.step * batch:
            raise ValueError(f"it has seen {self.seen} images in {self.step} steps of its epoch, but the run has "
                             f"batches of {batch}, as if batch_size had been changed")
        if not (0 <= self.correct <= self.seen and -1 <= self.best_accuracy <= 1 and np.isfinite(self.loss_sum)
                and 0 <= self.seconds < np.inf and (self.seconds > 0) == (self.step > 0)):
            raise ValueError(f"no run can have counted {vars(self)}")


class MetricAccumulator:
    """Takes down the steps of an epoch; after `flush` the progress is up to date and the reporter has heard of it.

    Parameters
    ----------
    progress : Progress, of a run whose epoch begins or goes on now
    report : Reporter
    """

    def __init__(self, progress: Progress, report: "Reporter") -> None:
        self._progress, self._report = progress, report
        self._started = time.monotonic() - progress.seconds
        self._added = 0
        self._unread: list[tuple[int, Array, Array, Array]] = []

    def add(self, loss: Array, logits: Array, labels: Array) -> None:
        """Take down one step; FloatingPointError, now or in a later call, if its loss is no finite number."""
        self._progress.step += 1
        self._unread.append((self._progress.step, loss, logits, labels))
        self._added += 1
        if not on_device() or self._added % READ_EVERY == 1:
            self.flush()

    def flush(self) -> None:
        """Read the steps that were not read yet."""
        progress = self._progress
        for step, unread_loss, logits, labels in self._unread:
            loss, correct = read(unread_loss, logits, labels)
            if not np.isfinite(loss):
                raise diverged(f"the loss is {loss} at epoch {progress.epoch + 1}, step {step}")
            progress.loss_sum += loss * len(labels)
            progress.correct += correct
            progress.seen += len(labels)
            progress.seconds = time.monotonic() - self._started
            self._report.stepped(progress, len(labels))
        self._unread.clear()


def diverged(sign: str) -> FloatingPointError:
    """Return the FloatingPointError of a run whose numbers have become too large, with the sign of it."""
    return FloatingPointError(f"{sign}: training has diverged. Lower lr (to a third of it, say) or lengthen warmup; "
                              "the last checkpoint is as it was")


def read(loss: Array, logits: Array, labels: Array) -> tuple[float, int]:
    """Return a step's loss as a float and its number of right answers; on a device this waits for the step."""
    return float(to_host(loss)), int((to_host(logits).argmax(axis=1) == labels).sum())
