"""How the gates are spread, epoch by epoch: a histogram for each block, kept in metrics.jsonl.

A run keeps no weights of its earlier epochs. So the loop counts the gates of the images that it evaluates after each
epoch, which costs next to nothing. Gates that differ between pixels are first averaged over the pixels of an image.
"""

from typing import Any

import numpy as np

from npse.layers.gate_visitor import Gates, per_image
from npse.training import records
from npse.training.ranks import Ranks
from npse.types import Array

LOW, HIGH, BINS = -1.0, 2.0, 60       # of width 0.05; a gate beyond an end is counted in the bin at that end


class GateHistograms:
    """A visitor of gates that counts them, see `npse.layers.gate_visitor`.

    Attributes
    ----------
    counts : dict of str to integer array (BINS,)
        By the name of the block.
    """

    def __init__(self) -> None:
        self.counts: dict[str, Array] = {}

    def __call__(self, name: str, s: Gates) -> Gates:
        """Count the gates of a batch, and return them."""
        counts, _ = np.histogram(np.clip(per_image(s), LOW, HIGH), BINS, (LOW, HIGH))
        self.counts[name] = self.counts.get(name, 0) + counts
        return s

    def add(self, ranks: Ranks) -> None:
        """Add the counts of all ranks, which visited the same blocks."""
        self.counts = {name: ranks.gather(counts)[0].sum(axis=0) for name, counts in self.counts.items()}

    def entry(self) -> dict[str, Any]:
        """Return the entry ``gates`` of a row of metrics; empty for a network without gates."""
        return {"gates": {name: counts.tolist() for name, counts in self.counts.items()}} if self.counts else {}


def expect(row: dict[str, Any]) -> None:
    """Raise ValueError if a row of metrics has an entry ``gates`` that is not one of this file."""
    histograms = row.get("gates", {})
    if not isinstance(histograms, dict):
        raise ValueError(f"gates must hold a list for each block, but is {records.short(histograms)}")
    for name, counts in histograms.items():
        if not (isinstance(counts, list) and len(counts) == BINS
                and all(records.is_a(count, int) and count >= 0 for count in counts)):
            raise ValueError(f"gates of {name} must be {BINS} counts, but are {records.short(counts)}")
