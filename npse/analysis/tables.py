"""The numbers of an inspection as tables of text; see `npse.bench.report.Table`."""

import numpy as np

from npse.analysis.inspection import Inspection
from npse.analysis.interventions import INTERVENTIONS, Effect
from npse.analysis.statistics import NEAR, NEARLY_ALL
from npse.bench.report import Table

CLEAR = 2.0                      # standard errors beyond which a change is marked


def all_of(found: Inspection) -> list[Table]:
    """Return all tables of an inspection; an empty list for a network without gates."""
    if not found.blocks:
        return []
    return [ranges(found), dependence(found), *([effects(found)] if found.effects else [])]


def ranges(found: Inspection) -> Table:
    """Return the table of the values of the gates."""
    rows = [(name, str(block.channels), f"{block.mean:.2f}", f"{block.lowest:.2f} .. {block.highest:.2f}",
             str(block.low), str(block.high)) for name, block in found.blocks.items()]
    return Table(f"The gates of {len(found.images)} test images",
                 ("<block", "channels", "mean", "range", "low end", "high end"), rows,
                 [f"Low end, high end: channels whose gate is within {NEAR:.0%} of that end of its range for "
                  f"at least {NEARLY_ALL:.0%} of the images."])


def dependence(found: Inspection) -> Table:
    """Return the table of what the gates depend on."""
    rows = [(name, _number(block.ratio), f"{block.from_constant:.1%}", f"{block.from_channel_constant:.1%}")
            for name, block in found.blocks.items()]
    chance = next(iter(found.blocks.values())).by_chance
    columns = "<block", "between / within", "from one number", "from one per channel"
    return Table("What the gates depend on", columns, rows,
                 ["Between / within: variance of a gate between the classes, divided by that within them. Gates that "
                  f"have nothing to do with the classes have about {_number(chance)}.",
                  "From one number, from one per channel: how far the gates are from the same number in the whole "
                  "block, or in each channel: root mean square, relative to the mean gate. Near 0 %, the weights "
                  "before the block could do the same."])


def effects(found: Inspection) -> Table:
    """Return the table of the accuracy with other gates; `Inspection.effects` must be there."""
    measured = found.effects
    assert measured is not None
    error = np.sqrt(measured.accuracy * (1 - measured.accuracy) / measured.images)
    rows = [(name, *(_effect(kinds[kind]) for kind in INTERVENTIONS)) for name, kinds in measured.by_block.items()]
    return Table("Does it matter? Accuracy with other gates", ("<block", *INTERVENTIONS), rows,
                 ["The change in percentage points if the gates of one block are replaced. "
                  f"With its own gates the network is right on {measured.accuracy:.1%} of these {measured.images} test "
                  f"images (standard error {error:.1%}). ± is the standard error of the change: by the choice of "
                  "images, not by the seed of training. "
                  f"* marks changes of more than {CLEAR:g} standard errors; if nothing matters, about 1 in 20 are.",
                  "mean: each image gets the mean gates of all; one, half: all gates are 1, or 1/2; shuffled: each "
                  "image gets the gates of another one. The weights stay; a network trained without these gates might "
                  "do as well."])


def _effect(effect: Effect) -> str:
    mark = "*" if abs(effect.change) > CLEAR * effect.error else ""
    return f"{100 * effect.change:+.1f} ± {100 * effect.error:.1f}{mark}"


def _number(value: float) -> str:
    return "-" if np.isnan(value) else f"{value:.2g}" if value < 100 else f"{value:.0f}"
