"""The common style of all pictures: colours for colour-blind readers too, font sizes, dots per inch."""

import io
import warnings
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

INK, GREY, PAPER = "#333333", "#6b7280", "#f3f4f6"
BLUE, ORANGE, GREEN, PURPLE = "#0072B2", "#D55E00", "#009E73", "#AA4499"
TITLE, LABEL, SMALL = 11, 9, 8   # font sizes in points
DPI = 130                        # dots per inch


def figure(width: float, height: float, title: str = "") -> "Figure":
    """Return an empty figure, width by height in inches, that needs no display; its title stands at the left."""
    from matplotlib.figure import Figure

    empty = Figure(figsize=(width, height), layout="constrained")
    if title:
        empty.suptitle(title, fontsize=TITLE, color=INK, weight="bold", x=0.01, ha="left")
    return empty


def png(picture: "Figure") -> bytes:
    """Return a figure as the bytes of a PNG file. Letters that the font lacks become boxes, without a warning."""
    buffer = io.BytesIO()
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Glyph .* missing from")
        picture.savefig(buffer, format="png", dpi=DPI)
    return buffer.getvalue()


def plain(axes: "Axes", grid: bool = True) -> None:
    """Style axes: small font, no frame at the top and at the right, and a faint grid if wanted."""
    axes.spines[["top", "right"]].set_visible(False)
    axes.tick_params(labelsize=SMALL)
    axes.title.set(fontsize=LABEL + 1, color=INK)
    for axis in (axes.xaxis, axes.yaxis):
        axis.label.set(fontsize=LABEL, color=INK)
    if grid:
        axes.grid(alpha=0.25, linewidth=0.5)
