"""Pictures of page 11: patches as a matrix, what a tile saves, the rates of six versions, and the roofline."""

from collections.abc import Mapping

import numpy as np
from matplotlib.figure import Figure

from npse.notebook.grids import draw_grid
from npse.notebook.picture import picture, subplots
from npse.support.style import BLUE, GREY, INK, LABEL, ORANGE
from npse.types import Array

MARKS = "osD^vP*"


def patches(x: Array, size: int) -> Array:
    """Return the windows of a map (H, W) as rows of a matrix (pixels of the result, size * size)."""
    windows = np.lib.stride_tricks.sliding_window_view(x, (size, size))
    return windows.reshape(-1, size * size)


@picture("A map with a window framed, its patches as rows of a matrix; times the filter they give the result.")
def im2col(row: int) -> Figure:
    """Draw a 4 x 4 map, the matrix of its patches, the filter and the result; the framed row counts from 0."""
    x = np.array([[1, 0, 2, 0], [0, 3, 0, 1], [2, 0, 1, 0], [0, 1, 0, 2]], float)
    w = np.array([[1, 0, -1], [0, 2, 0], [-1, 0, 1]], float)
    matrix = patches(x, 3)
    y = matrix @ w.reshape(-1)
    figure, axes = subplots(1, 4, 2.9, width_ratios=[4, 9, 2, 2])
    a, b = divmod(row, 2)
    draw_grid(axes[0], x, "map $x$", frame=(a, b, 3, 3), limit=8)
    draw_grid(axes[1], matrix, "patches, a row for each pixel of $y$", frame=(row, 0, 1, 9), limit=8)
    draw_grid(axes[2], w.reshape(-1, 1), "filter", limit=8)
    draw_grid(axes[3], y[:, None], "$y$", frame=(row, 0, 1, 1), limit=8)
    axes[3].set(ylim=(6, -3))                                     # one scale for all numbers
    return figure


def loads(pixels: int, vectors: int) -> float:
    """Return how many loads a tile makes for each multiply-add: its pixels and its filter vectors, for all pairs."""
    return (pixels + vectors) / (pixels * vectors)


@picture("A tile: a few pixels times a few vectors of filters; every pair is a sum that stays in a register.")
def tile(pixels: int, vectors: int) -> Figure:
    """Draw a tile that the reader chooses, and loads for each multiply-add over the size of tiles."""
    figure, (left, right) = subplots(1, 2, 3.3, width_ratios=[1, 1.3])
    left.set(xlim=(-1.9, 8), ylim=(pixels + 0.3, -1.3), aspect="equal")
    left.axis("off")
    size = {"ha": "center", "va": "center", "fontsize": LABEL - 1}
    for row in range(pixels):
        left.text(-1.0, row, f"$x_{{{row + 1}}}$", color=BLUE, **size)
        for column in range(vectors):
            left.text(column * 1.9 + 0.8, row, "sum", color=INK, bbox={"boxstyle": "round", "fc": "#fbe3d6", "ec": INK},
                      **size)
    for column in range(vectors):
        left.text(column * 1.9 + 0.8, -1.0, f"$w_{{{column + 1}}}$", color=BLUE, **size)
    left.set_title(f"{pixels} + {vectors} loads, {pixels * vectors} multiply-adds")
    some = np.arange(1, 17)
    for number, count in enumerate((1, 2, 4)):
        right.plot(some, [loads(int(p), count) for p in some], color=(BLUE, ORANGE, INK)[number],
                   marker=MARKS[number], markersize=4, label=f"{count} vector{'s' * (count > 1)}")
    right.plot(pixels, loads(pixels, vectors), "*", color=ORANGE, markersize=15, markeredgecolor=INK, label="the tile")
    right.set(xlabel="pixels of the tile", ylabel="loads for each multiply-add", ylim=(0, 2.1),
              title=f"{loads(pixels, vectors):.2f} loads for each, {pixels * vectors + vectors + 1} registers")
    right.legend()
    right.grid()
    return figure


@picture("Bars: operations for each second that six versions of one convolution reach on this machine.")
def rates(gflops: Mapping[str, float]) -> Figure:
    """Draw the rate of each version on a logarithmic scale."""
    names = [*gflops][::-1]
    figure, ax = subplots(1, 1, 2.8, width=7)
    values = [gflops[name] for name in names]
    ax.barh(names, values, color=BLUE)
    for place, value in enumerate(values):
        ax.text(value * 1.1, place, f"{value:.3g}", va="center")
    ax.set(xscale="log", xlim=(min(values) / 3, max(values) * 4), xlabel="GFLOP/s, counted by the formula")
    return figure


@picture("The roofline of this machine: a slope for memory, a ceiling for arithmetic, and a mark for each version.")
def roofline(gflops: Mapping[str, float], intensity: float, rates: Mapping[str, float]) -> Figure:
    """Draw the roofs of the machine, and the six versions above the intensity of their formula."""
    figure, ax = subplots(1, 1, 4.2, width=7.5)
    span = np.array([0.1, 1000.0])
    peak = rates["sgemm_gflops"]
    for place, style in (("cache", "-"), ("memory", "--")):
        bandwidth = rates[f"copy_{place}_gbs"]
        ax.plot([span[0], peak / bandwidth], [span[0] * bandwidth, peak], style, color=GREY,
                label=f"copy in {place}, {bandwidth:.0f} GB/s")
    ax.axhline(peak, color=INK, label=f"matrix product, {peak:.0f} GFLOP/s")
    for number, (name, value) in enumerate(gflops.items()):
        ax.plot(intensity, value, MARKS[number], color=ORANGE if number > 3 else BLUE, markeredgecolor=INK,
                markersize=9, linestyle="none", label=f"{name}, {value:.3g}")
    ax.set(xscale="log", yscale="log", xlim=span, xlabel="operations for each byte of the arrays", ylabel="GFLOP/s",
           ylim=(min(gflops.values()) / 3, 4 * max(peak, *gflops.values())))
    ax.legend(loc="center left", bbox_to_anchor=(1.0, 0.5), frameon=False)
    ax.grid()
    return figure
