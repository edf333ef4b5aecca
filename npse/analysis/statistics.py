"""What gates say about a block: functions of the gates s (N, C) of N images and of the labels of the images.

Section 7 of arXiv 1709.01507 looks at gates by class and by depth; the numbers here measure what its figures show.
"""

from dataclasses import dataclass

import numpy as np

from npse.types import Array

NEAR = 0.05                      # a gate is at an end of its range within this part of the range
NEARLY_ALL = 0.95                # the share of images that counts as nearly all


def by_class(s: Array, labels: Array, classes: int) -> tuple[Array, Array]:
    """Return the mean and the standard deviation of the gates over the images of each class.

    Parameters
    ----------
    s : array (N, C)
    labels : integer array (N,)
    classes : int
        The number K of classes.

    Returns
    -------
    means, deviations : arrays (K, C)
        NaN for a class without images.
    """
    found = np.full((2, classes, s.shape[1]), np.nan)
    for k in np.unique(labels):
        found[:, k] = s[labels == k].mean(axis=0), s[labels == k].std(axis=0)
    return found[0], found[1]


def variances(s: Array, labels: Array) -> tuple[float, float]:
    """Split the variance of the gates over the images into a part between classes and a part within them.

    Parameters
    ----------
    s : array (N, C)
    labels : integer array (N,)

    Returns
    -------
    between, within : float
        Means over the channels; their sum is the mean variance of a channel over the images.
    """
    s = s.astype(np.float64)
    centre = s.mean(axis=0)
    present, of_image = np.unique(labels, return_inverse=True)
    means = np.stack([s[labels == k].mean(axis=0) for k in present])[of_image]      # (N, C), those of the own class
    return float(((means - centre) ** 2).mean()), float(((s - means) ** 2).mean())


@dataclass(frozen=True)
class BlockStatistics:
    """The gates of a block in numbers.

    Attributes
    ----------
    channels : int
    mean, lowest, highest : float
        Over all images and channels.
    ratio, by_chance : float
        Variance between the classes / variance within them, and what to expect of it if the gates had nothing to do
        with the classes, (K - 1) / (N - K). NaN if the gates do not vary within classes.
    from_constant, from_channel_constant : float
        How far the gates are from one number for the whole block, and from one number for each channel: root mean
        square of the difference, relative to the mean gate. A block whose second number is near 0 does what the batch
        norm before it could do.
    low, high : int
        The channels whose gates are near the lower or the upper end of their range for nearly all images.
    """

    channels: int
    mean: float
    lowest: float
    highest: float
    ratio: float
    by_chance: float
    from_constant: float
    from_channel_constant: float
    low: int
    high: int


def describe(s: Array, labels: Array, ends: tuple[float | None, float | None] = (None, None)) -> BlockStatistics:
    """Compute the numbers of a block.

    Parameters
    ----------
    s : array (N, C)
    labels : integer array (N,)
    ends : tuple of two float or None
        The ends of the range of the gates; at an end that is None no gate is counted.
    """
    s = s.astype(np.float64)
    between, within = variances(s, labels)
    spare = len(s) - len(np.unique(labels))
    mean, size = float(s.mean()), float(np.abs(s.mean()))
    near_low, near_high = near_ends(s, ends)
    return BlockStatistics(
        channels=s.shape[1], mean=mean, lowest=float(s.min()), highest=float(s.max()),
        ratio=between / within if within else np.nan,
        by_chance=(len(np.unique(labels)) - 1) / spare if spare else np.nan,
        from_constant=float(np.sqrt(((s - mean) ** 2).mean())) / size if size else np.nan,
        from_channel_constant=float(np.sqrt(s.var(axis=0).mean())) / size if size else np.nan,
        low=int((near_low >= NEARLY_ALL).sum()), high=int((near_high >= NEARLY_ALL).sum()))


def near_ends(s: Array, ends: tuple[float | None, float | None]) -> tuple[Array, Array]:
    """Return the share of images whose gate is near the lower, and near the upper end of its range, for each channel.

    A range with one end counts as one of length 1.
    """
    low, high = ends
    margin = NEAR * (high - low) if low is not None and high is not None else NEAR
    none = np.zeros(s.shape[1])
    return (none if low is None else (s < low + margin).mean(axis=0),
            none if high is None else (s > high - margin).mean(axis=0))


def opened_by(s: Array, image: int, count: int) -> Array:
    """Return the ``count`` channels that an image opens farthest above their mean over the images, farthest first."""
    return np.argsort(-(s[image] - s.mean(axis=0)), kind="stable")[:count]


def openers(s: Array, channel: int, count: int) -> Array:
    """Return the ``count`` images whose gate of a channel is largest, largest first."""
    return np.argsort(-s[:, channel], kind="stable")[:count]


def closers(s: Array, channel: int, count: int) -> Array:
    """Return the ``count`` images whose gate of a channel is smallest, smallest first."""
    return np.argsort(s[:, channel], kind="stable")[:count]


def most_variable(s: Array, count: int) -> Array:
    """Return the ``count`` channels whose gates vary most over the images, the most variable first."""
    return np.argsort(-s.var(axis=0), kind="stable")[:count]


def last_of_each_stage(names: list[str]) -> list[str]:
    """Return the last name of each stage, such as layer1.2, layer2.2 and layer3.2; a stage is the first part of a name.

    The parts of one block, such as layer3.2.channel and layer3.2.spatial, are all returned.
    """
    last = {name.split(".")[0]: name.split(".")[:2] for name in names}             # later ones replace earlier ones
    return [name for name in names if name.split(".")[:2] == last[name.split(".")[0]]]
