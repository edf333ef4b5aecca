"""The objects of a run: its settings, data, network and optimizer, made from the settings."""

import hashlib
from dataclasses import dataclass

import numpy as np

from npse import data
from npse.backend import to_edition, to_host
from npse.layers import BatchNorm, Layer, Whitening
from npse.training.config import Config
from npse.training.optimizer import Optimizer
from npse.training.parts import build_network, load_data
from npse.training.ranks import Ranks

WHITENED = 5000                  # images to which a whitening layer is fitted


@dataclass(frozen=True)
class Split:
    """The images that a run trains on and those it is evaluated on after every epoch."""

    images: np.ndarray
    labels: np.ndarray
    eval_images: np.ndarray
    eval_labels: np.ndarray
    evaluated_on: str = "test"

    @classmethod
    def from_dataset(cls, dataset: data.Dataset, validation: int) -> "Split":
        """Hold out the last ``validation`` training images.

        With 0, evaluate on the images for validation that the data set has, or else on its test images.
        """
        if dataset.val_images is not None and dataset.val_labels is not None:
            if validation:
                raise ValueError(f"validation must be 0, because {dataset.name} has {len(dataset.val_images)} images "
                                 f"for validation of its own, but is {validation}")
            return cls(dataset.images, dataset.labels, dataset.val_images, dataset.val_labels, "validation")
        if not validation:
            return cls(dataset.images, dataset.labels, dataset.test_images, dataset.test_labels)
        if validation >= len(dataset.images):
            raise ValueError(f"validation {validation} leaves no image to train on: {dataset.name} has "
                             f"{len(dataset.images)} training images")
        return cls(dataset.images[:-validation], dataset.labels[:-validation],
                   dataset.images[-validation:], dataset.labels[-validation:], "validation")


@dataclass
class TrainingJob:
    """The objects of a run: settings, data, network, optimizer."""

    config: Config
    dataset: data.Dataset
    split: Split
    network: Layer
    optimizer: Optimizer

    def take_from_first(self, ranks: Ranks) -> None:
        """Take parameters, buffers, velocity and slow weights of rank 0."""
        network, optimizer = self.network, self.optimizer
        network.update({name: to_edition(ranks.from_first(array)) for name, array in network.state().items()})
        optimizer.velocity = {name: to_edition(ranks.from_first(array)) for name, array in optimizer.velocity.items()}
        if lookahead := optimizer.lookahead:
            lookahead.slow = {name: to_edition(ranks.from_first(array)) for name, array in lookahead.slow.items()}

    def equal_in(self, ranks: Ranks) -> bool:
        """Return whether parameters, buffers, velocity and slow weights have the same bits in all ranks."""
        digest, lookahead = hashlib.sha256(), self.optimizer.lookahead
        for array in (*self.network.state().values(), *self.optimizer.velocity.values(),
                      *(lookahead.slow.values() if lookahead else ())):
            digest.update(to_host(array).tobytes())
        (found,) = ranks.gather(np.frombuffer(digest.digest(), np.uint8))
        return bool((found == found[0]).all())

    def to_device(self) -> None:
        """Move the arrays of network and optimizer to the memory of the active edition."""
        self.network.to_device()
        self.optimizer.to_device()


def prepare(config: Config) -> TrainingJob:
    """Load the data and build the network of a run. Writes nothing; ValueError if data and settings do not fit."""
    dataset = load_data(config)
    network = build_network(config, len(dataset.classes), dataset.shape, input_gradient=False)
    split = Split.from_dataset(dataset, config.validation)
    if (batch := min(config.batch_size, len(split.images))) % config.parts:
        raise ValueError(f"parts must divide a batch, which has all {batch} training images, but is {config.parts}")
    first = data.evaluation_batches(split.images[:WHITENED], dataset.mean, dataset.std, WHITENED)
    for layer in network.layers():
        if isinstance(layer, BatchNorm):
            layer.momentum = config.norm_momentum
        if isinstance(layer, Whitening):
            layer.fit(next(first))
    return TrainingJob(config, dataset, split, network, config.optimizer_for(network))
