"""Figures and examples of the notebooks.

Arrays as grids of values, the SE block with its two gradient paths, an example image with example filters, and the
source of an op.
"""

import inspect
from collections.abc import Callable
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.patches import FancyArrowPatch, FancyBboxPatch, Rectangle

from npse.support.style import BLUE, INK, ORANGE
from npse.types import Array

DIRECT, SQUEEZE = BLUE, ORANGE


class Source:
    """The source code of functions of the installed package; a notebook shows it if it ends a cell."""

    def __init__(self, *functions: Callable[..., Any]) -> None:
        self._text = "\n\n\n".join(inspect.getsource(function).rstrip() for function in functions)

    def __repr__(self) -> str:
        return self._text

    def _repr_html_(self) -> str:
        """Return highlighted code whose lines scroll: JupyterLab breaks lines of Markdown code within words."""
        from pygments import highlight
        from pygments.formatters import HtmlFormatter
        from pygments.lexers import PythonLexer

        page = HtmlFormatter(noclasses=True, nobackground=True, prestyles="white-space: pre; overflow-x: auto")
        return highlight(self._text, PythonLexer(), page)

    def _repr_markdown_(self) -> str:
        return f"```python\n{self._text}\n```"


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
    ax.set_title(title, fontsize=10)
    if frame:
        row, column, height, width = frame
        ax.add_patch(Rectangle((column - 0.5, row - 0.5), width, height, fill=False, edgecolor="black", linewidth=2.5,
                               clip_on=False, zorder=3))


def draw_block(ax: Axes) -> None:
    """Draw the data flow of the SE block: the forward pass in grey, the two paths of the gradient to u in colour."""
    ax.set(xlim=(0, 12), ylim=(-0.2, 5.6))
    ax.axis("off")
    boxes = {"u": (1, 1.6, "$u$\n(N, H, W, C)"), "z": (3.9, 4.4, "$z$\n(N, C)"), "s": (7.6, 4.4, "$s$\n(N, C)"),
             "y": (10.9, 1.6, "$y = s \\cdot u$\n(N, H, W, C)")}
    for x, y, text in boxes.values():
        ax.add_patch(FancyBboxPatch((x - 0.85, y - 0.55), 1.7, 1.1, boxstyle="round,pad=0.08", fc="white", ec=INK))
        ax.text(x, y, text, ha="center", va="center")
    ax.text(7.6, 1.6, "$\\odot$", ha="center", va="center", fontsize=26, color=INK)

    def arrow(tail: tuple[float, float], head: tuple[float, float], colour: str, text: str,
              at: tuple[float, float]) -> None:
        ax.add_patch(FancyArrowPatch(tail, head, arrowstyle="-|>", mutation_scale=15, color=colour, linewidth=2,
                                     shrinkA=0, shrinkB=0))
        ax.text(*at, text, color=colour, ha="center", va="center", fontsize=10)

    arrow((1.3, 2.35), (2.9, 4.35), INK, "squeeze (2)", (1.35, 3.6))
    arrow((4.9, 4.65), (6.6, 4.65), INK, "excite (3)", (5.75, 4.95))
    arrow((7.45, 3.75), (7.45, 1.95), INK, "scale (4)", (6.7, 2.9))
    arrow((2.0, 1.75), (7.2, 1.75), INK, "as it is", (4.6, 2.0))
    arrow((8.0, 1.75), (9.9, 1.75), INK, "", (9, 2))

    arrow((9.9, 1.3), (8.0, 1.3), INK, "$dy$", (9, 1.0))
    arrow((7.2, 1.3), (2.0, 1.3), DIRECT, "direct path:  $dy \\cdot s$", (4.6, 0.95))
    arrow((7.8, 1.95), (7.8, 3.75), SQUEEZE, "$ds = \\sum_{ij} dy \\cdot u$", (9.0, 2.9))
    arrow((6.6, 4.15), (4.9, 4.15), SQUEEZE, "$dz$", (5.75, 3.85))
    arrow((3.2, 3.75), (1.75, 2.35), SQUEEZE, "squeeze path:  $dz / (HW)$", (4.1, 2.75))
    ax.text(1, 0.35, "$du$ = sum of both", ha="center", va="center", fontsize=10)


def example_picture(colour: tuple[float, float, float] = (0.9, 0.15, 0.1), centre: tuple[float, float] = (16, 16),
                    size: int = 40) -> Array:
    """Return an RGB image (1, size, size, 3) in 0..1: a coloured disc and a grey bar on dark green."""
    rows, columns = np.mgrid[:size, :size]
    picture = np.empty((size, size, 3))
    picture[:] = 0.1, 0.25, 0.15
    picture[size - 9:size - 5, 5:size - 5] = 0.6, 0.6, 0.6
    picture[np.hypot(rows - centre[0], columns - centre[1]) < size / 5] = colour
    return picture[None]


def example_filters() -> tuple[Array, tuple[str, ...]]:
    """Return four filters (3, 3, 3, 4) made by hand, and their names: two for edges, one for a colour, a blur."""
    w = np.zeros((3, 3, 3, 4))
    edge = np.array([[1, 2, 1], [0, 0, 0], [-1, -2, -1]]) / 12
    w[..., 0] = edge[:, :, None]                                  # the same for red, green and blue
    w[..., 1] = edge.T[:, :, None]
    w[1, 1, :, 2] = 1, -0.5, -0.5                                 # the centre only: red minus the mean of the rest
    w[..., 3] = 1 / 27
    return w, ("horizontal edges", "vertical edges", "redness", "blur")
