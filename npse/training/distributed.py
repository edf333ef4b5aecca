"""Data-parallel training: each rank takes its share of a batch, and the gradients of the shares are added.

The loss of a batch is the mean over its images. So its gradient is the sum over ranks of

    images of the rank / images of the batch * gradient of the mean loss of the rank's images

which is exact if no op mixes images. Batch norm does: its statistics are those of each share, or, if they are
synchronized, those of the batch.

All gradients lie in one array, in the order in which the backward pass makes them. As soon as a stretch of it, a
bucket, is filled, its sum over all ranks begins, while the backward pass goes on.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from npse.backend import active, joined, to_edition, to_host
from npse.layers import BatchNorm, Layer, Sequential
from npse.layers.dropout import CountingLayer
from npse.layers.layer import prefixed
from npse.layers.sequential import once
from npse.training.metric_accumulator import read
from npse.training.optimizer import Optimizer
from npse.training.ranks import RankLost, Ranks
from npse.training.step import Step
from npse.types import Array, Gradients

BUCKET = 2**18                   # bytes of gradients whose sum begins together
RUNNING = ("running_mean", "running_var")


@dataclass(frozen=True)
class Totals:
    """The figures of a step over all ranks: mean loss, right answers, images, and for each signal who gave it."""

    loss: float
    correct: int
    images: int
    signals: tuple[bool, ...]


def units(network: Layer, path: str = "") -> Iterator[tuple[str, Layer]]:
    """Yield the layers, with their names, whose calls one after another are a call of the network.

    A convolution and the batch norm after it, which run together, are a `Sequential` of both.
    """
    if type(network) is not Sequential:
        yield path, network
        return
    for name, child, norm_name, norm in network.with_norms():
        if norm:
            yield path, Sequential({name: child, norm_name: norm})
        else:
            yield from units(child, f"{path}.{name}" if path else name)


def synchronize(network: Layer, ranks: Ranks | None) -> None:
    """Let batch norm take its statistics in training over all ranks, or with None over the images of this one."""
    for layer in network.layers():
        if isinstance(layer, BatchNorm):
            layer.peers = ranks


class GradientBuckets:
    """One array of all gradients of a network, which is summed over the ranks bucket by bucket.

    Parameters
    ----------
    layers : sequence of (str, Layer)
        See `units`.
    ranks : Ranks
    size : int
        The least bytes of a bucket. A bucket has the gradients of whole layers.
    """

    def __init__(self, layers: Sequence[tuple[str, Layer]], ranks: Ranks, size: int = BUCKET) -> None:
        self._ranks = ranks
        arrays = [{slot.name: slot.owner[slot.key] for slot in layer.slots("parameters", f"{name}." if name else "")}
                  for name, layer in layers]
        dtype = next(array.dtype for named in arrays for array in named.values())
        self._flat = np.empty(sum(array.size for named in arrays for array in named.values()), dtype)
        self._places: dict[str, tuple[slice, tuple[int, ...]]] = {}
        self._ends: dict[int, slice] = {}                         # the bucket that is full after a layer
        begun = filled = 0
        for index in reversed(range(len(arrays))):
            for name, array in arrays[index].items():
                self._places[name] = slice(filled, filled + array.size), array.shape
                filled += array.size
            if (filled - begun) * dtype.itemsize >= size or (index == 0 and filled > begun):
                self._ends[index] = slice(begun, filled)
                begun = filled

    def add(self, gradients: Gradients, first: bool) -> None:
        """Add the gradients of a part of a batch; those of the first part replace what is there."""
        for name, gradient in gradients.items():
            place, _ = self._places[name]
            numbers = np.asarray(to_host(gradient)).reshape(-1)
            if first:
                self._flat[place] = numbers
            else:
                self._flat[place] += numbers

    def filled(self, layer: int) -> None:
        """Take notice that the gradients of a layer are complete, and begin the sum of its bucket if that is full."""
        if layer in self._ends:
            self._ranks.start_sum(self._flat[self._ends[layer]])
        self._ranks.poll()

    def summed(self) -> Gradients:
        """Return the gradients of all ranks by name, after `Ranks.finish_sums`; the next step overwrites them."""
        whole = to_edition(self._flat)
        return {name: whole[place].reshape(shape) for name, (place, shape) in self._places.items()}


class SharedStep(Step):
    """A step in which each rank has a share of the batch. Its loss is that of the whole batch, its logits the rank's.

    Parameters
    ----------
    network, optimizer, smoothing, say, parts : see `Step`
    ranks : Ranks
    batch : int
        Images in a batch of all ranks.
    synchronized : bool
        Whether batch norm takes its statistics over all ranks. If not, the running statistics are averaged over them.
    signals : function
        Returns one bool for each sort of signal, such as a wish to stop. A step passes the signals of each rank to all.

    Attributes
    ----------
    totals : Totals
        Of the last step.
    """

    totals: Totals

    def __init__(self, network: Layer, optimizer: Optimizer, smoothing: float,
                 say: Callable[[str], None] = lambda line: None, parts: int = 1, *, ranks: Ranks, batch: int,
                 synchronized: bool, signals: Callable[[], Sequence[bool]] = tuple) -> None:
        super().__init__(network, optimizer, smoothing, say, parts)
        self._ranks, self._batch, self._signals = ranks, batch, signals
        self._layers = list(units(network))
        self._buckets = GradientBuckets(self._layers, ranks)
        self._averaged = [] if synchronized else [slot for slot in network.slots("buffers") if slot.key in RUNNING]
        synchronize(network, ranks if synchronized else None)
        each = batch // parts
        mine = ranks.share(each)
        for layer in network.layers():
            if isinstance(layer, CountingLayer):
                layer.part = mine.start, mine.stop, each

    def _step(self, x: Array, labels: Array, rates: Sequence[float | Array]) -> tuple[Array, Array]:
        buffers = self.network.named_buffers()
        try:
            loss, logits, gradients = self._shared(x, labels)
        except RankLost:
            self.network.update(buffers)                          # the state is again that after the last whole step
            raise
        self.optimizer.step_at(gradients, rates)
        return loss, logits

    def _shared(self, x: Array, labels: Array) -> tuple[Array, Array, Gradients]:
        ops, each, weight = active(), len(labels) // self._parts, len(labels) / self._batch
        outputs, figures = [], np.empty(0)
        for part in range(self._parts):
            first, last = part == 0, part == self._parts - 1
            some = slice(part * each, (part + 1) * each)
            h, backwards = x[some], []
            for _, layer in self._layers:
                h, backward = layer(h)
                backwards.append(backward)
            outputs.append(h)
            if last:
                logits = joined(outputs)
                figures = self._figures(ops.softmax_cross_entropy(logits, labels, self._smoothing), logits, labels,
                                        weight)
                self._ranks.start_sum(figures)
            dh = ops.softmax_cross_entropy_backward(weight / self._parts, h, labels[some], self._smoothing)
            for index in reversed(range(len(backwards))):
                dh, found = once(backwards.pop())(dh)
                name, _ = self._layers[index]
                self._buckets.add(prefixed(name, found) if name else found, first)
                if last:
                    self._buckets.filled(index)
        self._ranks.finish_sums()
        return self._read(figures, logits.dtype), logits, self._buckets.summed()

    def _figures(self, loss: Array, logits: Array, labels: Array, weight: float) -> Array:
        """Return what this rank adds to the figures of the step: loss, right answers, signals, running statistics."""
        own, correct = read(loss, logits, labels)
        running = [weight * to_host(slot.owner[slot.key]).astype(np.float64) for slot in self._averaged]
        return np.concatenate([[weight * own, correct, *self._signals()], *running])

    def _read(self, figures: Array, dtype: Any) -> Array:
        """Take the sums over all ranks; return the loss."""
        running = figures[len(figures) - sum(slot.owner[slot.key].size for slot in self._averaged):]
        signals = figures[2:len(figures) - len(running)]
        self.totals = Totals(float(figures[0]), int(figures[1]), self._batch, tuple(bool(each) for each in signals))
        for slot in self._averaged:
            size, old = slot.owner[slot.key].size, slot.owner[slot.key]
            slot.owner[slot.key] = to_edition(running[:size].astype(old.dtype))
            running = running[size:]
        return np.asarray(figures[0], dtype)
