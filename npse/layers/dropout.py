"""Dropout: the layer that draws a mask for each batch."""

import numpy as np

from npse.backend import to_edition, to_host
from npse.layers.layer import Layer, active
from npse.types import Array, Backward, Gradients, Shape


class Dropout(Layer):
    """In training, sets a random part of x to zero and divides the rest by 1 - rate; in inference, the identity.

    The mask of each call follows from the seed and the number of calls in training so far. This number is kept in the
    buffer ``count``, so a run that was interrupted goes on with the masks that it would have had. Layers of one network
    need different seeds.

    On a device the mask is drawn on the host and copied. So a training step with dropout cannot be recorded there, and
    runs op by op.

    Parameters
    ----------
    rate : float, the part that is set to zero on average, 0 <= rate < 1
    seed : int

    Raises
    ------
    ValueError
        A rate out of range.
    """

    def __init__(self, rate: float, seed: int = 0) -> None:
        if not 0 <= rate < 1:
            raise ValueError(f"Dropout: rate must lie in 0 <= rate < 1, but is {rate!r}")
        super().__init__(buffers={"count": np.zeros(1, np.float32)})
        self.rate, self.seed = rate, seed
        self._known = self.buffers["count"], 0                    # an array of `count`, and the number in it

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
        count = self._next_count()
        return np.random.default_rng([self.seed, count]).random(shape, np.float32) >= self.rate

    def _next_count(self) -> int:
        """Return the number of calls so far, and add one to it. It is read from a device only if it was loaded."""
        stored, count = self._known
        if self.buffers["count"] is not stored:
            count = int(to_host(self.buffers["count"])[0])
        later = to_edition(np.full(1, count + 1, self.buffers["count"].dtype))
        self.buffers["count"], self._known = later, (later, count + 1)
        return count
