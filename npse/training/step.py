"""One training step: forward, loss, backward, update. It runs op by op, or it is recorded once and started as a whole.

A recorded step changes parameters, statistics and velocity in place, see `update_kernels.in_place` of the editions.
"""

import operator
from collections.abc import Callable, Sequence

import numpy as np

from npse.backend import active, joined, reshape, to_edition
from npse.layers import Layer
from npse.layers.batch_norm import statistics_together
from npse.layers.dropout import kept_slots
from npse.layers.sequential import once
from npse.training.optimizer import Optimizer
from npse.training.recorded import Recorded
from npse.types import Array


class Step:
    """Updates the parameters of a network by one step for each batch.

    `plain` calls op by op. `recorded` does the same with a few calls of the host in place of hundreds, in an edition
    that can record. Both return the loss and the logits (N, K) as arrays of the edition, possibly before they are
    computed.

    Parameters
    ----------
    network : Layer, in training mode
    optimizer : Optimizer
    smoothing : float
        Label smoothing, see `npse.reference.softmax_cross_entropy`.
    say : function of a line
        Called with the reason if a step cannot be recorded.
    parts : int
        The number of equal parts of a batch. They pass through the network one after another, which saves memory. Batch
        norm takes the statistics of each part, and the gradients are averaged.
    """

    def __init__(self, network: Layer, optimizer: Optimizer, smoothing: float,
                 say: Callable[[str], None] = lambda line: None, parts: int = 1) -> None:
        self.network, self.optimizer = network, optimizer
        self._smoothing, self._parts = smoothing, parts
        self._recorded = Recorded(
            lambda x, labels, *rates: self._step(x, labels, rates),
            lambda error: say(f"LOOK  a step is started kernel by kernel, because it could not be recorded: {error}"),
            lambda: [*network.state().values(), *optimizer.velocity.values()])
        self._slots, self._used = kept_slots(network), list[Array]()

    def plain(self, x: Array, labels: Array, lr: float, done: float = 0.0) -> tuple[Array, Array]:
        """Make one step.

        Parameters
        ----------
        x : array (N, H, W, C)
        labels : integer array (N,)
        lr : float
        done : float
            The share of the run that is over, see `Optimizer.rates`.

        Returns
        -------
        loss, logits

        Raises
        ------
        ValueError
            The parts do not divide N.
        """
        return self._step(x, labels, self.optimizer.rates(lr, done))

    def recorded(self, x: Array, labels: Array, lr: float, done: float = 0.0) -> tuple[Array, Array]:
        """Make the step that `plain` makes, recorded from the second call on; see `Recorded`."""
        used = [*(owner[key] for _, owner, key in self._slots), *self.optimizer.velocity.values()]
        if not all(map(operator.is_, used, self._used)):          # such as after `Layer.load`
            self._recorded.forget()
        self._used = used
        rates = (to_edition(np.asarray(rate, x.dtype)) for rate in self.optimizer.rates(lr, done))
        loss, logits = self._recorded(x, to_edition(labels.astype(np.int32)), *rates)
        return loss, logits

    def _step(self, x: Array, labels: Array, rates: Sequence[float | Array]) -> tuple[Array, Array]:
        each, rest = divmod(len(labels), self._parts)
        if rest:
            raise ValueError(f"{self._parts} parts do not divide a batch of {len(labels)} images")
        ops, gradients, parts = active(), dict[str, Array](), []
        for first in range(0, len(labels), each):
            some = labels[first:first + each]
            with statistics_together(self.network):
                logits, backward = self.network(x[first:first + each])
            dlogits = ops.softmax_cross_entropy_backward(1 / self._parts, logits, some, self._smoothing)
            _, found = once(backward)(dlogits)
            gradients = {name: _sum(gradients[name], new) for name, new in found.items()} if gradients else found
            parts.append(logits)
        logits = joined(parts)
        self.optimizer.step_at(gradients, rates)
        return ops.softmax_cross_entropy(logits, labels, self._smoothing), logits


def _sum(one: Array, other: Array) -> Array:
    """Return the sum of two arrays of one shape; the op takes maps, so each array passes as one long pixel."""
    long = (1, 1, 1, one.size)
    return reshape(active().add(reshape(one, long), reshape(other, long)), one.shape)
