"""Pictures of page 8: softmax, descent in a valley, what Muon does to a step, the schedule, curves, predictions."""

from collections.abc import Sequence

import numpy as np
from matplotlib.figure import Figure

from npse.data import Dataset
from npse.notebook.picture import picture, subplots
from npse.reference import sgd, softmax
from npse.reference.muon import as_matrix, orthogonalize
from npse.support.style import BLUE, GREEN, GREY, INK, ORANGE
from npse.training import one_cycle
from npse.types import Array


@picture("Three probabilities as bars, and the gradient of the loss for the three scores: negative for the right "
         "class, positive for the others.")
def probabilities(first: float, second: float, third: float) -> Figure:
    """Draw softmax of three scores, and the gradient of the cross-entropy if the third class is right."""
    p = softmax(np.array([[first, second, third]]))[0]
    gradient = p - np.array([0, 0, 1])
    figure, axes = subplots(1, 2, 2.4, width=6)
    names = [f"class {k + 1}\n{score:.2f}" for k, score in enumerate((first, second, third))]
    for ax, values, colours, title in ((axes[0], p, [BLUE] * 3, "probabilities p"),
                                       (axes[1], gradient, [ORANGE] * 3, "gradient for the scores, p - q")):
        bars = ax.bar(names, values, color=colours)
        ax.bar_label(bars, fmt="%.3f", padding=2)
        ax.axhline(0, color=INK, linewidth=1)
        ax.set_title(title)
    axes[0].set(ylim=(0, 1.15))
    axes[1].set(ylim=(-1.15, 1.15))
    figure.suptitle(f"class 3 is right: loss {-np.log(p[2]):.3f}")
    return figure


@picture("Contours of a long valley with two ways down: plain steps creep along its floor, steps with momentum run "
         "along it.")
def descent(lr: float, momentum: float) -> Figure:
    """Draw 30 steps of gradient descent in a valley, without momentum and with it."""
    stretch = np.array([1.0, 20.0])                               # L = (x**2 + 20 y**2) / 2
    x, y = np.meshgrid(np.linspace(-6, 6, 121), np.linspace(-2.2, 2.2, 81))
    figure, ax = subplots(1, 1, 2.6, width=5.8)
    ax.contour(x, y, (x**2 + 20 * y**2) / 2, levels=[0.3, 3, 10, 24], colors=GREY, linewidths=0.6)
    for share, colour, line, name in ((0.0, BLUE, "--", "without momentum"), (momentum, ORANGE, "-", "with momentum")):
        w, v, way = np.array([-5.5, 1.2]), np.zeros(2), []
        for _ in range(31):
            way.append(w)
            w, v = sgd(w, stretch * w, v, lr, share, nesterov=True)
        steps = np.clip(np.array(way), -20, 20)
        loss = float(np.sum(stretch * np.square(way[-1])) / 2)
        ax.plot(*steps.T, line, color=colour, marker=".", linewidth=1.2,
                label=f"{name}: loss {loss:.2g} after 30 steps")
    ax.set(xlim=(-6, 6), ylim=(-2.2, 2.2), xlabel="first weight", ylabel="second weight",
           title=f"rate {lr:g}, momentum {momentum:g}")
    ax.legend(loc="lower right")
    return figure


@picture("Singular values of a step, from largest to smallest: before, a few are large and most are small; after "
         "Muon all are near 1.")
def directions(gradient: Array) -> Figure:
    """Draw the singular values of the gradient of a filter bank, and those of the step that Muon makes of it."""
    before = np.linalg.svd(as_matrix(gradient), compute_uv=False)
    after = np.linalg.svd(as_matrix(orthogonalize(gradient)), compute_uv=False)
    figure, ax = subplots(1, 1, 2.3, width=6)
    ax.plot(before / before.max(), marker="o", color=BLUE, label="gradient (largest = 1)")
    ax.plot(after, marker="s", linestyle="--", color=ORANGE, label="step of Muon")
    ax.set(xlabel="direction, from the strongest to the weakest", ylabel="length along it", ylim=(0, 1.5))
    ax.legend()
    ax.grid()
    return figure


@picture("The learning rate over a run: it rises in a line to its peak, then falls in a line to zero.")
def schedule(peak: float, warmup: float) -> Figure:
    """Draw the one-cycle schedule."""
    steps = 200
    figure, ax = subplots(1, 1, 2.0, width=5.5)
    ax.plot(np.arange(steps) / steps, [one_cycle(step, steps, peak, warmup) for step in range(steps)], color=BLUE)
    ax.set(xlabel="share of the run", ylabel="learning rate", ylim=(0, 1.05))
    ax.grid()
    return figure


@picture("Left, the loss of each step, falling. Right, the accuracy on test images after each epoch, rising.")
def curves(losses: Sequence[float], accuracies: Sequence[float]) -> Figure:
    """Draw the loss of every step of a run, and the accuracy after each epoch."""
    figure, (left, right) = subplots(1, 2, 2.4, width=6.5)
    left.plot(losses, color=GREY, linewidth=0.8, label="each step")
    width = 15
    left.plot(np.arange(width - 1, len(losses)), np.convolve(losses, np.ones(width) / width, "valid"), color=BLUE,
              label=f"mean of {width}")
    left.set(xlabel="step", ylabel="loss with smoothing")
    left.legend()
    right.plot(range(1, len(accuracies) + 1), 100 * np.array(accuracies), marker="o", color=GREEN)
    right.set(xlabel="epoch", ylabel="test accuracy, %", ylim=(0, 102), xticks=range(1, len(accuracies) + 1))
    right.grid()
    return figure


@picture("Test images with the class that the network gives them; where it is wrong, the right class stands "
         "below.")
def predictions(dataset: Dataset, chosen: Sequence[int], predicted: Sequence[int]) -> Figure:
    """Draw test images with their predicted classes."""
    figure, axes = subplots(1, len(chosen), 1.7, width=6.5)
    for ax, index, guess in zip(axes, chosen, predicted, strict=True):
        label = int(dataset.test_labels[index])
        ax.imshow(dataset.test_images[index], interpolation="nearest")           # a smaller file, too
        ax.set_title(dataset.classes[guess] if guess == label else
                     f"{dataset.classes[guess]}?\nno: {dataset.classes[label]}", fontsize=8,
                     color=INK if guess == label else ORANGE)
        ax.axis("off")
    return figure
