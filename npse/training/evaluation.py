"""Evaluate a network on images that it was not trained on, with one view of each image or with several.

Test-time augmentation averages the logits of several views of an image: the image, its mirror image, and both shifted
by a pixel along each axis, with a border that is mirrored. Each view is one more prediction:

    none           the image                                        1 prediction
    mirror         the image and its mirror image                   2
    mirror+shift   as mirror, weight 1/2, and both shifted up and
                   left and down and right, weight 1/2              6
    unsure         as mirror; mirror+shift for the images whose
                   two likeliest classes are close                  2 to 6
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from npse.backend import active, rows, to_host
from npse.data import evaluation_batches
from npse.layers import Layer
from npse.support.names import suggest
from npse.training.ranks import ALONE, Ranks
from npse.training.recorded import Recorded
from npse.types import Array

_CENTRE, _SHIFTS = 1, (0, 2)             # the corner of a window in an image with a border of one pixel
_BOTH = (False, True)
_MIRROR = tuple((1 / 2, _CENTRE, flip) for flip in _BOTH)
_SHIFT = tuple((1 / 4, corner, flip) for corner in _SHIFTS for flip in _BOTH)
# For each augmentation its views: weight, corner of the window along both axes, mirrored or not.
VIEWS = {"none": ((1.0, _CENTRE, False),), "mirror": _MIRROR, "unsure": _MIRROR,
         "mirror+shift": tuple((weight / 2, corner, flip) for weight, corner, flip in _MIRROR + _SHIFT)}
UNSURE = 0.5                             # the difference of the two largest probabilities below which more views help


def most_predictions(tta: str) -> int:
    """Return how many predictions an image takes at most with a test-time augmentation, a name of `VIEWS`."""
    return len(_MIRROR + _SHIFT if tta == "unsure" else VIEWS[tta])


@dataclass(frozen=True)
class Evaluation:
    """Accuracy (0..1), mean cross-entropy in nats, and the confusion matrix (true class, predicted class)."""

    accuracy: float
    loss: float
    confusion: np.ndarray


def predict(network: Layer, images: Array, mean: Array, std: Array, *, tta: str = "none",
            batch_size: int = 512) -> Array:
    """Return the logits (N, K) of uint8 images (N, H, W, C) at inference.

    Parameters
    ----------
    network : Layer
        Afterwards its layers are in the same mode as before, training or inference.
    images : uint8 array (N, H, W, C)
    mean, std : arrays (C,), of pixels in 0..1
    tta : str
        Test-time augmentation, a name of `VIEWS`; see this file.
    batch_size : int

    Raises
    ------
    ValueError
        An unknown augmentation.
    """
    if tta not in VIEWS:
        raise ValueError(f"unknown test-time augmentation {tta!r}; {suggest(tta, VIEWS)}")
    with network.evaluating():
        logits = _averaged(network, images, mean, std, VIEWS[tta], batch_size)
        if tta == "unsure":
            unsure = np.flatnonzero(_margin(logits) < UNSURE)
            if len(unsure):
                shifted = _averaged(network, rows(images, unsure), mean, std, _SHIFT, batch_size)
                logits[unsure] = (logits[unsure] + shifted) / 2
        return logits


def _averaged(network: Layer, images: Array, mean: Array, std: Array, views: Sequence[tuple[float, int, bool]],
              batch_size: int) -> Array:
    """Return the weighted sum of the logits of several views."""
    weighted = [weight * _logits(network, images, mean, std, corner, flip, batch_size)
                for weight, corner, flip in views]
    return np.sum(weighted, axis=0)


def _logits(network: Layer, images: Array, mean: Array, std: Array, corner: int, flip: bool,
            batch_size: int) -> Array:
    if (corner, flip) == (_CENTRE, False):
        batches = evaluation_batches(images, mean, std, batch_size)
    else:
        batches = (_view(images[first:first + batch_size], mean, std, corner, flip)
                   for first in range(0, len(images), batch_size))
    forward = Recorded(lambda x: (network.predict(x),))
    logits = [forward(x)[0] for x in batches]
    return np.concatenate([to_host(batch) for batch in logits])   # at the end, because each copy waits for the device


def _view(images: Array, mean: Array, std: Array, corner: int, flip: bool) -> Array:
    corners = np.full(len(images), corner)
    return active().augment(images, corners, corners, np.full(len(images), flip), mean, std, _CENTRE)


def _margin(logits: Array) -> Array:
    """Return by how much the largest probability of each row exceeds the second largest."""
    likely = np.exp(logits - logits.max(axis=1, keepdims=True))
    likely /= likely.sum(axis=1, keepdims=True)
    second, first = np.partition(likely, -2, axis=1)[:, -2:].T
    return first - second


def evaluate(network: Layer, images: Array, labels: Array, mean: Array, std: Array, *, tta: str = "none",
             batch_size: int = 512, ranks: Ranks = ALONE) -> Evaluation:
    """Evaluate a network on uint8 images (N, H, W, C) and labels (N,); see `predict` for the other arguments.

    Each of the ranks predicts its share of the images, and gets the result for all of them.
    """
    logits = ranks.joined(predict(network, images[ranks.share(len(images))], mean, std, tta=tta,
                                  batch_size=batch_size))
    loss = active().softmax_cross_entropy(logits, labels)
    return Evaluation(float((logits.argmax(axis=1) == labels).mean()), float(to_host(loss)),
                      confusion_matrix(logits, labels))


def confusion_matrix(logits: Array, labels: Array) -> Array:
    """Return how many images of each class (row) are predicted as each class (column), from logits (N, K)."""
    classes = logits.shape[1]
    return np.bincount(labels * classes + logits.argmax(axis=1), minlength=classes**2).reshape(classes, classes)
