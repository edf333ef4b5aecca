"""Pictures of page 12: threads in blocks over an array, which pieces of memory a warp touches, a traced kernel."""

from pathlib import Path

import matplotlib.image
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from npse.notebook.picture import Picture, picture, subplots
from npse.support.arithmetic import ceil_div
from npse.support.style import BLUE, DPI, GREEN, GREY, INK, LABEL, ORANGE, PURPLE

COLOURS = (BLUE, ORANGE, GREEN, PURPLE)
PIECE = 8                        # float32 numbers in 32 bytes


@picture("Blocks of threads in a row above the numbers of an array; threads beyond the end are hatched.")
def _grid(numbers: int, threads: int) -> Figure:
    blocks = ceil_div(numbers, threads)
    figure, ax = subplots(1, 1, 2.0)
    ax.set(xlim=(-0.6, blocks * threads + 0.6), ylim=(-0.2, 3.1))
    ax.axis("off")
    small = LABEL - 1 if blocks * threads <= 24 else LABEL - 3
    for t in range(blocks * threads):
        block, thread = divmod(t, threads)
        idle = t >= numbers
        ax.add_patch(Rectangle((t + 0.06, 1.55), 0.88, 0.75, facecolor="white" if idle else COLOURS[block % 4],
                               edgecolor=GREY if idle else INK, hatch="////" if idle else None, alpha=0.85))
        ax.text(t + 0.5, 1.92, str(thread), ha="center", va="center", fontsize=small, color=INK if idle else "white")
        if not idle:
            ax.add_patch(Rectangle((t + 0.06, 0.1), 0.88, 0.7, facecolor="white", edgecolor=INK))
            ax.text(t + 0.5, 0.45, str(t), ha="center", va="center", fontsize=small)
            ax.plot([t + 0.5, t + 0.5], [0.84, 1.5], color=GREY, linewidth=0.8)
    for block in range(blocks):
        ax.text((block + 0.5) * threads, 2.42, f"block {block}", ha="center", va="bottom", color=COLOURS[block % 4])
    spare = blocks * threads - numbers
    ax.set_title(f"{numbers} numbers, {blocks} block{'s' * (blocks > 1)} of {threads} threads, "
                 f"{spare} with nothing to do (hatched)")
    return figure


def grid(numbers: int, threads: int) -> Picture:
    """Draw the threads that a launch starts for an array of so many numbers, in blocks of so many threads."""
    return _grid(numbers, threads)


@picture("Two maps of memory: neighbouring threads read neighbouring numbers in few pieces, or distant ones in many.")
def pieces(pixels: int, channels: int) -> Figure:
    """Draw the numbers that 16 neighbouring threads read with one instruction, and the pieces that memory sends.

    Left, thread t reads number t. Right, neighbouring threads read neighbouring pixels of one channel.
    """
    figure, axes = subplots(1, 2, 3.2)
    threads = np.arange(16)
    orders = {"along the channels": threads, "across the pixels": threads % pixels * channels + threads // pixels}
    for ax, (name, places) in zip(axes, orders.items(), strict=True):
        _draw_memory(ax, places, pixels, channels)
        touched = len({*(places // PIECE)})
        ax.set_title(f"{name}: {touched} piece{'s' * (touched > 1)}")
    return figure


def _draw_memory(ax: Axes, places: np.ndarray, pixels: int, channels: int) -> None:
    reader = {int(place): thread for thread, place in enumerate(places)}
    sent = {*(places // PIECE)}
    ax.set(xlim=(-0.1, channels + 0.1), ylim=(pixels + 0.1, -0.1), xlabel="channel", ylabel="pixel", aspect="equal",
           xticks=[], yticks=[])
    ax.spines[:].set_visible(False)
    for place in range(pixels * channels):
        row, column = divmod(place, channels)
        ax.add_patch(Rectangle((column, row), 1, 1, facecolor="#cfe3f1" if place // PIECE in sent else "white",
                               edgecolor=GREY, linewidth=0.5))
        if place in reader:
            ax.text(column + 0.5, row + 0.5, str(reader[place]), ha="center", va="center", fontsize=LABEL - 2,
                    weight="bold", color=ORANGE)


@picture("What npse trace has drawn: the threads of a block, and how often each number of each array is read.")
def traced(file: Path) -> Figure:
    """Show a picture that ``npse trace`` has written, as wide as GitHub shows it."""
    image = matplotlib.image.imread(file)
    height, width = image.shape[:2]
    scale = min(1.0, 800 / width)
    figure = Figure(figsize=(scale * width / DPI, scale * height / DPI))
    ax = figure.add_axes((0, 0, 1, 1))
    figure.set_layout_engine("none")
    ax.imshow(image, interpolation="lanczos")
    ax.axis("off")
    return figure
