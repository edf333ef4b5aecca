"""Pictures made of images: those that a network confuses, and those that open or close a channel."""

from collections.abc import Sequence

import numpy as np
from matplotlib.figure import Figure

from npse.analysis import statistics
from npse.analysis.plots import WIDTH
from npse.support.style import INK, LABEL, SMALL, figure, plain
from npse.types import Array, Arrays

MARGIN = 1                       # pixels around an image
CAPTION = 0.22                   # inches, the height of a line of text above a row of images


def confused_pairs(labels: Array, predicted: Array, count: int) -> list[tuple[int, int, Array]]:
    """Return the pairs of classes that are confused most often, the most frequent first.

    Parameters
    ----------
    labels, predicted : integer arrays (N,)
    count : int
        The largest number of pairs.

    Returns
    -------
    list of (true class, predicted class, indices of the images)
    """
    wrong = np.flatnonzero(labels != predicted)
    pairs, of_image, sizes = np.unique(np.stack([labels[wrong], predicted[wrong]], 1), axis=0, return_inverse=True,
                                       return_counts=True)
    return [(int(pairs[k][0]), int(pairs[k][1]), wrong[of_image.ravel() == k])
            for k in np.argsort(-sizes, kind="stable")[:count]]


def confused(images: Array, pairs: Sequence[tuple[int, int, Array]], classes: Sequence[str], title: str,
             columns: int = 8) -> Figure:
    """Draw the first images of each pair of `confused_pairs`, at least one pair."""
    rows = [[(f"{classes[true]}, taken for {classes[found]}: {len(which)} image{'s' * (len(which) > 1)}",
              images[which[:columns]])] for true, found, which in pairs]
    return _sheet(rows, columns, title)


def channels(images: Array, gates: Arrays, title: str, count: int = 3, columns: int = 5) -> Figure:
    """Draw the images that open a channel most and those that close it most, for the most variable channels of a block.

    Parameters
    ----------
    images : uint8 array (N, H, W, 3)
    gates : dict of str to array (N, C), at least one
    title : str
    count : int
        Channels of each block.
    columns : int
        Images of each kind.
    """
    rows = []
    for name, s in gates.items():
        for channel in statistics.most_variable(s, count):
            most, least = statistics.openers(s, channel, columns), statistics.closers(s, channel, columns)
            place = f"{name}, channel {channel}" if s.shape[1] > 1 else name
            rows.append([(f"{place}: up to {s[most[0], channel]:.2f}", images[most]),
                         (f"down to {s[least[0], channel]:.2f}", images[least])])
    return _sheet(rows, columns, title)


def opened(images: Array, labels: Array, s: Array, classes: Sequence[str], title: str, rows: int = 10) -> Figure:
    """Draw for one image of each class how far it opens and closes the channels of a block, relative to their means.

    Parameters
    ----------
    images : uint8 array (N, H, W, 3)
    labels : integer array (N,)
    s : array (N, C)
    classes : sequence of str
    title : str
    rows : int
        The largest number of images: the first one of each class that has any.
    """
    which = np.array([np.flatnonzero(labels == k)[0] for k in np.unique(labels)[:rows]])
    shift = (s - s.mean(axis=0))[which]
    reach = float(abs(shift).max()) or 1.0
    picture = figure(WIDTH, 1.0 + 0.4 * len(which), title)
    left, right = picture.subplots(1, 2, width_ratios=(1, 9))
    column = mosaic(images[which], 1)
    left.imshow(column, aspect="auto", extent=(0, 1, len(which) - 0.5, -0.5), interpolation="nearest")
    left.set(xticks=[])
    left.set_yticks(range(len(which)), [classes[labels[n]] for n in which])
    left.spines[:].set_visible(False)
    left.tick_params(labelsize=SMALL, length=0)
    strips = right.imshow(shift, aspect="auto", cmap="RdBu_r", vmin=-reach, vmax=reach, interpolation="nearest")
    right.yaxis.tick_right()
    right.set_yticks(range(len(which)),
                     [", ".join(str(channel) for channel in statistics.opened_by(s, n, 3)) for n in which])
    right.set(xlabel="channel")
    right.set_title("opens most", loc="right", fontsize=LABEL, color=INK)
    plain(right, grid=False)
    right.hlines(np.arange(len(which) - 1) + 0.5, -0.5, s.shape[1] - 0.5, color="white", linewidth=3)
    bar = picture.colorbar(strips, ax=right, location="bottom", fraction=0.03, pad=0.03)
    bar.set_label("gate less the mean of the channel", fontsize=LABEL, color=INK)
    bar.ax.tick_params(labelsize=SMALL)
    return picture


def mosaic(images: Array, columns: int) -> Array:
    """Return images (n, H, W, 3) in rows of ``columns`` places, uint8 with alpha; free places are clear."""
    count, height, width, _ = images.shape
    tall, wide = height + 2 * MARGIN, width + 2 * MARGIN
    sheet = np.zeros((-(-count // columns) * tall, columns * wide, 4), np.uint8)
    for place, image in enumerate(images):
        top, left = place // columns * tall + MARGIN, place % columns * wide + MARGIN
        sheet[top:top + height, left:left + width, :3] = image
        sheet[top:top + height, left:left + width, 3] = 255
    return sheet


def _sheet(rows: Sequence[Sequence[tuple[str, Array]]], columns: int, title: str) -> Figure:
    """Draw rows of groups, each a text above at most ``columns`` images; all rows have equally many groups."""
    groups = len(rows[0])
    across = groups * columns + 0.5 * (groups - 1)                # in images; half an image between two groups
    row = 1 + CAPTION / (WIDTH / across)                          # its height, likewise
    picture = figure(WIDTH, 0.4 + WIDTH / across * row * len(rows), title)
    axes = picture.subplots()
    for number, parts in enumerate(rows):
        bottom = (number + 1) * row
        for place, (text, images) in enumerate(parts):
            left = place * (columns + 0.5)
            axes.imshow(mosaic(images, columns), extent=(left, left + columns, bottom, bottom - 1),
                        interpolation="nearest")
            axes.text(left, bottom - 1.08, text, fontsize=LABEL, color=INK, va="bottom")
    axes.set(xlim=(0, across), ylim=(row * len(rows), 0), aspect="equal")
    axes.axis("off")
    return picture
