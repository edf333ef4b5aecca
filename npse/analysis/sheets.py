"""Pictures made of images: those that a network confuses, and those that open or close a channel."""

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from npse.analysis import statistics
from npse.analysis.plots import WIDTH
from npse.support.style import INK, LABEL, figure, plain
from npse.types import Array, Arrays

MARGIN = 1                       # pixels around an image


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


def confused(images: Array, pairs: Sequence[tuple[int, int, Array]], classes: Sequence[str], title: str, columns: int = 8
             ) -> Figure:
    """Draw the first images of each pair of `confused_pairs`, at least one pair."""
    picture = figure(WIDTH, 0.4 + 0.92 * len(pairs), title)
    for axes, (true, found, which) in zip(picture.subplots(len(pairs), 1, squeeze=False)[:, 0], pairs, strict=True):
        _show(axes, mosaic(images[which[:columns]], columns))
        _caption(axes, f"{classes[true]}, taken for {classes[found]}: {len(which)} image{'s' * (len(which) > 1)}")
    return picture


def channels(images: Array, gates: Arrays, title: str, count: int = 3, columns: int = 6) -> Figure:
    """Draw the images that open a channel most, and those that close it most, for the liveliest channels of each block.

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
    picture = figure(WIDTH, 0.4 + 0.68 * sum(min(count, s.shape[1]) for s in gates.values()), title)
    chosen = [(name, s, channel) for name, s in gates.items() for channel in statistics.liveliest(s, count)]
    grid = picture.subplots(len(chosen), 2, squeeze=False)
    for (left, right), (name, s, channel) in zip(grid, chosen, strict=True):
        ends = statistics.openers(s, channel, columns), statistics.closers(s, channel, columns)
        place = f"{name}, channel {channel}" if s.shape[1] > 1 else name
        for axes, which, text in ((left, ends[0], f"{place}: up to {s[ends[0][0], channel]:.2f}"),
                                  (right, ends[1], f"down to {s[ends[1][0], channel]:.2f}")):
            _show(axes, mosaic(images[which], columns))
            _caption(axes, text)
    return picture


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
    which = [int(np.flatnonzero(labels == k)[0]) for k in np.unique(labels)[:rows]]
    shift = s - s.mean(axis=0)
    reach = float(abs(shift[which]).max()) or 1.0
    picture = figure(WIDTH, 0.9 + 0.48 * len(which), title)
    grid = picture.subplots(len(which), 2, squeeze=False, width_ratios=(1, 9))
    for (left, right), n in zip(grid, which, strict=True):
        _show(left, images[n])
        strip = right.imshow(shift[n][None], aspect="auto", cmap="RdBu_r", vmin=-reach, vmax=reach,
                             interpolation="nearest")
        most = ", ".join(str(channel) for channel in statistics.opened_by(s, n, 3))
        right.set(yticks=[], xticks=[])
        plain(right, grid=False)
        _caption(right, f"{classes[labels[n]]}: opens {most} most")
    right.set_xticks([0, s.shape[1] - 1] if s.shape[1] > 1 else [0])
    right.set_xlabel("channel")
    bar = picture.colorbar(strip, ax=list(grid[:, 1]), fraction=0.04, pad=0.01)
    bar.set_label("gate less the mean of the channel", fontsize=LABEL, color=INK)
    bar.ax.tick_params(labelsize=LABEL - 1)
    return picture


def mosaic(images: Array, columns: int) -> Array:
    """Return images (n, H, W, 3) in one row of ``columns`` places, uint8 with an alpha channel; free places are clear."""
    _, height, width, _ = images.shape
    row = np.zeros((height + 2 * MARGIN, columns * (width + 2 * MARGIN), 4), np.uint8)
    for place, image in enumerate(images[:columns]):
        left = place * (width + 2 * MARGIN) + MARGIN
        row[MARGIN:MARGIN + height, left:left + width, :3] = image
        row[MARGIN:MARGIN + height, left:left + width, 3] = 255
    return row


def _caption(axes: Axes, text: str) -> None:
    axes.set_title(text, loc="left", fontsize=LABEL, color=INK)


def _show(axes: Axes, image: Array) -> None:
    axes.imshow(image, interpolation="nearest")
    axes.set(xticks=[], yticks=[])
    axes.spines[:].set_visible(False)
