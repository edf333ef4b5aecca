"""What a run knows of its steps: the sums of the epoch under way, read as rarely as the edition likes it.

On a device an op returns before it has run, and to look at a number is to wait until it is there. So losses and logits
are kept as they are and read every few steps; elsewhere a look costs nothing, and they are read at once.
"""

import time
from dataclasses import dataclass

import numpy as np

from npse.backend import on_device, to_host

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

    def next_epoch(self):
        """Begin the next epoch."""
        self.epoch, self.step, self.loss_sum, self.correct, self.seen, self.seconds = self.epoch + 1, 0, 0.0, 0, 0, 0.0


class Ledger:
    """Takes down the steps of an epoch; after `settle` the progress is up to date and the reporter has heard of it.

    Parameters
    ----------
    progress : Progress, of a run whose epoch begins or goes on now
    report : the run's reporter
    """

    def __init__(self, progress, report):
        self._progress, self._report = progress, report
        self._started = time.monotonic() - progress.seconds
        self._entered, self._unread = 0, []

    def enter(self, loss, logits, labels):
        """Take down one step; FloatingPointError, now or in a later call, if its loss is no finite number."""
        self._progress.step += 1
        self._unread.append((self._progress.step, loss, logits, labels))
        self._entered += 1
        if not on_device() or self._entered % READ_EVERY == 1:
            self.settle()

    def settle(self):
        """Read the steps that were not read yet."""
        progress = self._progress
        for step, loss, logits, labels in self._unread:
            loss, correct = read(loss, logits, labels)
            if not np.isfinite(loss):
                raise FloatingPointError(
                    f"the loss is {loss} at epoch {progress.epoch + 1}, step {step}: training has diverged. "
                    "Lower --lr (a third of it, say) or lengthen --warmup; the last checkpoint is as it was")
            progress.loss_sum += loss * len(labels)
            progress.correct += correct
            progress.seen += len(labels)
            progress.seconds = time.monotonic() - self._started
            self._report.stepped(progress, len(labels))
        self._unread.clear()


def read(loss, logits, labels):
    """Return a step's loss as a float and its number of right answers; on a device this waits for the step."""
    return float(to_host(loss)), int((to_host(logits).argmax(axis=1) == labels).sum())
