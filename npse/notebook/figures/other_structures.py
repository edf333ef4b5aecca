"""Pictures of page 10: the frame of all structures, which channel hears which, parameters, and seeds."""

from collections.abc import Callable, Mapping

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import FancyArrowPatch, FancyBboxPatch

from npse.notebook.picture import picture, subplots
from npse.reference import channel_conv, channel_rms, dense, grouped_dense, per_channel, relu
from npse.support.style import BLUE, INK, ORANGE, PAPER
from npse.types import Array

STRUCTURES = ("se", "dense", "grouped_dense", "eca", "per_channel", "gct")


@picture("The frame: squeeze, structure, gate and scale, with gradients returning; only the structure is exchanged.")
def frame() -> Figure:
    """Draw the block with a place for a structure, and what goes forwards and back at that place."""
    figure, ax = subplots(1, 1, 2.3)
    ax.set(xlim=(-0.2, 12.2), ylim=(0.1, 3.5))
    ax.axis("off")
    boxes = ((0.9, "$u$", False), (3.2, "squeeze", False), (6.0, "structure", True), (8.8, "gate", False),
             (11.2, "scale", False))
    for x, text, ours in boxes:
        ax.add_patch(FancyBboxPatch((x - 0.65, 1.45), 1.3, 0.7, boxstyle="round,pad=0.08", ec=ORANGE if ours else INK,
                                    fc=PAPER if ours else "white", linewidth=2.2 if ours else 1,
                                    linestyle="--" if ours else "-"))
        ax.text(x, 1.8, text, ha="center", va="center")
    for (left, _, _), (right, _, _), forward, backward in zip(
            boxes[:-1], boxes[1:], ("$u$", "$z$", "$a$", "$s$"), ("$dz/(HW)$", "$dz$", "$da$", "$ds$"), strict=True):
        ends = left + 0.8, right - 0.8
        for (tail, head), height, colour in ((ends, 1.98, BLUE), (ends[::-1], 1.62, ORANGE)):
            ax.add_patch(FancyArrowPatch((tail, height), (head, height), arrowstyle="-|>", mutation_scale=12,
                                         color=colour, shrinkA=0, shrinkB=0))
        ax.text((left + right) / 2, 2.15, forward, color=BLUE, ha="center", va="bottom")
        ax.text((left + right) / 2, 1.3 if "HW" in backward else 1.5, backward, color=ORANGE, ha="center", va="top")
    for height, colour, tail, head, text in ((3.0, BLUE, 0.9, 11.2, "$u$, as it is"),
                                             (0.65, ORANGE, 11.2, 0.9, "direct path:  $dy \\cdot s$")):
        edge = 2.25 if height > 2 else 1.35
        ax.plot([tail, tail, head], [edge, height, height], color=colour, linewidth=1.3)
        ax.add_patch(FancyArrowPatch((head, height), (head, edge), arrowstyle="-|>", mutation_scale=12, color=colour,
                                     shrinkA=0, shrinkB=0))
        ax.text(6.0, height + (0.08 if height > 2 else -0.08), text, color=colour, ha="center",
                va="bottom" if height > 2 else "top")
    return figure


