"""Layers that draw random numbers for each batch: dropout, and what it shares with others."""

import numpy as np

from npse.backend import to_edition, to_host
from npse.layers.layer import Layer, active
from npse.types import Array, Backward, Gradients, Shape


class CountingLayer(Layer):
    """Base class of layers whose random numbers follow from the seed and the number of calls in training so far.

    This number is kept in the buffer ``count``, so a run that was interrupted goes on with the numbers that it would
    have had. Layers of one network need different seeds.

    Parameters
    ----------
    seed : int
    """

    def __init__(self, seed: int, children: dict[str, Layer] | None = None) -> None:
        super().__init__(buffers={"count": np.zeros(1, np.float32)}, children=children)
        self.seed = seed
        self._known = self.buffers["count"], 0                    # an array of `count`, and the number in it

    def _next_generator(self) -> np.random.Generator:
        """Return the generator of the next call."""
        return np.random.default_rng([self.seed, self._next_count()])

    def _next_count(self) -> int:
        """Return the number of calls so far, and add one to it. It is read from a device only if it was loaded."""
        stored, count = self._known
        if self.buffers["count"] is not stored:
            count = int(to_host(self.buffers["count"])[0])
        later = to_edition(np.full(1, count + 1, self.buffers["count"].dtype))
        self.buffers["count"], self._known = later, (later, count + 1)
        return count


class Dropout(CountingLayer):
    """In training, sets a random part of x to zero and divides the rest by 1 - rate; in inference, the identity.

    On a device the mask is drawn on the host and copied. So a training step with dropout cannot be recorded there, and
    runs op by op.

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
        mask = to_edition(self._mask(x.shape))

        def backward(dy: Array) -> tuple[Array, Gradients]:
            return ops.dropout_backward(dy, mask, rate), {}
        return ops.dropout(x, mask, rate), backward

    def _mask(self, shape: Shape) -> Array:
        """Draw the mask of the next call: True with probability 1 - rate."""
        return self._next_generator().random(shape, np.float32) >= self.rate
