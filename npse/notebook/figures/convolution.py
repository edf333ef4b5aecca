"""Pictures of page 1: the maps of four filters, the pencil example, a graph, and what goes wrong."""

import numpy as np
from matplotlib.figure import Figure

from npse.notebook.grids import Node, draw_graph, draw_grid
from npse.notebook.picture import Picture, picture, subplots
from npse.reference import conv2d, conv2d_backward_x
from npse.types import Array


@picture("A picture with a red disc, and its maps: edges light up at edges, redness at the disc.")
def maps_of_filters(x: Array, maps: Array, names: tuple[str, ...]) -> Figure:
    """Draw an image and the maps that filters make of it."""
    figure, axes = subplots(1, 5, 2.1)
    axes[0].imshow(x[0])
    axes[0].set_title("$x$")
    for k, ax in enumerate(axes[1:]):
        image = ax.imshow(maps[0, :, :, k], cmap="RdBu_r", vmin=-0.8, vmax=0.8)
        ax.set_title(f"$u_{k + 1}$: {names[k]}".replace(" edges", "\nedges"))
    for ax in axes:
        ax.axis("off")
    figure.colorbar(image, ax=axes, fraction=0.03, pad=0.01, shrink=0.75, label="value")
    return figure


@picture("Equation (1) with numbers: for each filter two channels, two kernels, and the map that is their sum.")
def equation_with_numbers(x: Array, w: Array, u: Array) -> Figure:
    """Draw the pencil example, a row for each filter."""
    figure, axes = subplots(2, 5, 3.7)
    for k, row in enumerate(axes):
        for c in (0, 1):
            draw_grid(row[2 * c], x[0, :, :, c], f"$x^{c + 1}$", frame=(0, 1, 2, 2), limit=8)
            draw_grid(row[2 * c + 1], w[:, :, c, k], f"$v_{k + 1}^{c + 1}$", limit=8)
        draw_grid(row[4], u[0, :, :, k], f"$u_{k + 1}$", frame=(0, 1, 1, 1), limit=8)
        for ax in row[[1, 3, 4]]:
            ax.set(xlim=(-1, 2), ylim=(2, -1))                    # one scale for all pixels
    figure.suptitle("$u_k = v_k^1 * x^1 + v_k^2 * x^2$, a row for each filter. Framed: a window and its pixel")
    return figure


@picture("One channel, a kernel and the map that it makes, with one window framed.")
def _window(place: int, kernel: list[list[float]]) -> Figure:
    x = np.array([[0, 2, 2], [0, 2, 0], [3, 3, 3]], float)
    w = np.array(kernel)
    u = conv2d(x[None, :, :, None], w[:, :, None, None])[0, :, :, 0]
    a, b = divmod(place, 2)
    figure, axes = subplots(1, 3, 2.6, width=6.5)
    draw_grid(axes[0], x, "$x^1$", frame=(a, b, 2, 2), limit=8)
    draw_grid(axes[1], w, "kernel", limit=8)
    draw_grid(axes[2], u, "$u$", frame=(a, b, 1, 1), limit=8)
    for ax in axes[1:]:
        ax.set(xlim=(-1, 2), ylim=(2, -1))
    terms = " + ".join(f"({w[i, j]:.4g}·{x[a + i, b + j]:.0f})" for i, j in np.ndindex(2, 2))
    figure.suptitle(f"u[{a}, {b}] = {terms} = {u[a, b]:.4g}")
    return figure


def window(place: int, upper_left: float, upper_right: float, lower_left: float, lower_right: float) -> Picture:
    """Draw the first channel of the pencil example under a kernel of the reader's own; places count from 0 to 3."""
    return _window(place, [[upper_left, upper_right], [lower_left, lower_right]])


@picture("Graph of a convolution of three pixels with two weights: each weight and the middle pixel are used twice.")
def two_windows() -> Figure:
    """Draw the graph of u1 = w1 x1 + w2 x2 and u2 = w1 x2 + w2 x3."""
    figure, ax = subplots(1, 1, 4.3, width=7)
    nodes = {
        "x1": Node((0, 3.2), "$x_1$", "1", "2"),
        "w1": Node((0, 2.4), "$w_1$", "2", "1 + 4 = 5"),
        "x2": Node((0, 1.6), "$x_2$", "2", "-1 + 4 = 3"),
        "w2": Node((0, 0.8), "$w_2$", "-1", "2 + 6 = 8"),
        "x3": Node((0, 0), "$x_3$", "3", "-2"),
        "11": Node((1.9, 2.8), "$w_1 x_1$", "2", "1"),
        "12": Node((1.9, 2.0), "$w_1 x_2$", "4", "2"),
        "22": Node((1.9, 1.2), "$w_2 x_2$", "-2", "1"),
        "23": Node((1.9, 0.4), "$w_2 x_3$", "-3", "2"),
        "u1": Node((3.9, 2.2), "$u_1$", "2 - 2 = 0", "1"),
        "u2": Node((3.9, 1.0), "$u_2$", "4 - 3 = 1", "2"),
        "L": Node((5.4, 1.6), "$L$"),
    }
    draw_graph(ax, nodes, [("x1", "11"), ("w1", "11"), ("w1", "12"), ("x2", "12"), ("x2", "22"), ("w2", "22"),
                           ("w2", "23"), ("x3", "23"), ("11", "u1"), ("22", "u1"), ("12", "u2"), ("23", "u2"),
                           ("u1", "L"), ("u2", "L")])
    return figure


@picture("Number of 3 x 3 windows that cover each pixel of a 6 x 6 map, for three choices of stride and padding.")
def windows_of_each_pixel() -> Figure:
    """Draw in how many windows each pixel lies: the gradient of x when every window sends back a 1."""
    ones = np.ones((3, 3, 1, 1))
    figure, axes = subplots(1, 3, 3.0)
    for ax, (stride, padding) in zip(axes, [(1, 0), (1, 1), (2, 0)], strict=True):
        size = (6 + 2 * padding - 3) // stride + 1
        windows = conv2d_backward_x(np.ones((1, size, size, 1)), ones, (1, 6, 6, 1), stride, padding)
        draw_grid(ax, windows[0, :, :, 0], f"stride {stride}, padding {padding}", limit=12)
    figure.suptitle("In how many 3 x 3 windows is each pixel of a 6 x 6 map?")
    return figure


@picture("The gradient with the kernel turned, and with the kernel not turned: other numbers, the same sum.")
def turned_and_not(right: Array, wrong: Array) -> Figure:
    """Draw the first channel of two gradients side by side."""
    figure, axes = subplots(1, 2, 2.5, width=6)
    draw_grid(axes[0], right[0, :, :, 0], "$dx^1$, kernel turned: right", limit=5)
    draw_grid(axes[1], wrong[0, :, :, 0], "$dx^1$, kernel not turned: wrong", limit=5)
    return figure
