"""Pictures of page 2: three pictures and their descriptors, the graph of an average, equal shares."""

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from npse.notebook.examples import example_filters, example_picture
from npse.notebook.grids import Node, draw_graph, draw_grid
from npse.notebook.picture import picture, subplots
from npse.reference import conv2d, relu, squeeze
from npse.support.style import ORANGE
from npse.types import Array


def _row(axes: list[Axes], x: Array, u: Array, z: Array) -> None:
    """Draw an image, its four maps, and the four averages."""
    axes[0].imshow(x)
    for c in range(4):
        axes[c + 1].imshow(u[:, :, c], cmap="Oranges", vmin=0, vmax=0.8)
    for ax in axes[:5]:
        ax.axis("off")
    axes[5].bar(range(4), z, color=ORANGE)
    axes[5].set(ylim=(0, 0.35), xticks=range(4), xticklabels=[f"$z_{c + 1}$" for c in range(4)])
    for c, value in enumerate(z):
        axes[5].text(c, value, f"{value:.2f}", ha="center", va="bottom", fontsize=8)


def _name(axes: list[Axes], names: tuple[str, ...]) -> None:
    for ax, title in zip(axes, ("x", *(f"$u_{c + 1}$: {name}".replace(" edges", "\nedges") for c, name in
                                       enumerate(names)), "z"), strict=True):
        ax.set_title(title)


@picture("Three pictures, their maps, and the averages of the maps as bars.")
def descriptors(pictures: Array, u: Array, z: Array, names: tuple[str, ...]) -> Figure:
    """Draw a row for each image: the image, its maps, their averages."""
    figure, axes = subplots(len(pictures), 6, 4.6, width_ratios=[1, 1, 1, 1, 1, 1.5])
    for row, *arrays in zip(axes, pictures, u, z, strict=True):
        _row(row, *arrays)
    _name(axes[0], names)
    return figure


@picture("A picture with a disc, its maps, and the averages of the maps as bars.")
def disc(row: int, column: int, radius: int, colour: str) -> Figure:
    """Draw the descriptor of a disc at a place, of a radius in pixels and a colour that the reader chooses."""
    shades = {"red": (0.9, 0.15, 0.1), "blue": (0.1, 0.3, 0.9), "yellow": (0.9, 0.8, 0.1)}
    x = example_picture(shades[colour], (row, column), radius=radius)
    filters, names = example_filters()
    u = relu(conv2d(x, filters, padding=1))
    figure, axes = subplots(1, 6, 2.0, width_ratios=[1, 1, 1, 1, 1, 1.5])
    _row(axes, x[0], u[0], squeeze(u)[0])
    _name(axes, names)
    return figure


@picture("Graph of an average of four pixels: sum 12, average 3; the gradient 8 becomes 2, copied four times.")
def average() -> Figure:
    """Draw the graph of the first channel's average."""
    figure, ax = subplots(1, 1, 3.3, width=6.5)
    nodes = {name: Node((0, 2.4 - 0.8 * place), text, value, "2")
             for place, (name, text, value) in enumerate([("1", "$u(1,1)$", "4"), ("2", "$u(1,2)$", "0"),
                                                          ("3", "$u(2,1)$", "8"), ("4", "$u(2,2)$", "0")])}
    nodes |= {
        "+": Node((1.6, 1.2), "+", operation=True),
        "sum": Node((2.7, 1.2), "sum", "12", "2"),
        "divide": Node((3.8, 1.2), "÷4", operation=True),
        "z": Node((4.9, 1.2), "$z_1$", "3", "8"),
    }
    draw_graph(ax, nodes, [*((str(pixel), "+") for pixel in (1, 2, 3, 4)), ("+", "sum"), ("sum", "divide"),
                           ("divide", "z")])
    return figure


@picture("The two maps, and their gradients: the same share for every pixel of a map.")
def shares(u: Array, du: Array) -> Figure:
    """Draw the maps of the pencil example and their gradients."""
    figure, axes = subplots(1, 4, 2.2)
    draw_grid(axes[0], u[0, :, :, 0], "$u_1$, average 3")
    draw_grid(axes[1], u[0, :, :, 1], "$u_2$, average 2")
    draw_grid(axes[2], du[0, :, :, 0], "$du_1$ for $dz_1 = 8$", limit=4)
    draw_grid(axes[3], du[0, :, :, 1], "$du_2$ for $dz_2 = -4$", limit=4)
    return figure
