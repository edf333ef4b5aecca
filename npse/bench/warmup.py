"""Compile every kernel of the cpu edition before a run needs it, by doing once all that a run does."""

import numpy as np

from npse import backend, cpu, data, models
from npse.cpu.compile import telling
from npse.gradcheck import CASES
from npse.training import SGD, Config, evaluate
from npse.training.ledger import Progress
from npse.training.loop import training_step

EVERY_SHAPE = "se_resnet8"       # its convolutions are those of every depth


def warm_up(model=None, dtypes=("float32",), say=lambda line: None):
    """Train and evaluate once with a model; without one, also call every op of the edition.

    Parameters
    ----------
    model : str, optional
    dtypes : of networks and arguments, as NumPy names them
    say : callable, gets a line with each kernel that is compiled

    Returns
    -------
    int
        How many kernels were compiled; the others were in the cache folder.
    """
    compiled, threads = 0, cpu.get_threads()

    def tell(count, name):
        nonlocal compiled
        compiled = count
        say(f"compiling kernel {count}, once per machine: {name}")

    cpu.set_threads(max(2, threads))                              # one alone has nobody to hand work to
    try:
        with backend.using("cpu"), telling(tell):
            for dtype in dtypes:
                _train(model or EVERY_SHAPE, dtype)
                if model is None:
                    _call_every_op(dtype)
    finally:
        cpu.set_threads(threads)
    return compiled


def _train(model, dtype):
    """One training step and one evaluation, at the sizes a run has: a kernel may be chosen by them."""
    config, rng = Config(), np.random.default_rng(0)
    images, labels = rng.integers(0, 256, (256, 32, 32, 3), np.uint8), rng.integers(0, 10, 256)
    mean, std = np.full(3, 0.5, dtype), np.full(3, 0.25, dtype)
    network = models.build(model, classes=10).astype(dtype)
    x, chosen = next(data.training_batches(images, labels, mean, std, config.batch_size, seed=0, epoch=0))
    training_step(network, SGD(network), x, chosen, 0.1, config.smoothing, Progress(epoch=1))
    evaluate(network, images, labels, mean, std)


def _call_every_op(dtype):
    """Forward and backward of every case that the judge has."""
    for case in CASES:
        arguments = case.arguments(np.random.default_rng(0), dtype)
        y = case.forward(cpu, **arguments)
        if case.backward:
            case.backward(cpu, y, **arguments)
