"""Evaluate a network on images that it was not trained on."""

from dataclasses import dataclass

import numpy as np

from npse.backend import active, to_host
from npse.data import evaluation_batches
from npse.layers import Layer
from npse.types import Array


@dataclass(frozen=True)
class Evaluation:
    """Accuracy (0..1), mean cross-entropy in nats, and the confusion matrix (true class, predicted class)."""

    accuracy: float
    loss: float
    confusion: np.ndarray


def predict(network: Layer, images: Array, mean: Array, std: Array, *, flip: bool = False,
            batch_size: int = 512) -> Array:
    """Return the logits (N, K) of uint8 images (N, H, W, C) at inference.

    With ``flip`` they are averaged with the logits of the mirror images. ``mean`` and ``std`` (C,) are for pixels in
    0..1. Afterwards the layers are in the same mode as before, training or inference.
    """
    with network.evaluating():
        logits = _logits(network, images, mean, std, batch_size)
        if flip:
            mirrored = np.ascontiguousarray(to_host(images)[:, :, ::-1])
            logits = (logits + _logits(network, mirrored, mean, std, batch_size)) / 2
        return logits


def _logits(network: Layer, images: Array, mean: Array, std: Array, batch_size: int) -> Array:
    logits = [network.predict(x) for x in evaluation_batches(images, mean, std, batch_size)]
    return np.concatenate([to_host(batch) for batch in logits])   # at the end, because each copy waits for the device


def evaluate(network: Layer, images: Array, labels: Array, mean: Array, std: Array, *, flip: bool = False,
             batch_size: int = 512) -> Evaluation:
    """Evaluate a network on uint8 images (N, H, W, C) and labels (N,); see `predict` for the other arguments."""
    logits = predict(network, images, mean, std, flip=flip, batch_size=batch_size)
    classes = logits.shape[1]
    predicted = logits.argmax(axis=1)
    confusion = np.bincount(labels * classes + predicted, minlength=classes**2).reshape(classes, classes)
    loss = active().softmax_cross_entropy(logits, labels)
    return Evaluation(float((predicted == labels).mean()), float(to_host(loss)), confusion)
