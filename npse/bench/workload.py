"""The work that is timed: a network, a batch in memory, a training step, an evaluation."""

import functools
import sys
from types import SimpleNamespace

import numpy as np

from npse import backend, data, models, reference
from npse.bench.timing import peak_memory, wall
from npse.training import SGD
from npse.training.metric_accumulator import READ_EVERY, read
from npse.training.step import Step, can_record

CLASSES, PIXELS, RATE, SMOOTHING, DECAY, MOMENTUM = 10, 32, 0.01, 0.1, 5e-4, 0.9
MEAN, STD = np.full(3, 0.5, np.float32), np.full(3, 0.25, np.float32)


def random_images(count):
    """Random images (count, 32, 32, 3) in uint8 and labels (count,); a count gives the same ones everywhere."""
    rng = np.random.default_rng(0)
    return rng.integers(0, 256, (count, PIXELS, PIXELS, 3), np.uint8), rng.integers(0, CLASSES, count)


def batch(size):
    """The same as a batch ready for the network: float32 images and labels."""
    images, labels = random_images(size)
    return reference.normalize(images, MEAN, STD), labels


def prepare(model, batch_size, edition, threads):
    """Choose edition and threads in this process and build all that is timed.

    Returns
    -------
    namespace
        ``network``, ``edition`` (name); ``step`` (one training step; returns loss and logits, not yet looked at);
        functions that end when their results are there: ``train`` (as many steps as ``steps`` says; returns the last
        loss), ``plain`` (the same, never recorded; None where nothing is), ``evaluate`` (logits of one batch at
        inference), ``make_batch`` (crop, flip, normalize); ``clock``, for single ops; ``memory``, which returns the
        most in use, in MB.
    """
    name, _ = backend.choose(edition)
    ops = backend.use(name)
    if name == "cpu":
        ops.set_threads(threads)
    network = models.build(model, classes=CLASSES, input_gradient=False).to_device()    # as in training, and in PyTorch
    optimizer = SGD(network, MOMENTUM, DECAY)
    optimizer.to_device()
    steps = Step(network, optimizer, SMOOTHING, functools.partial(print, file=sys.stderr))
    images, numbers = random_images(batch_size)
    x, labels = batch(batch_size)
    images, x, mean, std = map(backend.to_edition, (images, x, MEAN, STD))
    device = _device() if backend.on_device() else SimpleNamespace(
        clock=wall, memory=peak_memory, synchronize=lambda: None, steps=1)

    def step():
        network.train()
        return steps.plain(x, labels, RATE)

    def several(step):
        results = [step() for _ in range(device.steps)]
        return [read(loss, logits, labels)[0] for loss, logits in results][-1]

    def evaluate():
        return backend.to_host(network.eval().predict(x))

    def make_batch():
        made = next(data.training_batches(images, numbers, mean, std, batch_size, seed=0, epoch=0))
        device.synchronize()
        return made

    plain = train = functools.partial(several, step)
    if can_record():
        train = functools.partial(several, lambda: steps.recorded(x, labels, RATE))
    return SimpleNamespace(network=network, edition=name, step=step, train=train, plain=plain if can_record() else None,
                           evaluate=evaluate, make_batch=make_batch, steps=device.steps, clock=device.clock,
                           memory=device.memory)


def _device():
    from npse.bench import gpu_rates
    from npse.cuda.runtime import device

    return SimpleNamespace(clock=gpu_rates.seconds, synchronize=device.synchronize, steps=READ_EVERY,
                           memory=lambda: device.memory() and device.memory() / 1e6)
