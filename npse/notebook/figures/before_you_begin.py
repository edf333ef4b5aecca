"""Pictures of page 0: two graphs with their gradients, a measured slope, and the axes of a batch."""

import numpy as np
from matplotlib.figure import Figure
from matplotlib.patches import Polygon

from npse.notebook.grids import Node, draw_graph
from npse.notebook.picture import picture, subplots
from npse.support.style import BLUE, INK, ORANGE


@picture("Graph of L = (a b + c) squared: values above each node, gradients below.")
def three_operations() -> Figure:
    """Draw the graph of three operations with a = 2, b = 3, c = -4."""
    figure, ax = subplots(1, 1, 2.7)
    nodes = {
        "a": Node((0, 1.6), "$a$", "2", "12"),
        "b": Node((0, 0.8), "$b$", "3", "8"),
        "c": Node((1.6, 0), "$c$", "-4", "4"),
        "product": Node((1.2, 1.2), "×", operation=True),
        "q": Node((2.2, 1.2), "$q = ab$", "6", "4"),
        "sum": Node((3.2, 0.7), "+", operation=True),
        "r": Node((4.2, 0.7), "$r = q + c$", "2", "4"),
        "square": Node((5.2, 0.7), "( )²", operation=True),
        "L": Node((6.2, 0.7), "$L = r^2$", "4", "1"),
    }
    draw_graph(ax, nodes, [("a", "product"), ("b", "product"), ("product", "q"), ("q", "sum"), ("c", "sum"),
                           ("sum", "r"), ("r", "square"), ("square", "L")])
    ax.set_title("values in blue, going forwards; gradients in orange, coming back")
    return figure


@picture("Graph of a dense layer, a ReLU and a loss: vectors above each node, their gradients of equal length below.")
def one_layer() -> Figure:
    """Draw the graph of the layer with two inputs and three outputs."""
    figure, ax = subplots(1, 1, 1.9)
    nodes = {
        "x": Node((0, 0.9), "$x$", "(2, 1)", "(1, 5)"),
        "w": Node((1.2, 0), "$W$", "", "(2, 1), (0, 0), (4, 2)"),
        "dense": Node((1.2, 0.9), "×", operation=True),
        "a": Node((2.3, 0.9), "$a = Wx$", "(1, -3, 3)", "(1, 0, 2)"),
        "relu": Node((3.3, 0.9), r"$\delta$", operation=True),
        "h": Node((4.4, 0.9), r"$h = \delta(a)$", "(1, 0, 3)", "(1, -1, 2)"),
        "loss": Node((5.4, 0.9), "loss", operation=True),
        "L": Node((6.4, 0.9), "$L$", "3", "1"),
    }
    draw_graph(ax, nodes, [("x", "dense"), ("w", "dense"), ("dense", "a"), ("a", "relu"), ("relu", "h"), ("h", "loss"),
                           ("loss", "L")])
    return figure


@picture("The curve of L against a near 2, its tangent of slope 12, and the line through two points at distance h.")
def measured_slope(h: float = 0.8) -> Figure:
    """Draw L = (3 a - 4)^2 with its tangent at 2 and the line through 2 - h and 2 + h."""
    def loss(a: np.ndarray | float) -> np.ndarray | float:
        return (3 * a - 4) ** 2 + 2 * (a - 2) ** 3                     # the cube changes value and slope at 2 by 0

    figure, ax = subplots(1, 1, 3.2, width=5.5)
    a = np.linspace(0.9, 3.1, 200)
    slope = (loss(2 + h) - loss(2 - h)) / (2 * h)
    ax.plot(a, loss(a), color=INK, label="L")
    ax.plot(a, 4 + 12 * (a - 2), color=BLUE, linestyle="--", label="tangent, slope 12")
    ax.plot(a, loss(2 - h) + slope * (a - 2 + h), color=ORANGE, label=f"through two points, slope {slope:.4f}")
    ax.plot([2 - h, 2 + h], [loss(2 - h), loss(2 + h)], "o", color=ORANGE)
    ax.set(xlabel="a", ylabel="L", ylim=(-8, 30), title=f"a step of h = {h:.2f} to each side")
    ax.legend()
    ax.grid()
    return figure


@picture("Two pictures of a batch; each is a stack of three sheets, one for each channel, of height H and width W.")
def axes_of_a_batch() -> Figure:
    """Draw an array (N, H, W, C) as pictures made of sheets made of cells."""
    figure, ax = subplots(1, 1, 3.5)
    height, width, channels = 4, 5, 3
    colours = ("#d9534f", "#5cb85c", "#428bca")
    for n in range(2):
        left = 9.5 * n
        for c in reversed(range(channels)):
            shift = 0.9 * c
            for i in range(height):
                for j in range(width):
                    x, y = left + shift + j, shift - i
                    ax.add_patch(Polygon([(x, y), (x + 1, y), (x + 1, y - 1), (x, y - 1)], fc=colours[c],
                                         ec="white", alpha=0.9))
            ax.text(left + shift + width + 0.15, shift - height + 0.5, f"c = {c}", va="center")
        ax.text(left + width / 2, -height - 0.35, "j = 0, 1, ..., W - 1", ha="center", va="top")
        ax.text(left - 0.3, -height / 2, "i = 0, ..., H - 1", ha="right", va="center", rotation=90)
        ax.text(left + 3.4, 2.3, f"picture n = {n}", ha="center", weight="bold")
    ax.plot(1.5, -2.5, "o", color="white")
    ax.annotate("x[0, 2, 1, 0]", (1.5, -2.5), (-1.2, -5.6), arrowprops={"arrowstyle": "-", "color": INK}, ha="left")
    ax.set(xlim=(-1.5, 18.5), ylim=(-6, 3), aspect="equal")
    ax.axis("off")
    return figure
