"""One look for all pictures: colours that colour-blind readers can tell apart, sizes of letters, dots for each inch."""

import io

INK, GREY, PAPER = "#333333", "#6b7280", "#f3f4f6"
BLUE, ORANGE, GREEN, PURPLE = "#0072B2", "#D55E00", "#009E73", "#AA4499"
TITLE, LABEL, SMALL = 11, 9, 8   # points
DPI = 130


def figure(width, height, title=""):
    """Return an empty figure of so many inches that belongs to no window, with a title at its left."""
    from matplotlib.figure import Figure

    empty = Figure(figsize=(width, height), layout="constrained")
    if title:
        empty.suptitle(title, fontsize=TITLE, color=INK, weight="bold", x=0.01, ha="left")
    return empty


def png(picture):
    """Return a figure as the bytes of a PNG file."""
    buffer = io.BytesIO()
    picture.savefig(buffer, format="png", dpi=DPI)
    return buffer.getvalue()


def plain(axes, grid=True):
    """Give axes small letters, no frame at the top and the right, and a faint grid."""
    axes.spines[["top", "right"]].set_visible(False)
    axes.tick_params(labelsize=SMALL)
    axes.title.set(fontsize=LABEL + 1, color=INK)
    for axis in (axes.xaxis, axes.yaxis):
        axis.label.set(fontsize=LABEL, color=INK)
    if grid:
        axes.grid(alpha=0.25, linewidth=0.5)
