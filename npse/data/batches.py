"""Batches that can be made again: the random choices of a step depend on (seed, epoch, step) and on nothing else.

So a run resumed at any step sees the very batches it would have seen, and no generator's state is saved.
"""

import numpy as np

from npse import backend


def steps_per_epoch(count, batch_size):
    """Number of batches in an epoch over ``count`` images: a last, incomplete one is dropped, unless it is the only."""
    _expect_some(count, batch_size)
    return max(1, count // batch_size)


def training_batches(images, labels, mean, std, batch_size, seed, epoch, start=0, crop=4):
    """Yield the batches of one epoch, shuffled, cropped at random, flipped in every other epoch and normalized.

    A coin decides for each image whether it is flipped in the even epochs or in the odd ones, so two epochs show
    both of its sides; coins tossed anew would show one side twice in half of the cases (K. Jordan, arXiv 2404.00498).

    Parameters
    ----------
    images : uint8 array (N, H, W, C); if it lies on the device, no batch waits for a copy
    labels : integer array (N,)
    mean, std : float arrays (C,), of the pixels in units of 0..1; their dtype becomes that of the batches
    batch_size : int; with fewer images than that, a batch is all of them
    seed, epoch : int, at least 0
    start : int, first step to yield; the batches are those of an epoch begun at 0
    crop : int, at least 0: pixels by which an image is moved at most, in each direction

    Yields
    ------
    x : float array (batch, H, W, C)
    labels : integer array (batch,)
    """
    if len(labels) != len(images):
        raise ValueError(f"every image needs one label, but there are {len(images)} images and {len(labels)} labels")
    steps = steps_per_epoch(len(images), batch_size)
    batch_size = min(batch_size, len(images))
    order = _generator(seed, epoch).permutation(len(images))
    flipped = _generator(seed).integers(0, 2, len(images)) == epoch % 2
    for step in range(start, steps):
        chosen = order[step * batch_size:(step + 1) * batch_size]
        rng = _generator(seed, epoch, step)
        top, left = rng.integers(0, 2 * crop + 1, (2, batch_size))
        yield (backend.active().augment(backend.rows(images, chosen), top, left, flipped[chosen], mean, std, crop),
               labels[chosen])


def evaluation_batches(images, mean, std, batch_size):
    """Yield all images in order, normalized, as float arrays (batch, H, W, C) of which the last may be smaller."""
    _expect_some(len(images), batch_size)
    for start in range(0, len(images), batch_size):
        yield backend.active().normalize(images[start:start + batch_size], mean, std)


def _expect_some(count, batch_size):
    if count < 1 or batch_size < 1:
        raise ValueError(f"batches need at least one image and a size of at least one, but there are {count} images "
                         f"and the batch size is {batch_size}")


def _generator(seed, *position):
    """Generator for (epoch,) or (epoch, step), counted from 1: NumPy takes missing words of a seed for zeros."""
    return np.random.default_rng([seed, *(index + 1 for index in position)])
