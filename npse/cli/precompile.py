"""Compile kernels of the cpu or the cuda edition before a run or a check.

    warm_up(partial(training, config))
    warm_up(partial(ops, ("float32", "float64"), "conv2d"))
    warm_up_cuda(partial(training, config, edition="cuda"), capability=(9, 0))
"""

import importlib
from functools import partial

import numpy as np

from npse import backend, data
from npse.gradcheck import cases_of
from npse.support import environment
from npse.training import build_network, evaluate
from npse.training.distributed import synchronize
from npse.training.ranks import ALONE
from npse.training.recorded import can_record
from npse.training.step import Step

EVERY_SHAPE = "se_resnet14"      # two blocks in each stage: deeper networks use the same convolutions


def warm_up(*works, **options):
    """Compile into the cache folder the kernels of the cpu edition that the works call; return how many were compiled.

    A work is one of the functions below, or a `functools.partial` of one. For the options see `compile_ahead`.
    """
    from npse import cpu
    from npse.cpu.runtime.compile_ahead import compile_ahead

    threads = cpu.get_threads()
    cpu.set_threads(max(2, threads))                              # with one thread no work is shared
    try:
        return compile_ahead(partial(_each, works), **{"processes": threads} | options)
    finally:
        cpu.set_threads(threads)


def warm_up_cuda(*works, capability, **options):
    """Compile the kernels of the cuda edition that the works launch, for a compute capability; return how many."""
    from npse.cuda.runtime.compile_ahead import compile_ahead

    return compile_ahead(partial(_each, works), capability, processes=environment.cores(), **options)


def _each(works):
    for work in works:
        work()


def training(config, dtype="float32", shape=(32, 32, 3), classes=10, edition="cpu"):
    """Train and evaluate for one step on random images, with the sizes of a run, which decide the choice of kernels."""
    count, rng = max(config.batch_size, 256), np.random.default_rng(0)
    images, labels = rng.integers(0, 256, (count, *shape), np.uint8), rng.integers(0, classes, count)
    with backend.using_edition(_edition(edition)):
        images, mean, std = map(backend.to_edition, (images, np.full(shape[2], 0.5, dtype),
                                                     np.full(shape[2], 0.25, dtype)))
        network = build_network(config, classes, shape, input_gradient=False).astype(dtype)
        synchronize(network, ALONE if config.sync_bn else None)
        optimizer = config.optimizer_for(network)
        if backend.on_device():
            network.to_device()
            optimizer.to_device()
        x, chosen = next(data.training_batches(images, labels, mean, std, config.batch_size, seed=0, epoch=0))
        step = Step(network, optimizer, config.smoothing, parts=config.parts)
        step.plain(x, chosen, config.lr)
        for _ in range(2 * can_record()):                         # the second call copies its arguments
            step.recorded(x, chosen, config.lr)
        evaluate(network, images, labels, mean, std)


def ops(dtypes=("float32", "float64"), op=None, edition="cpu"):
    """Call forward and backward of every case of the judge, or of the cases of one op."""
    edition = _edition(edition)
    for dtype in dtypes:
        for case in cases_of(op):
            arguments = case.arguments(np.random.default_rng(0), dtype)
            y = case.forward(edition, **arguments)
            if case.backward:
                case.backward(edition, y, **arguments)


def _edition(name):
    """Return an edition that need not be able to run here: kernels can be compiled without a GPU."""
    return importlib.import_module(backend.EDITIONS[name])
