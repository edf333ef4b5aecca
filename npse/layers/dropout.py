"""Layers that draw random numbers for each batch: dropout, and what it shares with others."""

from typing import Any

import numpy as np

from npse.backend import drawn, on_device, to_edition, to_host
from npse.layers.layer import Layer, Slot, active
from npse.types import Array, Backward, Gradients, Shape


class CountingLayer(Layer):
    """Base class of layers whose random numbers follow from the seed and the number of calls in training so far.

    This number is kept in the buffer ``count``, so a run that was interrupted goes on with the numbers that it would
    have had. Layers of one network need different seeds.

    Parameters
    ----------
    seed : int

    Attributes
    ----------
    part : tuple of three int, or None
        (first, end, count): this process has the images first..end-1 of the ``count`` that pass through together, see
        `Peers`. It draws the numbers of all images and takes those of its own. None: it has all images.
    """

    part: tuple[int, int, int] | None = None

    def __init__(self, seed: int, children: dict[str, Layer] | None = None) -> None:
        super().__init__(buffers={"count": np.zeros(1, np.float32)}, children=children)
        self.seed = seed
        self._known = self.buffers["count"], 0                    # an array of `count`, and the number in it

    def _uniform(self, images: int, rows: int = 1, shape: Shape = (), dtype: Any = np.float64) -> Array:
        """Draw the numbers of the next call, in 0..1: an array (rows, images, *shape)."""
        first, end, count = self.part or (0, images, images)
        drawn = np.random.default_rng([self.seed, self._next_count()]).random((rows, count, *shape), dtype)
        return drawn[:, first:end]

    def _next_count(self) -> int:
        """Return the number of calls so far, and add one to it. It is read from a device only if it was loaded."""
        stored, count = self._known
        if self.buffers["count"] is not stored or not on_device():
            count = int(to_host(self.buffers["count"])[0])
        later = to_edition(np.full(1, count + 1, self.buffers["count"].dtype))
        self.buffers["count"], self._known = later, (later, count + 1)
        return count


def kept_slots(network: Layer) -> list[Slot]:
    """Return the slots of all arrays of a network but the counters of its random numbers."""
    counting = {id(layer.buffers) for layer in network.layers() if isinstance(layer, CountingLayer)}
    slots = [*network.slots("parameters"), *network.slots("buffers")]
    return [slot for slot in slots if id(slot.owner) not in counting]


class Dropout(CountingLayer):
    """In training, sets a random part of x to zero and divides the rest by 1 - rate; in inference, the identity.

    The mask is drawn on the host. On a device it is copied, so a training step with dropout cannot be recorded there,
    and runs op by op.

    Parameters
    ----------
    rate : float, the part that is set to zero on average, 0 <= rate < 1
    seed : int, see `CountingLayer`

    Raises
    ------
    ValueError
        A rate out of range.
    """

    def __init__(self, rate: float, seed: int = 0) -> None:
        if not 0 <= rate < 1:
            raise ValueError(f"Dropout: rate must lie in 0 <= rate < 1, but is {rate!r}")
        super().__init__(seed)
        self.rate = rate

    def __call__(self, x: Array) -> tuple[Array, Backward]:
        if not self.training or self.rate == 0:
            return x, lambda dy: (dy, {})
        ops, rate = active(), self.rate
        mask, = drawn(self._masks, x.shape)

        def backward(dy: Array) -> tuple[Array, Gradients]:
            return ops.dropout_backward(dy, mask, rate), {}
        return ops.dropout(x, mask, rate), backward

    def _masks(self, shape: Shape) -> tuple[Array]:
        """Draw the mask of the next call: True with probability 1 - rate."""
        return (self._uniform(shape[0], shape=shape[1:], dtype=np.float32)[0] >= self.rate,)
