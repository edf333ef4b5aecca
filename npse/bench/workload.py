"""The work that is timed: a network, a batch in memory, a training step, an evaluation."""

import functools
import sys
from types import SimpleNamespace

import numpy as np

from npse import backend, data, models, reference
from npse.bench.timing import peak_memory, wall
from npse.layers import Whitening
from npse.training import SGD
from npse.training.metric_accumulator import READ_EVERY, read
from npse.training.recorded import Recorded, can_record
from npse.training.step import Step

FITTED = 100                     # images to which a whitening layer is fitted
CLASSES, PIXELS, RATE, SMOOTHING, DECAY, MOMENTUM = 10, 32, 0.01, 0.1, 5e-4, 0.9
MEAN, STD = np.full(3, 0.5, np.float32), np.full(3, 0.25, np.float32)


def random_images(count):
    """Return random images, uint8 (count, 32, 32, 3), and labels (count,); each count always gives the same ones."""
    rng = np.random.default_rng(0)
    return rng.integers(0, 256, (count, PIXELS, PIXELS, 3), np.uint8), rng.integers(0, CLASSES, count)


def batch(size):
    """Return `random_images` as a batch for the network: float32 images (size, 32, 32, 3) and labels (size,)."""
    images, labels = random_images(size)
    return reference.normalize(images, MEAN, STD), labels


def build(model):
    """Return the network that is timed: as in training, without a gradient for the images."""
    network = models.build(model, classes=CLASSES, input_gradient=False)
    for layer in network.layers():
        if isinstance(layer, Whitening):
            layer.fit(batch(FITTED)[0])
    return network


def prepare(model, batch_size, edition, threads):
    """Choose edition and threads in this process and build all that is timed.

    Returns
    -------
    namespace
        ``network``; ``edition``, its name; ``steps``, the number of steps in a call of ``train``; ``clock``, for single
        ops; ``repeated(op, arguments)``, a function that calls an op, and how often it does; ``memory``, which returns
        the peak memory in MB; ``step``, which makes one training step and returns loss and logits, possibly before the
        device has computed them.

        These functions return when their results are computed: ``train`` makes ``steps`` steps and returns the last
        loss; ``plain`` does the same without recording (None if the edition records nothing); ``evaluate`` returns the
        logits of one batch at inference; ``make_batch`` crops, flips and normalizes.
    """
    name, _ = backend.choose(edition)
    ops = backend.use(name)
    if name == "cpu":
        ops.set_threads(threads)
    network = build(model).to_device()
    optimizer = SGD(network, MOMENTUM, DECAY)
    optimizer.to_device()
    steps = Step(network, optimizer, SMOOTHING, functools.partial(print, file=sys.stderr))
    images, numbers = random_images(batch_size)
    x, labels = batch(batch_size)
    images, x, mean, std = map(backend.to_edition, (images, x, MEAN, STD))
    device = _device() if backend.on_device() else SimpleNamespace(
        clock=wall, memory=peak_memory, synchronize=lambda: None, steps=1,
        repeated=lambda op, arguments: (functools.partial(op, *arguments), 1))

    def step():
        network.train()
        return steps.plain(x, labels, RATE)

    def several(step):
        results = [step() for _ in range(device.steps)]
        return [read(loss, logits, labels)[0] for loss, logits in results][-1]

    forward = Recorded(lambda x: (network.eval().predict(x),))

    def evaluate():
        return backend.to_host(forward(x)[0])

    def make_batch():
        made = next(data.training_batches(images, numbers, mean, std, batch_size, seed=0, epoch=0))
        device.synchronize()
        return made

    plain = train = functools.partial(several, step)
    if can_record():
        train = functools.partial(several, lambda: steps.recorded(x, labels, RATE))
    return SimpleNamespace(network=network, edition=name, step=step, train=train,
                           plain=plain if can_record() else None, evaluate=evaluate, make_batch=make_batch,
                           steps=device.steps, clock=device.clock, repeated=device.repeated, memory=device.memory)


def _device():
    from npse.bench import gpu_rates
    from npse.cuda.runtime import device

    return SimpleNamespace(clock=gpu_rates.seconds, synchronize=device.synchronize, steps=READ_EVERY,
                           repeated=gpu_rates.repeated,
                           memory=lambda: device.memory() and device.memory() / 1e6)
