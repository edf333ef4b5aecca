"""Pictures of page 9: those of `npse.analysis`, and histograms and effects in the style of the pages."""

import numpy as np
from matplotlib.figure import Figure

from npse.analysis import Inspection, plots, sheets
from npse.analysis.interventions import INTERVENTIONS
from npse.analysis.summary import GateSummary
from npse.notebook.picture import Picture, picture, subplots
from npse.support.style import BLUE, GREEN, GREY, INK, LABEL, ORANGE, PURPLE

COLOURS = 256                    # of pictures with many colours, so that their files are small
FEW = 48                         # of pictures with lines and letters


@picture("Two images of each class, with the name of the class.", COLOURS)
def classes(found: Inspection) -> Figure:
    """Draw two test images of each class."""
    figure, axes = subplots(2, 5, 2.2)
    for k, ax in enumerate(axes.flat):
        ax.imshow(sheets.mosaic(found.images[found.labels == k][:2], 2), interpolation="nearest")
        ax.set_title(found.classes[k], fontsize=LABEL)
        ax.axis("off")
    return figure


@picture("The mean gate of each channel for each class, a block for each stage; right, less the overall mean.", COLOURS)
def by_class(found: Inspection | GateSummary) -> Figure:
    """Draw figure 6 of the paper for the last block of each stage."""
    return plots.gates({name: found.by_class(name)[0] for name in found.shown}, found.classes, "")


@picture("Gates of two classes, channel by channel: mean as a line, deviation within the class as a band.", FEW)
def _two_classes(found: Inspection | GateSummary, pair: tuple[int, int]) -> Figure:
    return plots.spread({name: found.by_class(name) for name in found.shown}, found.classes, pair, "")


def two_classes(found: Inspection | GateSummary, first: str, second: str) -> Picture:
    """Draw figure 7 of the paper for two classes that the reader chooses."""
    return _two_classes(found, (found.classes.index(first), found.classes.index(second)))


@picture("Histograms of all gates, a panel for the last block of each stage.", FEW)
def histograms(found: Inspection) -> Figure:
    """Draw how the gates of a block are distributed over images and channels."""
    figure, axes = subplots(1, len(found.shown), 2.3, sharey=True)
    for ax, name in zip(axes, found.shown, strict=True):
        s = found.observation.gates[name]
        ax.hist(s.ravel(), bins=40, range=(0, 1), weights=np.full(s.size, 100 / s.size), color=ORANGE)
        ax.axvline(0.5, color=INK, linewidth=1, linestyle="--")
        ax.set(title=name, xlabel="gate")
        ax.grid(axis="y")
    axes[0].set_ylabel("% of all gates")
    return figure


@picture("Bars: variance of the gates between the classes over that within them, for each block.", FEW)
def ratios(found: Inspection) -> Figure:
    """Draw variance between over variance within, by block, and what chance would give."""
    figure, ax = subplots(1, 1, 2.6, width=6.5)
    names = [*found.blocks]
    ax.bar(names, [found.blocks[name].ratio for name in names], color=BLUE, width=0.6)
    chance = found.blocks[names[0]].by_chance
    ax.axhline(chance, color=ORANGE, linewidth=1.5, label=f"gates without any relation: {chance:.2g}")
    ax.set(ylabel="between / within", yscale="log")
    ax.tick_params(axis="x", rotation=0 if len(names) < 6 else 45)
    ax.legend()
    ax.grid(axis="y")
    return figure


@picture("For three channels of a block, the images that open them most and those that close them most.", COLOURS)
def openers(found: Inspection, block: str) -> Figure:
    """Draw the images that open and close the most variable channels of a block."""
    return sheets.channels(found.images, {block: found.observation.gates[block]}, "")


@picture("An image of each class, and how far it opens, red, or closes, blue, each channel of a block.", COLOURS)
def opened(found: Inspection) -> Figure:
    """Draw which channels an image opens, one image of each class."""
    block = found.shown[-1]
    return sheets.opened(found.images, found.labels, found.observation.gates[block], found.classes, "")


@picture("Change of the accuracy with other gates in one block, with standard errors, for four kinds of gates.", FEW)
def effects(found: Inspection | GateSummary) -> Figure:
    """Draw the effect of each intervention in each block, with an error bar of two standard errors."""
    assert found.effects is not None
    names = [*found.effects.by_block]
    figure, ax = subplots(1, 1, 3.0, width=7)
    for number, (kind, colour, mark) in enumerate(zip(INTERVENTIONS, (BLUE, ORANGE, GREEN, PURPLE), "osD^",
                                                      strict=True)):
        values = [found.effects.by_block[name][kind] for name in names]
        ax.errorbar(np.arange(len(names)) - 0.24 + 0.16 * number, [100 * value.change for value in values],
                    [200 * value.error for value in values], fmt=mark, color=colour, capsize=3, markersize=5,
                    label=kind)
    ax.axhline(0, color=GREY, linewidth=1)
    ax.set(xticks=range(len(names)), xticklabels=names, ylabel="change, percentage points")
    ax.tick_params(axis="x", rotation=0 if len(names) < 6 else 45)
    ax.legend(title="the gates of the block are", ncols=4, loc="lower center", bbox_to_anchor=(0.5, 1.0), frameon=False)
    ax.grid(axis="y")
    return figure
