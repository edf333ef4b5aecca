"""Who is told how a run goes: a bar on a terminal, lines elsewhere, or any object with these four methods."""

from collections.abc import Mapping
from typing import Any, Protocol

from npse.training.metric_accumulator import Progress


class Reporter(Protocol):
    """Hears of a run while it is trained."""

    def say(self, line: str) -> None:
        """Hear a line that a person should read."""

    def began(self, epochs: int, steps: int, progress: Progress) -> None:
        """Hear how many epochs the run has, how many steps an epoch has, and where the run stands."""

    def stepped(self, progress: Progress, batch: int) -> None:
        """Hear of one more step, of so many images; on a device of several steps, one after another."""

    def epoch_done(self, row: Mapping[str, Any]) -> None:
        """Hear of an epoch and its evaluation: the row that `npse.training.metrics` keeps."""
