"""Does it matter what the gates of a block do? The accuracy of a network with other gates in place of them.

    mean       each image gets the mean gates over all images: the block cannot look at its image
    one        all gates are 1: the block does not scale its maps
    half       all gates are 1/2
    shuffled   each image gets the gates of another image

The weights stay as they are. So this says how much the trained network depends on these gates; a network that was
trained without them might do as well.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import numpy as np

from npse.analysis.observation import Observation
from npse.backend import to_edition, to_host
from npse.layers.gate_visitor import Gates, parts_of, visiting_gates
from npse.layers.layer import Layer
from npse.training import predict
from npse.types import Array

INTERVENTIONS = ("mean", "one", "half", "shuffled")
PREDICTIONS = 50_000             # over all interventions, unless the number of images is given
FEWEST = 200                     # images, if there are so many


@dataclass(frozen=True)
class Effect:
    """The accuracy with other gates in one block, and its change, in 0..1.

    Attributes
    ----------
    accuracy : float
    change : float
        Accuracy with other gates - accuracy with the gates of the network, on the same images.
    error : float
        The standard error of the change. It covers the choice of images, not that of the seed of training.
    """

    accuracy: float
    change: float
    error: float


@dataclass(frozen=True)
class Effects:
    """The effects of all interventions.

    Attributes
    ----------
    images : int
        The number of images, drawn at random from those given.
    accuracy : float
        With the gates of the network, on these images.
    by_block : dict of str to dict of str to Effect
        By the names of the block and of the intervention.
    """

    images: int
    accuracy: float
    by_block: dict[str, dict[str, Effect]]


def intervene(network: Layer, images: Array, labels: Array, mean: Array, std: Array, observation: Observation, *,
              sample: int | None = None, seed: int = 0, say: Callable[[str], None] = lambda line: None) -> Effects:
    """Replace the gates of one block after another, each in all `INTERVENTIONS`, and count the right predictions.

    Parameters
    ----------
    network : Layer
    images : uint8 array (N, H, W, C)
    labels : integer array (N,)
    mean, std : float32 array (C,)
        Of the pixels of the training images, in units of 0..1.
    observation : Observation
        Of the network on these images, from `npse.analysis.observation.observe`.
    sample : int, optional
        The number of images to take, at random; by default so many that all interventions together make
        `PREDICTIONS` predictions, but at least `FEWEST` images if there are so many.
    seed : int
        Of the choice of images, and of the shuffling.
    say : function of a line
        Called before each block.

    Raises
    ------
    ValueError
        ``sample`` is less than 2 or more than the number of images.
    """
    blocks = observation.gates
    if sample is None:
        sample = min(len(images), max(FEWEST, PREDICTIONS // max(1, len(blocks) * len(INTERVENTIONS))))
    if not 2 <= sample <= len(images):
        raise ValueError(f"sample must lie in 2..{len(images)}, the number of images, but is {sample}")
    rng = np.random.default_rng(seed)
    chosen = rng.permutation(len(images))[:sample]                 # in random order, so batches are random too
    images, labels = to_edition(images[chosen]), labels[chosen]
    right = observation.logits[chosen].argmax(axis=1) == labels

    def effect(block: str, change: Callable[[Gates], Gates]) -> Effect:
        def visit(name: str, s: Gates) -> Gates:
            return change(s) if name == block else s
        with visiting_gates(network, visit):
            now = predict(network, images, mean, std).argmax(axis=1) == labels
        difference = now.astype(float) - right
        return Effect(float(now.mean()), float(difference.mean()), float(difference.std(ddof=1) / np.sqrt(sample)))

    by_block = {}
    for number, name in enumerate(blocks, 1):
        say(f"other gates in {name}, block {number} of {len(blocks)}")
        changes = (partial(_put, observation.means[name]), partial(_fill, 1.0), partial(_fill, 0.5),
                   partial(_shuffle, rng))
        by_block[name] = {kind: effect(name, change)
                          for kind, change in zip(INTERVENTIONS, changes, strict=True)}
    return Effects(sample, float(right.mean()), by_block)


def _put(means: tuple[Array, ...], s: Gates) -> Gates:
    """Return gates of the shapes of s with the same values for all images."""
    return _like(s, [np.broadcast_to(values, part.shape) for values, part in zip(means, parts_of(s), strict=True)])


def _fill(value: float, s: Gates) -> Gates:
    """Return gates of the shapes of s with one value; of a pair, the second part is 1."""
    return _like(s, [np.full(part.shape, 1.0 if number else value) for number, part in enumerate(parts_of(s))])


def _shuffle(rng: np.random.Generator, s: Gates) -> Gates:
    """Return the gates of a batch in an order in which every image has those of another one, if it is not alone."""
    order = rng.permutation(parts_of(s)[0].shape[0])
    other = np.empty_like(order)
    other[order] = np.roll(order, 1)                              # one cycle through all images
    return _like(s, [to_host(part)[other] for part in parts_of(s)])


def _like(s: Gates, values: list[Array]) -> Gates:
    """Return values in the memory and with the dtype of s, as a pair if s is one."""
    found = tuple(to_edition(np.ascontiguousarray(value, part.dtype))
                  for value, part in zip(values, parts_of(s), strict=True))
    return found if isinstance(s, tuple) else found[0]
