"""The work that is timed: a network, a batch in memory, a training step, an evaluation."""

from types import SimpleNamespace

import numpy as np

from npse import backend, data, models, reference
from npse.training import SGD
from npse.training.ledger import Progress, read
from npse.training.loop import training_step

CLASSES, PIXELS, RATE, SMOOTHING, DECAY, MOMENTUM = 10, 32, 0.01, 0.1, 5e-4, 0.9
MEAN, STD = np.full(3, 0.5, np.float32), np.full(3, 0.25, np.float32)


def pictures(count):
    """Random images (count, 32, 32, 3) in uint8 and labels (count,); a count gives the same ones everywhere."""
    rng = np.random.default_rng(0)
    return rng.integers(0, 256, (count, PIXELS, PIXELS, 3), np.uint8), rng.integers(0, CLASSES, count)


def batch(size):
    """The same as a batch ready for the network: float32 images and labels."""
    images, labels = pictures(size)
    return reference.normalise(images, MEAN, STD), labels


def prepare(model, batch_size, edition, threads):
    """Choose edition and threads in this process and build all that is timed.

    Returns
    -------
    namespace
        ``network``, ``edition`` (name), and three functions without arguments: ``train`` (one training step; returns
        the loss), ``evaluate`` (logits of one batch at inference), ``make_batch`` (crop, flip, normalise).
    """
    name, _ = backend.choose(edition)
    ops = backend.use(name)
    if name == "cpu":
        ops.set_threads(threads)
    network = models.build(model, classes=CLASSES, input_gradient=False)    # as in training, and as in PyTorch
    optimiser = SGD(network, MOMENTUM, DECAY)
    images, numbers = pictures(batch_size)
    x, labels = batch(batch_size)

    def train():
        # any epoch but the first, in which a step looks at itself now and then
        loss, logits, _ = training_step(network.train(), optimiser, x, labels, RATE, SMOOTHING, Progress(epoch=1))
        return read(loss, logits, labels)[0]

    def evaluate():
        return network.eval()(x)[0]

    def make_batch():
        return next(data.training_batches(images, numbers, MEAN, STD, batch_size, seed=0, epoch=0))

    return SimpleNamespace(network=network, edition=name, train=train, evaluate=evaluate, make_batch=make_batch)
