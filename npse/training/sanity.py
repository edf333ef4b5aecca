"""The first minute of a run: four numbers that show early that a run is wrong, each with advice.

A `Probe` observes the ops of one training step.
"""

import math
from collections.abc import Mapping
from typing import Any

import numpy as np

from npse.backend import to_host
from npse.types import Array


class Probe:
    """Counts the dead ReLU channels and collects the gates; see `npse.backend.observing`."""

    def __init__(self) -> None:
        self.dead, self.channels = 0, 0
        self.gates: list[Array] = []

    def __call__(self, op: Any, arguments: tuple[Any, ...], result: Any) -> None:
        """Record the result of one op."""
        if op.contract and op.contract.kink == "relu":
            y = to_host(result[0] if isinstance(result, tuple) else result)
            alive = y.reshape(-1, y.shape[-1]).any(axis=0)
            self.dead, self.channels = self.dead + int((~alive).sum()), self.channels + alive.size
        elif op == "excite":
            self.gates.append(to_host(result).ravel())

    def findings(self) -> list[str]:
        """Return lines about dead ReLUs and gates."""
        lines = [_line("dead ReLU channels", f"{self.dead / self.channels:.1%}", self.dead <= 0.2 * self.channels,
                       "lower lr or lengthen warmup")] if self.channels else []
        if self.gates:
            s = np.concatenate(self.gates)
            saturated, halves = np.mean((s < 0.01) | (s > 0.99)), np.mean(np.abs(s - 0.5) < 1e-6)
            lines.append(_line("gates saturated (outside 0.01..0.99)", f"{saturated:.1%}", bool(saturated <= 0.3),
                               "lower lr: where the sigmoid is flat, the excitation learns almost nothing"))
            lines.append(_line("gates at exactly 1/2", f"{halves:.1%}", bool(halves <= 0.3),
                               "the hidden units are dead: lower reduction or raise min_hidden"))
        return lines


def first_loss(loss: float, classes: int) -> str:
    """Return a line about the loss before any training; an untrained network has about ln(classes)."""
    chance = math.log(classes)
    return _line("first loss", f"{loss:.2f}, chance is ln {classes} = {chance:.2f}", abs(loss - chance) < 1.0,
                 "if too high, check normalization and labels; if too low, check whether the input contains labels")


def update_ratio(before: Mapping[str, Array], after: Mapping[str, Array]) -> str:
    """Return a line about the median of norm(update) / norm(weight), from named arrays before and after a step."""
    weights = {name: to_host(w) for name, w in before.items() if w.ndim > 1}
    ratios = [float(np.linalg.norm(to_host(after[name]) - w) / np.linalg.norm(w)) for name, w in weights.items()]
    ratio = float(np.median(ratios))
    return _line("update / weight, median", f"{ratio:.1e}", 1e-5 < ratio < 1e-1,
                 "1e-3 to 1e-2 is usual: change lr by a factor of 3")


def _line(what: str, value: str, healthy: bool, advice: str) -> str:
    return f"{'ok   ' if healthy else 'LOOK '} {what}: {value}" + ("" if healthy else f"; {advice}")
