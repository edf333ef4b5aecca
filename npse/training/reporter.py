"""The reporter of a run: a progress bar on a terminal, lines elsewhere, or any object with these four methods."""

from collections.abc import Mapping
from typing import Any, Protocol

from npse.training.metric_accumulator import Progress


class Reporter(Protocol):
    """The training loop calls these methods during a run."""

    def say(self, line: str) -> None:
        """Called with a line for the user."""

    def began(self, epochs: int, steps: int, progress: Progress) -> None:
        """Called at the start, with the number of epochs, the steps of an epoch, and the progress so far."""

    def stepped(self, progress: Progress, batch: int) -> None:
        """Called after each step of ``batch`` images. On a device the calls for several steps come together."""

    def epoch_done(self, row: Mapping[str, Any]) -> None:
        """Called after each epoch and its evaluation, with the row that `npse.training.metrics` keeps."""
