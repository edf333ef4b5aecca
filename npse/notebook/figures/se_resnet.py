"""Pictures of page 7: the residual block with its excitation, where the parameters are, and Equation (5)."""

import itertools
from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import FancyArrowPatch, FancyBboxPatch

from npse.notebook.picture import picture, subplots
from npse.support.style import BLUE, GREEN, GREY, INK, LABEL, ORANGE, PAPER

BLOCKS = {"se_resnet20": ((3, 16), (3, 32), (3, 64)),                             # blocks and channels of each stage
          "SE-ResNet-50": ((3, 256), (4, 512), (6, 1024), (3, 2048))}
WITHOUT = {"se_resnet20": 272_474, "SE-ResNet-50": 25_557_032}                    # parameters without excitations
PLACES = {"standard": 4, "pre": 0, "post": 6, "3x3": 2}                           # before which part of the row


def _box(ax: Axes, at: tuple[float, float], text: str, colour: str) -> None:
    x, y = at
    ax.add_patch(FancyBboxPatch((x - 0.36, y - 0.2), 0.72, 0.4, boxstyle="round,pad=0.04", fc=colour, ec=INK,
                                zorder=2))
    ax.text(x, y, text, ha="center", va="center", fontsize=LABEL, zorder=3)


def _arrow(ax: Axes, tail: tuple[float, float], head: tuple[float, float], colour: str = GREY) -> None:
    ax.add_patch(FancyArrowPatch(tail, head, arrowstyle="-|>", mutation_scale=10, color=colour, linewidth=1.4,
                                 shrinkA=0, shrinkB=0, zorder=1))


@picture("A residual block: two convolutions with batch norm on the branch, the excitation, a shortcut around "
         "them, a sum, a ReLU. Forward arrows above, the way of the gradient below.")
def block(placement: str, gradient: bool = True) -> Figure:
    """Draw a basic block with its excitation at one of five places, and the way of the gradient."""
    parts = ["conv1", "bn1\nReLU", "conv2", "bn2", "+", "ReLU"]
    if placement in PLACES:
        parts.insert(PLACES[placement], "SE")
    figure, ax = subplots(1, 1, 2.9)
    names = ["x", *parts, "y"]
    places = np.linspace(0, 8.2, len(names))
    plus = places[names.index("+")]
    for x, name in zip(places, names, strict=True):
        _box(ax, (x, 1.2), f"${name}$" if name in "xy" else name, "#fde3cf" if name == "SE" else
             "white" if name in "xy" else PAPER)
    for tail, head in itertools.pairwise(places):
        _arrow(ax, (tail + 0.4, 1.28), (head - 0.4, 1.28))
        if gradient:
            _arrow(ax, (head - 0.4, 1.12), (tail + 0.4, 1.12), ORANGE)
    ax.plot([0, 0, plus, plus], [1.5, 2.3, 2.3, 1.5], color=GREY, linewidth=1.4)
    _arrow(ax, (plus, 1.7), (plus, 1.44))
    ax.text(plus / 4, 2.36, "shortcut", ha="center", va="bottom", color=GREY, fontsize=LABEL)
    if placement == "identity":
        _box(ax, (plus / 2, 2.3), "SE", "#fde3cf")
    if gradient:
        ax.plot([plus, plus, 0, 0], [0.9, 0.2, 0.2, 0.6], color=ORANGE, linewidth=1.4)
        _arrow(ax, (0, 0.5), (0, 0.96), ORANGE)
        ax.text(plus / 2, 0.12, "gradient: the same array goes both ways, and at x the two ways are added", ha="center",
                va="top", color=ORANGE, fontsize=LABEL)
    ax.set(xlim=(-0.5, 8.7), ylim=(-0.2, 2.8), aspect="equal")
    ax.axis("off")
    return figure


@picture("For each part of the network its share of the parameters and of the multiply-adds: the parameters are in "
         "the last stage, the multiply-adds are spread evenly.")
def where_it_goes(rows: Sequence[dict[str, Any]]) -> Figure:
    """Draw shares of parameters and multiply-adds, from rows as `npse.bench.cost.grouped` gives them."""
    figure, ax = subplots(1, 1, 2.8)
    places = np.arange(len(rows))
    for shift, key, colour, hatch, name in ((-0.2, "parameters", BLUE, "", "parameters"),
                                            (0.2, "multiply_adds", GREEN, "///", "multiply-adds")):
        values = np.array([row[key] for row in rows], float)
        bars = ax.bar(places + shift, 100 * values / values.sum(), 0.4, color=colour, hatch=hatch, edgecolor="white",
                      label=name)
        ax.bar_label(bars, fmt="%.1f", fontsize=8)
    ax.set_xticks(places, [row["layer"] for row in rows])
    ax.set(ylabel="share, %", ylim=(0, 85))
    ax.legend()
    return figure


@picture("Additional parameters by Equation (5) against the reduction, for two networks: they halve when r "
         "doubles.")
def equation_5(reduction: int) -> Figure:
    """Draw the share of additional parameters against the reduction r, and mark one r."""
    figure, ax = subplots(1, 1, 2.9, width=6.5)
    every = np.array([1, 2, 4, 8, 16, 32])
    for (name, stages), colour, line in zip(BLOCKS.items(), (BLUE, ORANGE), ("-", "--"), strict=True):
        cost = 2 * sum(blocks * channels**2 for blocks, channels in stages)
        here = cost // reduction
        ax.plot(every, 100 * cost / every / WITHOUT[name], line, color=colour, marker=".",
                label=f"{name}, r = {reduction}: {here:,} more")
        ax.plot(reduction, 100 * here / WITHOUT[name], "o", color=colour, markersize=9)
    ax.set(xscale="log", yscale="log", xlabel="reduction r", ylabel="additional parameters, %")
    ax.set_xticks(every, map(str, every))
    ax.set_xticks([], minor=True)
    ax.legend()
    ax.grid()
    return figure
