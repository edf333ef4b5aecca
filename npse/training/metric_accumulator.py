"""The progress of a run: the sums of the current epoch.

On a device an op returns before it has run, and reading its result waits for it. So losses and logits stay on the
device and are read every few steps. Without a device they are read after each step.
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
    """The position of a run, and the sums of the current epoch."""

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
        """Make a Progress of a dict; ValueError if an entry is missing or has another type."""
        kinds = records.kinds_of(cls)
        records.expect(facts, kinds)
        return cls(**{name: facts[name] for name in kinds})

    def expect_within(self, epochs: int, steps: int, batch: int) -> None:
        """Check that a run of ``epochs`` epochs, each of ``steps`` batches of ``batch`` images, can reach this state.

        ValueError otherwise.
        """
        last_step = steps if self.epoch < epochs else 0
        if not (0 <= self.epoch <= epochs and 0 <= self.step <= last_step):
            raise ValueError(f"it was saved after {self.epoch} epochs and {self.step} steps, "
                             f"but the run has {epochs} epochs of {steps} steps")
        if self.seen != self.step * batch:
            raise ValueError(f"it counts {self.seen} images in {self.step} steps of its epoch, but the run has "
                             f"batches of {batch}; was batch_size changed?")
        if not (0 <= self.correct <= self.seen and -1 <= self.best_accuracy <= 1 and np.isfinite(self.loss_sum)
                and 0 <= self.seconds < np.inf and (self.seconds > 0) == (self.step > 0)):
            raise ValueError(f"its counts are impossible: {vars(self)}")


class MetricAccumulator:
    """Adds up the steps of an epoch. `flush` brings the progress up to date and tells the reporter.

    Parameters
    ----------
    progress : Progress, of a run that begins or continues an epoch
    report : Reporter
    """

    def __init__(self, progress: Progress, report: "Reporter") -> None:
        self._progress, self._report = progress, report
        self._started = time.monotonic() - progress.seconds
        self._added = 0
        self._unread: list[tuple[int, Array, Array, Array]] = []

    def add(self, loss: Array, logits: Array, labels: Array) -> None:
        """Add one step. If its loss is not a finite number, this call or a later one raises FloatingPointError."""
        self._progress.step += 1
        self._unread.append((self._progress.step, loss, logits, labels))
        self._added += 1
        if not on_device() or self._added % READ_EVERY == 1:
            self.flush()

    def add_read(self, loss: float, correct: int, images: int) -> None:
        """Add one step whose results are read already: mean loss, right answers, images. Errors as for `add`."""
        self._progress.step += 1
        self._count(self._progress.step, loss, correct, images)

    def flush(self) -> None:
        """Read the results of the steps that were added since the last `flush`."""
        for step, loss, logits, labels in self._unread:
            self._count(step, *read(loss, logits, labels), len(labels))
        self._unread.clear()

    def _count(self, step: int, loss: float, correct: int, images: int) -> None:
        progress = self._progress
        if not np.isfinite(loss):
            raise diverged(f"the loss is {loss} at epoch {progress.epoch + 1}, step {step}")
        progress.loss_sum += loss * images
        progress.correct += correct
        progress.seen += images
        progress.seconds = time.monotonic() - self._started
        self._report.stepped(progress, images)


def diverged(sign: str) -> FloatingPointError:
    """Return the FloatingPointError of a run that diverged; ``sign`` is the first part of its message."""
    return FloatingPointError(f"{sign}: training has diverged. Lower lr, for example to a third, or lengthen warmup; "
                              "the last checkpoint is unchanged")


def read(loss: Array, logits: Array, labels: Array) -> tuple[float, int]:
    """Return a step's loss as a float and its number of right answers; on a device this waits for the step."""
    return float(to_host(loss)), int((to_host(logits).argmax(axis=1) == labels).sum())