def structure(name: str, channels: int) -> Callable[[Array], Array]:
    """Return one structure with random weights as a function of z (N, C)."""
    rng = np.random.default_rng(4)
    hidden = max(2, channels // 4)
    shapes = (hidden, channels), (channels, hidden), (channels, channels)
    w1, w2, square = (rng.normal(size=shape) for shape in shapes)
    groups = rng.normal(size=(2, channels // 2, channels // 2))
    one = rng.normal(size=channels)
    return {
        "se": lambda z: dense(relu(dense(z, w1)), w2),
        "dense": lambda z: dense(z, square),
        "grouped_dense": lambda z: grouped_dense(z.reshape(len(z), 2, -1), groups).reshape(z.shape),
        "eca": lambda z: channel_conv(z, np.array([0.6, 1.0, -0.7])),
        "per_channel": lambda z: per_channel(z, one),
        "gct": lambda z: channel_rms(z),
    }[name]


def hearing(name: str, channels: int, seed: int = 0) -> Array:
    """Measure how much the logit of each channel changes with the squeezed map of each channel: (C, C)."""
    f = structure(name, channels)
    z, h = np.random.default_rng(seed).normal(size=(1, channels)) + 0.5, 1e-6
    steps = h * np.eye(channels)
    return np.stack([(f(z + step) - f(z - step))[0] / (2 * h) for step in steps], axis=1)


def _draw_hearing(ax: Axes, name: str, channels: int, seed: int = 0) -> None:
    values = hearing(name, channels, seed)
    limit = np.abs(values).max()
    ax.imshow(values / limit, cmap="RdBu_r", vmin=-1, vmax=1)
    ax.set(title=name, xticks=[], yticks=[], xlabel="channel of $z$", ylabel="channel of $a$")
    ax.spines[["top", "right"]].set_visible(True)


@picture("Six matrices: which channel hears which. Full for dense, blocks for groups, a band for eca, a diagonal.")
def who_hears_whom() -> Figure:
    """Draw the Jacobian of each structure for one image of eight channels."""
    figure, axes = subplots(2, 3, 5.2, width=7)
    for ax, name in zip(axes.flat, STRUCTURES, strict=True):
        _draw_hearing(ax, name, 8)
    figure.suptitle("How much the logit $a$ of a channel changes with $z$ of another one\n"
                    "red: up, blue: down, white: not at all")
    return figure


@picture("The matrix of one structure for two images: equal if the structure is linear, different if it is not.")
def two_images(structure: str, channels: int) -> Figure:
    """Draw the Jacobian of a structure that the reader chooses, for two images."""
    figure, axes = subplots(1, 2, 3.1, width=6)
    for image, ax in enumerate(axes):
        _draw_hearing(ax, structure, channels, seed=image)
        ax.set_title(f"{structure}, image {image + 1}")
    return figure


@picture("Bars: how many parameters each structure adds to ResNet-20, from none to sixteen thousand.")
def parameters(counts: Mapping[str, int]) -> Figure:
    """Draw the number of parameters of each structure on a logarithmic scale."""
    names = sorted(counts, key=lambda name: counts[name])
    figure, ax = subplots(1, 1, 3.4, width=7)
    values = [counts[name] for name in names]
    ax.barh(names, [max(value, 1) for value in values], color=[ORANGE if name == "se" else BLUE for name in names])
    for place, value in enumerate(values):
        ax.text(max(value, 1) * 1.15, place, f"{value:,}", va="center")
    ax.set(xscale="log", xlim=(1, 1e5), xlabel="parameters added to ResNet-20 (a bar of 1 is drawn for none)")
    return figure


@picture("Accuracy of each network after a short run, a dot for each seed, a bar for the mean.")
def seeds(accuracies: Mapping[str, Mapping[int, float]]) -> Figure:
    """Draw the accuracy of each variant, in per cent, a mark for each seed."""
    figure, ax = subplots(1, 1, 2.9, width=6)
    marks = "osD^v"
    for place, by_seed in enumerate(accuracies.values()):
        mean = 100 * np.mean([*by_seed.values()])
        ax.plot([place - 0.25, place + 0.25], [mean, mean], color=INK, linewidth=1.5)
        for number, (seed, value) in enumerate(by_seed.items()):
            ax.plot(place - 0.12 + 0.12 * number, 100 * value, marks[number], color=BLUE, markersize=7,
                    label=f"seed {seed}" if place == 0 else None)
    ax.set(xticks=range(len(accuracies)), xticklabels=accuracies, ylabel="right, %", xlim=(-0.6, len(accuracies)))
    ax.set_title("Short runs: 30 steps. A line is a mean")
    ax.legend(loc="center right")
    ax.grid(axis="y")
    return figure
