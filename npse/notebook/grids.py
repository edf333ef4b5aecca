"""Arrays as grids of values, and computations as graphs with their values and gradients."""

from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes
from matplotlib.patches import FancyArrowPatch, FancyBboxPatch, Rectangle

from npse.support.style import BLUE, GREY, INK, LABEL, ORANGE, PAPER
from npse.types import Array


def draw_grid(ax: Axes, values: Array, title: str = "", frame: tuple[int, int, int, int] | None = None,
              limit: float | None = None) -> None:
    """Draw a small matrix as a grid of cells with their values: red above zero, blue below.

    Parameters
    ----------
    ax : matplotlib Axes
    values : array (rows, columns)
    title : str
    frame : (row, column, rows, columns), optional
        The rectangle of cells to draw a frame around: its first row and column, its height and width in cells.
    limit : float, optional
        Magnitude with full colour; by default the largest magnitude in ``values``.
    """
    values = np.asarray(values, float)
    limit = limit or max(np.abs(values).max(), 1e-12)
    ax.imshow(values, cmap="RdBu_r", vmin=-1.4 * limit, vmax=1.4 * limit)
    for (row, column), value in np.ndenumerate(values):
        ax.text(column, row, f"{round(value, 3) + 0.0:.4g}", ha="center", va="center",
                color="white" if abs(value) > 0.8 * limit else "black")
    rows, columns = values.shape
    ax.set_xticks(np.arange(-0.5, columns), labels=[])
    ax.set_yticks(np.arange(-0.5, rows), labels=[])
    ax.grid(color="white", linewidth=1.5)
    ax.tick_params(length=0)
    ax.spines[:].set_visible(False)
    ax.set_title(title)
    if frame:
        row, column, height, width = frame
        ax.add_patch(Rectangle((column - 0.5, row - 0.5), width, height, fill=False, edgecolor="black", linewidth=2.5,
                               clip_on=False, zorder=3))


@dataclass
class Node:
    """A value or an operation of a graph: where it stands, what it is called, its value and its gradient."""

    at: tuple[float, float]
    text: str
    value: str = ""
    gradient: str = ""
    operation: bool = False


def draw_graph(ax: Axes, nodes: dict[str, Node], edges: list[tuple[str, str]]) -> None:
    """Draw a graph: values above the boxes in blue, going forwards; gradients below in orange, coming back.

    Parameters
    ----------
    ax : matplotlib Axes
    nodes : dict of Node
        Places are in inches, from the lower left corner; a box is 0.8 wide.
    edges : list of (name, name)
        Each from a node to the node that uses it.
    """
    width, height = (max(node.at[axis] for node in nodes.values()) for axis in (0, 1))
    ax.set(xlim=(-0.6, width + 0.6), ylim=(-0.5, height + 0.5), aspect="equal")
    ax.axis("off")
    for tail, head in edges:
        ax.add_patch(FancyArrowPatch(nodes[tail].at, nodes[head].at, arrowstyle="-|>", mutation_scale=11, color=GREY,
                                     linewidth=1.1, shrinkA=20, shrinkB=22 if nodes[head].operation else 29))
    for node in nodes.values():
        x, y = node.at
        half = 0.17 if node.operation else 0.32
        ax.add_patch(FancyBboxPatch((x - half, y - 0.11), 2 * half, 0.22, boxstyle="round,pad=0.05", ec=INK, zorder=2,
                                    fc=PAPER if node.operation else "white"))
        ax.text(x, y, node.text, ha="center", va="center_baseline", zorder=3)
        sides = (node.value, y + 0.18, "bottom", BLUE), (node.gradient, y - 0.19, "top", ORANGE)
        for words, place, side, colour in sides:
            ax.text(x, place, words, ha="center", va=side, color=colour, fontsize=LABEL, zorder=3,
                    bbox={"fc": "white", "ec": "none", "pad": 0.5})
