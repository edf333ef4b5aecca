"""Pictures of page 3: two non-linearities, the pencil example as matrices and as a graph, gates that are asleep."""

import numpy as np
from matplotlib.figure import Figure

from npse.notebook.grids import Node, draw_graph, draw_grid
from npse.notebook.picture import picture, subplots
from npse.reference import dense, excite, relu, sigmoid
from npse.support.style import BLUE, INK, ORANGE
from npse.types import Array

LN3 = np.log(3)
W1 = np.array([[1.0, -1.0], [-1.0, 1.0]])
W2 = np.array([[LN3, 2.0], [-LN3, 1.0]])


@picture("The ReLU with its kink at 0, the sigmoid between 0 and 1, and the slope of the sigmoid, at most a quarter.")
def nonlinearities() -> Figure:
    """Draw the ReLU, the sigmoid, and the sigmoid's slope with the two gates of the pencil example."""
    a = np.linspace(-6, 6, 241)
    figure, axes = subplots(1, 3, 2.5)
    axes[0].plot(a, relu(a), color=INK)
    axes[0].set_title(r"ReLU $\delta(a)$, a kink at 0")
    axes[1].plot(a, sigmoid(a), color=ORANGE)
    axes[1].plot([LN3, -LN3], [3 / 4, 1 / 4], "o", color=INK)
    axes[1].set_title(r"sigmoid $s = \sigma(a)$")
    axes[2].plot(a, sigmoid(a) * (1 - sigmoid(a)), color=BLUE)
    axes[2].plot([LN3, -LN3], [3 / 16, 3 / 16], "o", color=INK)
    axes[2].set_title(r"slope $\sigma'(a) = s (1 - s)$")
    for ax in axes:
        ax.set_xlabel("a")
        ax.grid()
    return figure


@picture("From left to right: z, W1, hidden units, W2, gates, as grids of numbers.")
def matrices(z: Array, w1: Array, w2: Array) -> Figure:
    """Draw the excitation of one image as five small matrices."""
    h = relu(dense(z, w1))
    figure, axes = subplots(1, 5, 2.2, width_ratios=[1, 2, 1, 2, 1])
    titles = "$z$", "$W_1$", r"$h = \delta(W_1 z)$", "$W_2$", r"$s = \sigma(W_2 h)$"
    for ax, values, title in zip(axes, (z.T, w1, h.T, w2, excite(z, w1, w2).T), titles, strict=True):
        draw_grid(ax, values, title, limit=3)
    return figure


@picture("z, hidden units and gates of the pencil example, and both gates as curves while z1 changes.")
def gates(z_1: float, z_2: float) -> Figure:
    """Draw the gates of the pencil example for a descriptor that the reader chooses."""
    z = np.array([[z_1, z_2]])
    figure, axes = subplots(1, 4, 2.4, width_ratios=[1, 1, 1, 3])
    parts = z, relu(dense(z, W1)), excite(z, W1, W2)
    for ax, values, title in zip(axes, parts, ("$z$", "$h$", "$s$"), strict=False):
        draw_grid(ax, values.T, title, limit=6)
    some = np.linspace(-6, 6, 121)
    curves = excite(np.stack([some, np.full_like(some, z_2)], axis=1), W1, W2)
    for c, colour in enumerate((BLUE, ORANGE)):
        axes[3].plot(some, curves[:, c], color=colour, label=f"$s_{c + 1}$")
        axes[3].plot(z_1, parts[2][0, c], "o", color=colour)
    axes[3].set(xlabel="$z_1$", ylim=(-0.05, 1.05), title=f"gates, for $z_2$ = {z_2:.1f}")
    axes[3].legend()
    axes[3].grid()
    return figure


@picture("Graph of the excitation: values of the pencil example above, their gradients below.")
def two_layers() -> Figure:
    """Draw the graph of the excitation with the numbers of the pencil example."""
    figure, ax = subplots(1, 1, 2.4)
    nodes = {
        "z": Node((0, 1.1), "$z$", "(3, 2)", "6 ln 3 · (1, -1)"),
        "w1": Node((1.0, 0), "$W_1$", "", "(18 ln 3, 12 ln 3), (0, 0)"),
        "first": Node((1.0, 1.1), "×", operation=True),
        "a1": Node((2.0, 1.1), "$a_1$", "(1, -1)", "(6 ln 3, 0)"),
        "relu": Node((2.85, 1.1), r"$\delta$", operation=True),
        "h": Node((3.7, 1.1), "$h$", "(1, 0)", "(6 ln 3, 3)"),
        "w2": Node((4.65, 0), "$W_2$", "", "(3, 0), (-3, 0)"),
        "second": Node((4.65, 1.1), "×", operation=True),
        "a2": Node((5.6, 1.1), "$a_2$", "(ln 3, -ln 3)", "(3, -3)"),
        "sigmoid": Node((6.45, 1.1), r"$\sigma$", operation=True),
        "s": Node((7.3, 1.1), "$s$", "(3/4, 1/4)", "(16, -16)"),
    }
    draw_graph(ax, nodes, [("z", "first"), ("w1", "first"), ("first", "a1"), ("a1", "relu"), ("relu", "h"),
                           ("h", "second"), ("w2", "second"), ("second", "a2"), ("a2", "sigmoid"), ("sigmoid", "s")])
    return figure


def draw_gates(hidden: int, images: int = 20_000, channels: int = 16) -> Array:
    """Return gates (images, channels) of random descriptors and weights, for a number of hidden units."""
    rng = np.random.default_rng(2)
    z = rng.normal(size=(images, channels))
    w1 = rng.normal(size=(hidden, channels)) * np.sqrt(2 / channels)
    w2 = rng.normal(size=(channels, hidden)) * np.sqrt(2 / hidden)
    return excite(z, w1, w2)


@picture("Histogram of gates: with few hidden units, many gates are exactly one half.")
def sleeping_gates(hidden_units: int) -> Figure:
    """Draw how the gates are distributed, and what share of images has every gate at exactly 1/2."""
    values = draw_gates(hidden_units)
    asleep = (values == 0.5).all(axis=1).mean()
    figure, ax = subplots(1, 1, 2.6, width=6.5)
    ax.hist(values.ravel(), bins=51, range=(0, 1), weights=np.full(values.size, 100 / values.size), color=ORANGE)
    ratio = 16 / hidden_units
    ax.set(title=f"M = {hidden_units}, r = {ratio:.3g}: asleep for {asleep:.1%} of the pictures", xlabel="gate",
           ylabel="% of all gates", yscale="log", ylim=(0.05, 100))
    return figure
