"""Lookahead: every few steps the weights go back to slow weights, which have followed them by a share of the way.

The share begins at one, where it changes nothing, and falls. So only the end of a run is averaged.
"""

from collections.abc import Mapping

from npse.backend import active, to_edition, to_host, updates_in_place
from npse.layers import Layer
from npse.layers.dropout import kept_slots
from npse.types import Array

KEPT = 0.95                      # share of the slow weights that a step keeps at the end of a run


class Lookahead:
    """The slow weights of a network, and the slow running statistics.

    Parameters
    ----------
    network : Layer
    period : int
        Steps between two moves of the slow weights.

    Attributes
    ----------
    slow : dict of str to array
        One array for each parameter and each running statistic; part of a checkpoint.

    Source: M. R. Zhang et al., arXiv 1907.08610; the share is that of K. Jordan, arXiv 2404.00498.
    """

    def __init__(self, network: Layer, period: int) -> None:
        self.network, self.period = network, period
        self.slow: dict[str, Array] = {name: to_host(w).copy() for name, w in self._followed().items()}

    def to_device(self) -> None:
        """Move the slow weights to the memory of the active edition."""
        self.slow = {name: to_edition(w) for name, w in self.slow.items()}

    def load(self, slow: Mapping[str, Array]) -> None:
        """Copy slow weights, one array of floats for each; ValueError names an array that does not fit."""
        for name, w in self.slow.items():
            if name not in slow:
                raise ValueError(f"the slow weights of {name} are missing; was the run begun without lookahead?")
            if slow[name].shape != w.shape or slow[name].dtype.kind != "f":
                raise ValueError(f"the slow weights of {name} must be floats of shape {w.shape}, "
                                 f"but are {slow[name].dtype} of {slow[name].shape}")
        self.slow = {name: slow[name].astype(w.dtype) for name, w in self.slow.items()}

    def share(self, done: float) -> float:
        """Return the share of the way that the slow weights move, when the share ``done`` of the run is over."""
        return 1 - KEPT**self.period * done**3

    def after(self, step: int, steps: int) -> None:
        """After step ``step`` of ``steps``: if it is time, move the slow weights, and set the network to them.

        A run ends with its slow weights.
        """
        if (step + 1) % self.period == 0:
            ops, share = active(), self.share(step / steps)
            self.slow = {name: ops.lookahead(w, self.slow[name], share) for name, w in self._followed().items()}
        elif step + 1 < steps:
            return
        if not updates_in_place():
            self.network.update(self.slow)
            return
        for name, w in self._followed().items():                  # a step changes w in place: w stays its own array
            active().copy(self.slow[name], w)

    def _followed(self) -> dict[str, Array]:
        """Return the arrays that the slow weights follow, by name."""
        return {slot.name: slot.owner[slot.key] for slot in kept_slots(self.network)}
