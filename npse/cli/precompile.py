"""Compile kernels of the cpu edition before a run or a check.

    warm_up(partial(training, config))
    warm_up(partial(ops, ("float32", "float64"), "conv2d"))
"""

from functools import partial

import numpy as np

from npse import backend, cpu, data
from npse.cpu.runtime.compile_ahead import compile_ahead
from npse.gradcheck import cases_of
from npse.training import build_network, evaluate
from npse.training.distributed import synchronize
from npse.training.ranks import ALONE
from npse.training.step import Step

EVERY_SHAPE = "se_resnet8"       # all depths use the same convolutions


def warm_up(*works, **options):
    """Compile into the cache folder the kernels that the works call; return how many were compiled.

    A work is one of the functions below, or a `functools.partial` of one. For the options see `compile_ahead`.
    """
    threads = cpu.get_threads()
    cpu.set_threads(max(2, threads))                              # with one thread no work is shared
    try:
        return compile_ahead(partial(_each, works), **{"processes": threads} | options)
    finally:
        cpu.set_threads(threads)


def _each(works):
    for work in works:
        work()


def training(config, dtype="float32", shape=(32, 32, 3), classes=10):
    """Train and evaluate for one step on random images, with the sizes of a run, which decide the choice of kernels."""
    count, rng = max(config.batch_size, 256), np.random.default_rng(0)
    images, labels = rng.integers(0, 256, (count, *shape), np.uint8), rng.integers(0, classes, count)
    mean, std = np.full(shape[2], 0.5, dtype), np.full(shape[2], 0.25, dtype)
    with backend.using_edition("cpu"):
        network = build_network(config, classes, shape, input_gradient=False).astype(dtype)
        synchronize(network, ALONE if config.sync_bn else None)
        x, chosen = next(data.training_batches(images, labels, mean, std, config.batch_size, seed=0, epoch=0))
        Step(network, config.optimizer_for(network), config.smoothing, parts=config.parts).plain(x, chosen, config.lr)
        evaluate(network, images, labels, mean, std)


def ops(dtypes=("float32", "float64"), op=None):
    """Call forward and backward of every case of the judge, or of the cases of one op."""
    for dtype in dtypes:
        for case in cases_of(op):
            arguments = case.arguments(np.random.default_rng(0), dtype)
            y = case.forward(cpu, **arguments)
            if case.backward:
                case.backward(cpu, y, **arguments)
