"""Pictures of page 6: channels before and after batch norm, its graph, its Jacobian, and the residual join."""

import numpy as np
from matplotlib.figure import Figure

from npse.notebook.examples import example_filters, example_picture
from npse.notebook.grids import Node, draw_graph, draw_grid
from npse.notebook.picture import picture, subplots
from npse.reference import batch_norm, conv2d
from npse.support.style import BLUE, GREY, INK, ORANGE
from npse.types import Array


def example_maps() -> tuple[Array, tuple[str, ...]]:
    """Return the maps (3, 40, 40, 4) that four filters make of three noisy pictures, and the names of the filters."""
    pictures = np.concatenate([example_picture(), example_picture(centre=(13, 26)),
                               example_picture(colour=(0.9, 0.8, 0.1), radius=11)])
    pictures += 0.08 * np.random.default_rng(0).normal(size=pictures.shape)
    filters, names = example_filters()
    return conv2d(pictures, filters, padding=1), names


@picture("Histograms of four channels. Before batch norm they have different centres and widths; after it all have "
         "mean 0 and deviation 1.")
def before_and_after(x: Array, y: Array, names: tuple[str, ...]) -> Figure:
    """Draw the values of each channel before and after batch norm."""
    figure, axes = subplots(2, 4, 3.6)
    for row, array, colour, name in ((axes[0], x, GREY, "before"), (axes[1], y, BLUE, "after")):
        for c, ax in enumerate(row):
            values = array[..., c].ravel()
            ax.hist(values, bins=40, color=colour)
            ax.axvline(values.mean(), color=ORANGE, linewidth=1.5)
            ax.set(yscale="log", xlim=(-1, 1) if array is x else (-6, 6))
            ax.tick_params(axis="y", which="both", left=False, labelleft=False)
            ax.set_title(names[c] if array is x else f"mean {abs(values.mean()):.0f}, deviation {values.std():.0f}",
                         fontsize=9)
        row[0].set_ylabel(f"{name}\npixels, log scale")
    return figure


@picture("Histogram of a normalized channel after gamma and beta; the part that a ReLU lets through is marked.")
def scaled_and_shifted(gamma: float, beta: float) -> Figure:
    """Draw a channel after batch norm with a scale and a shift, and the share that is above zero."""
    x, _ = example_maps()
    y = batch_norm(x[..., 3:], np.array([gamma]), np.array([beta]))[0].ravel()
    figure, ax = subplots(1, 1, 2.6, width=5.5)
    bins = np.linspace(-8, 8, 81)
    ax.hist(y[y <= 0], bins=bins, color="white", edgecolor=GREY, hatch="////", linewidth=0.5,
            label="shut by the ReLU")
    ax.hist(y[y > 0], bins=bins, color=BLUE, label="passes")
    ax.axvline(0, color=INK, linewidth=1)
    ax.set(yscale="log", xlabel="y", ylabel="pixels, log scale", xlim=(-8, 8),
           title=f"gamma {gamma:.1f}, beta {beta:.1f}: {np.mean(y > 0):.0%} of the pixels pass")
    ax.legend()
    return figure


@picture("Graph of batch norm for four numbers: x minus its mean gives c; c is used for the variance and for the "
         "result; values above, gradients below.")
