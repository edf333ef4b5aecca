"""Pictures of page 4: the block with both paths of the gradient, as data flow, as numbers, as slopes, as a matrix."""

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import FancyArrowPatch, FancyBboxPatch

from npse.notebook.grids import draw_grid
from npse.notebook.picture import DIRECT, SQUEEZE, picture, subplots
from npse.reference import excite, se, se_backward, squeeze
from npse.support.style import INK
from npse.types import Array


def _draw_block(ax: Axes) -> None:
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
        ax.text(*at, text, color=colour, ha="center", va="center")

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
    ax.text(1, 0.35, "$du$ = sum of both", ha="center", va="center")


@picture("Data flow of the block: u goes to y directly and through squeeze and excitation; gradients return both ways.")
def data_flow() -> Figure:
    """Draw the block, and the two paths of the gradient to u."""
    figure, ax = subplots(1, 1, 3.9)
    _draw_block(ax)
    return figure


@picture("The two maps, and the same maps times their gates.")
def recalibrated(u: Array, s: Array, y: Array) -> Figure:
    """Draw the maps of the pencil example before and after the scaling."""
    figure, axes = subplots(1, 4, 2.2)
    for c in (0, 1):
        draw_grid(axes[2 * c], u[0, :, :, c], f"$u_{c + 1}$", limit=8)
        draw_grid(axes[2 * c + 1], y[0, :, :, c], f"$y_{c + 1} = {s[0, c]:.2f} \\; u_{c + 1}$", limit=8)
    return figure


@picture("For both channels the gradient of the direct path, that of the squeeze path, and their sum.")
def both_paths(direct: Array, du: Array) -> Figure:
    """Draw the two parts of du and their sum, in the colours of the paths."""
    figure, axes = subplots(2, 3, 4.4, width=6.5)
    parts = (direct, "direct", DIRECT), (du - direct, "squeeze", SQUEEZE), (du, "$du$, the sum", INK)
    for c, row in enumerate(axes):
        for ax, (part, title, colour) in zip(row, parts, strict=True):
            draw_grid(ax, part[0, :, :, c], f"channel {c + 1}: {title}", limit=3.2)
            ax.title.set_color(colour)
    return figure


@picture("The loss as a curve over one pixel of u, with two lines: only the slope of both paths together is a tangent.")
def tangent(value: float, gate: float) -> Figure:
    """Draw the loss over the upper right pixel of channel 2, and its slope with and without the squeeze path.

    ``gate`` multiplies W2: with 0 all gates are 1/2 and do not depend on u.
    """
    ln3 = np.log(3) * gate
    w1, w2 = np.array([[1.0, -1.0], [-1.0, 1.0]]), np.array([[ln3, 2 * gate], [-ln3, gate]])
    dy = np.array([[[[2.0, 1], [1, 4]], [[1, 2], [-1, -1]]]])             # (1, 2, 2, 2), as on the page

    def maps(pixel: float) -> Array:
        return np.array([[[[4, 0], [0, pixel]], [[8, 4], [0, 8]]]], float)

    def loss(pixel: float) -> float:
        return float(np.sum(se(maps(pixel), w1, w2) * dy))

    u = maps(value)
    both = se_backward(dy, u, w1, w2)[0][0, 0, 1, 1]
    direct = (dy * excite(squeeze(u), w1, w2)[:, None, None, :])[0, 0, 1, 1]
    pixels = np.linspace(-12, 12, 121)
    figure, ax = subplots(1, 1, 3.2, width=6)
    ax.plot(pixels, [loss(pixel) for pixel in pixels], color=INK, label="$L$")
    near = np.array([-4, 4])
    ax.plot(value + near, loss(value) + direct * near, color=DIRECT, linestyle="--",
            label=f"direct path alone: {direct:.2f}")
    ax.plot(value + near, loss(value) + both * near, color=SQUEEZE, label=f"both paths: {both:.2f}")
    ax.plot(value, loss(value), "o", color=INK)
    ax.set(xlabel="the pixel $u_2(1, 2)$", ylabel="loss", title="Which line is a tangent?")
    ax.legend(fontsize=9)
    ax.grid()
    return figure


@picture("The Jacobian of the block: a diagonal matrix, the direct path, plus a full one, the squeeze path.")
def jacobian(direct: Array, through_squeeze: Array, whole: Array) -> Figure:
    """Draw the two parts of the Jacobian (8, 8) of the pencil example and their sum."""
    figure, axes = subplots(1, 3, 3.2)
    labels = [f"$u_{c}({i},{j})$" for c in (1, 2) for i in (1, 2) for j in (1, 2)]
    parts = (direct, "direct", DIRECT), (through_squeeze, "squeeze", SQUEEZE), (whole, "Jacobian: the sum", INK)
    for ax, (part, title, colour) in zip(axes, parts, strict=True):
        image = ax.imshow(part, cmap="RdBu_r", vmin=-1.2, vmax=1.2)
        ax.set_title(title, color=colour)
        ax.set_xticks(range(8), labels, rotation=90)
        ax.set_yticks(range(8), [label.replace("u", "y") for label in labels])
        ax.axhline(3.5, color=INK, linewidth=0.8)
        ax.axvline(3.5, color=INK, linewidth=0.8)
    figure.colorbar(image, ax=axes, shrink=0.8, label="change of y with u")
    return figure
