"""Reproducible batches: the random choices of a step depend on (seed, epoch, step) alone.

So a run that is resumed at any step gets the same batches as an uninterrupted run, and no generator state is saved.
"""

from collections.abc import Iterator

import numpy as np

from npse import backend
from npse.types import Array


def steps_per_epoch(count: int, batch_size: int) -> int:
    """Return the number of batches in an epoch over ``count`` images.

    An incomplete last batch is dropped, unless it is the only one. ValueError if either number is below 1.
    """
    _expect_some(count, batch_size)
    return max(1, count // batch_size)


def training_batches(images: Array, labels: Array, mean: Array, std: Array, batch_size: int, seed: int, epoch: int,
                     start: int = 0, crop: int = 4, jitter: float = 0.0,
                     rows: Array | None = None) -> Iterator[tuple[Array, Array]]:
    """Yield the batches of one epoch: shuffled, cropped at random, flipped in every other epoch and normalized.

    A random bit decides for each image whether it is flipped in the even or in the odd epochs. So each pair of epochs
    shows both versions; an independent choice in each epoch would show the same version twice in half of the cases
    (K. Jordan, arXiv 2404.00498).

    Parameters
    ----------
    images : uint8 array (N, H, W, C)
        If it is on the device, batches need no copy.
    labels : integer array (N,)
    mean, std : float arrays (C,)
        Of the pixels, in units of 0..1. Their dtype is the dtype of the batches.
    batch_size : int
        If there are fewer images, a batch holds all of them.
    seed, epoch : int, at least 0
    start : int
        The first step to yield. Its batch is the same whatever ``start`` is.
    crop : int, at least 0
        The largest shift of an image, in pixels, in each direction.
    jitter : float, at least 0
        The contrast of an image changes by a factor of 1 - jitter to 1 + jitter, its brightness by -jitter to jitter,
        see `npse.reference.jitter`.
    rows : integer array (n,), optional
        The places in each batch of the images to yield. All random numbers are drawn for the whole batch, so an image
        is the same whatever other images are yielded. By default all places.

    Yields
    ------
    x : float array (n, H, W, C)
    labels : integer array (n,)

    Raises
    ------
    ValueError
        The numbers of images and labels differ, there is no image, or the batch size is below 1.
    """
    if len(labels) != len(images):
        raise ValueError(f"every image needs one label, but there are {len(images)} images and {len(labels)} labels")
    steps = steps_per_epoch(len(images), batch_size)
    batch_size = min(batch_size, len(images))
    rows = np.arange(batch_size) if rows is None else rows
    order = _generator(seed, epoch).permutation(len(images))[:steps * batch_size].reshape(steps, batch_size)
    flipped = _generator(seed).integers(0, 2, len(images)) == epoch % 2
    chosen = order[start:, rows]
    draws = [_draws(_generator(seed, epoch, step), batch_size, crop, jitter) for step in range(start, steps)]
    corners = np.array([corner[:, rows] for corner, _ in draws]).reshape(-1, 2, len(rows))
    where: tuple[Array, ...] = chosen, corners[:, 0], corners[:, 1], flipped[chosen]
    if hasattr(images, "copy_to_host"):       # on the device: one copy for the whole epoch
        where = tuple(backend.to_edition(array.astype(np.int32)) for array in where)
    for step, (_, shifts) in enumerate(draws):
        ops, (image, top, left, flip) = backend.active(), (array[step] for array in where)
        x = ops.augment(backend.rows(images, image), top, left, flip, mean, std, crop)
        if jitter:
            contrast, brightness = shifts.astype(mean.dtype)[:, rows]
            x = ops.jitter(x, 1 + contrast, brightness)
        yield x, labels[chosen[step]]


def _draws(rng: np.random.Generator, count: int, crop: int, jitter: float) -> tuple[Array, Array]:
    """Return the corners of the crops (2, count), and the shifts of contrast and brightness (2, count)."""
    return rng.integers(0, 2 * crop + 1, (2, count)), rng.uniform(-jitter, jitter, (2, count))


def evaluation_batches(images: Array, mean: Array, std: Array, batch_size: int) -> Iterator[Array]:
    """Yield all images in order, normalized, as float arrays (batch, H, W, C); the last batch may be smaller.

    Parameters and errors as for `training_batches`.
    """
    _expect_some(len(images), batch_size)
    for start in range(0, len(images), batch_size):
        yield backend.active().normalize(images[start:start + batch_size], mean, std)


def _expect_some(count: int, batch_size: int) -> None:
    if count < 1 or batch_size < 1:
        raise ValueError(f"batches need at least one image and a size of at least one, but there are {count} images "
                         f"and the batch size is {batch_size}")


def _generator(seed: int, *position: int) -> np.random.Generator:
    """Return the generator of (epoch,) or (epoch, step), counted from 1, since NumPy pads a seed with zeros."""
    return np.random.default_rng([seed, *(index + 1 for index in position)])
