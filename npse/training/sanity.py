"""The first minute of a run: four numbers that are wrong when something is, each with what to do about it.

A `Probe` watches the ops of one training step; it costs nothing but the look.
"""

import math
from collections.abc import Mapping
from typing import Any

import numpy as np

from npse.backend import to_host
from npse.types import Array


class Probe:
    """Collects, as a watcher of ops, which ReLU channels are dead and where the gates stand."""

    def __init__(self) -> None:
        self.dead, self.channels = 0, 0
        self.gates: list[Array] = []

    def __call__(self, op: Any, arguments: tuple[Any, ...], result: Any) -> None:
        """Look at one op's result; see `npse.backend.observing`."""
        if op.contract and op.contract.kink == "relu":
            y = to_host(result[0] if isinstance(result, tuple) else result)
            alive = y.reshape(-1, y.shape[-1]).any(axis=0)
            self.dead, self.channels = self.dead + int((~alive).sum()), self.channels + alive.size
        elif op == "excite":
            self.gates.append(to_host(result).ravel())

    def findings(self) -> list[str]:
        """Return lines on dead ReLUs and gates."""
        lines = [_line("dead ReLU channels", f"{self.dead / self.channels:.1%}", self.dead <= 0.2 * self.channels,
                       "lower lr or lengthen warmup")] if self.channels else []
        if self.gates:
            s = np.concatenate(self.gates)
            saturated, halves = np.mean((s < 0.01) | (s > 0.99)), np.mean(np.abs(s - 0.5) < 1e-6)
            lines.append(_line("gates saturated (outside 0.01..0.99)", f"{saturated:.1%}", bool(saturated <= 0.3),
                               "lower lr: the excitation is stuck where its sigmoid is flat"))
            lines.append(_line("gates at exactly 1/2", f"{halves:.1%}", bool(halves <= 0.3),
                               "the hidden units are dead: a smaller reduction or a larger min_hidden"))
        return lines


def first_loss(loss: float, classes: int) -> str:
    """Line on the loss before any training: near ln(classes) if the network knows nothing yet."""
    chance = math.log(classes)
    return _line("first loss", f"{loss:.2f}, chance is ln {classes} = {chance:.2f}", abs(loss - chance) < 1.0,
                 "too high: are images normalized, labels right? too low: are labels leaking into the input?")


def update_ratio(before: Mapping[str, Array], after: Mapping[str, Array]) -> str:
    """Line on the median size of an update relative to its weight, from named arrays before and after a step."""
    weights = {name: to_host(w) for name, w in before.items() if w.ndim > 1}
    ratios = [float(np.linalg.norm(to_host(after[name]) - w) / np.linalg.norm(w)) for name, w in weights.items()]
    ratio = float(np.median(ratios))
    return _line("update / weight, median", f"{ratio:.1e}", 1e-5 < ratio < 1e-1,
                 "near 1e-3 to 1e-2 is healthy: change lr by a factor of 3")


def _line(what: str, value: str, healthy: bool, advice: str) -> str:
    return f"{'ok   ' if healthy else 'LOOK '} {what}: {value}" + ("" if healthy else f"; {advice}")