def staged(line: int = 7) -> Figure:
    """Draw the graph of the pencil example with the gradients of the first lines of the backward pass, 0 to 7."""
    def known(first: int, gradient: str, second: int = 9, more: str = "") -> str:
        return more if line >= second else gradient if line >= first else ""

    figure, ax = subplots(1, 1, 2.9)
    nodes = {
        "x": Node((0, 1.7), "$x$", "(9, 3, 3, 1)", known(7, "(1/3, -2/3, -2/3, 1)")),
        "mean": Node((0.7, 0.4), "ave", operation=True),
        "m": Node((1.7, 0.4), r"$\mu$", "4", known(6, "-4")),
        "-": Node((2.0, 1.7), "-", operation=True),
        "c": Node((3.1, 1.7), "$c$", "(5, -1, -1, -3)",
                  known(2, "(3, 0, 0, 1)", 5, "(3, 0, 0, 1) + (-5/3, 1/3, 1/3, 1)\n= (4/3, 1/3, 1/3, 2)")),
        "square": Node((3.1, 0), "ave²", operation=True),
        "v": Node((4.0, 0), "$v$", "9", known(4, "-2/3")),
        "root": Node((4.9, 0), "1/√", operation=True),
        "r": Node((5.8, 0), "$r$", "1/3", known(3, "36")),
        "times": Node((5.8, 1.7), "×", operation=True),
        "n": Node((6.9, 1.7), r"$\hat{x}$", "(5/3, -1/3, -1/3, -1)", known(1, "(9, 0, 0, 3)")),
    }
    draw_graph(ax, nodes, [("x", "mean"), ("mean", "m"), ("x", "-"), ("m", "-"), ("-", "c"), ("c", "square"),
                           ("square", "v"), ("v", "root"), ("root", "r"), ("r", "times"), ("c", "times"),
                           ("times", "n")])
    return figure


@picture("The Jacobian of four normalized numbers as a sum of three matrices: the identity, minus a quarter "
         "everywhere, minus a product of xhat with itself.")
def jacobian(xhat: Array) -> Figure:
    """Draw the three parts of the Jacobian of the pencil example (without the factor gamma r) and their sum."""
    count = len(xhat)
    parts = np.eye(count), -np.ones((count, count)) / count, -np.outer(xhat, xhat) / count
    titles = "as if constant", "through the mean", "through the variance"
    figure, axes = subplots(1, 4, 2.5)
    for ax, part, title in zip(axes, (*parts, np.sum(parts, axis=0)), (*titles, "the sum"), strict=True):
        draw_grid(ax, part.round(2), title, limit=1)
    return figure


@picture("Graph of the join: the branch u times its gate s, plus the shortcut x, then a ReLU. The gradient passes "
         "where the sum is positive, and goes both ways.")
def join() -> Figure:
    """Draw the graph of the residual join with the numbers of the pencil example."""
    figure, ax = subplots(1, 1, 2.7)
    nodes = {
        "u": Node((0, 1.6), "$u$", "(4, -6, 2, 0)", "(1/2, 0, 0, -1/2)"),
        "s": Node((0, 0.6), "$s$", "1/2", "4"),
        "times": Node((1.5, 1.3), "×", operation=True),
        "su": Node((2.7, 1.3), "$s u$", "(2, -3, 1, 0)", "(1, 0, 0, -1)"),
        "x": Node((2.7, 0), "$x$", "(1, 1, -3, 2)", "(1, 0, 0, -1)"),
        "plus": Node((3.9, 0.8), "+", operation=True),
        "a": Node((4.9, 0.8), "$a$", "(3, -2, -2, 2)", "(1, 0, 0, -1)"),
        "relu": Node((5.9, 0.8), r"$\delta$", operation=True),
        "y": Node((6.8, 0.8), "$y$", "(3, 0, 0, 2)", "(1, 5, 2, -1)"),
    }
    draw_graph(ax, nodes, [("u", "times"), ("s", "times"), ("times", "su"), ("su", "plus"), ("x", "plus"),
                           ("plus", "a"), ("a", "relu"), ("relu", "y")])
    return figure


@picture("Length of the gradient after each of 30 blocks, logarithmic: with shortcuts it grows slowly; without, "
         "nothing is left.")
def through_blocks(sizes: dict[str, list[float]]) -> Figure:
    """Draw the length of the gradient at the input of each block, counted from the last."""
    figure, ax = subplots(1, 1, 2.8, width=6.5)
    for (name, values), line in zip(sizes.items(), ("-", "--"), strict=True):
        ax.semilogy(range(len(values)), values, linestyle=line, marker=".", label=name)
    ax.set(xlabel="blocks that the gradient has passed", ylabel="its length, first = 1")
    ax.legend()
    ax.grid()
    return figure
