"""Time and memory of networks: one prediction, and forward and backward in training. The cpu edition runs."""

import statistics
import time

import numpy as np

from npse import backend, models
from npse.bench.timing import figures, peak_memory, times, wall

SECONDS = 0.2                    # the shortest time of one measurement


def measure(networks, batch, rounds, threads):
    """Time networks in turn, in this process.

    Parameters
    ----------
    networks : list of [model, options, size]; the images are (batch, size, size, 3)
    batch : int
    rounds : int
        In each round every network is timed once, so a change of the machine's speed meets all of them.
    threads : int

    Returns
    -------
    list of dict, for each network
        ``forward`` and ``training``: the milliseconds of each round, each a median over `SECONDS`;
        ``forward_processor`` and ``training_processor``: likewise the processor time of all threads, which depends less
        on other programs.
    """
    backend.use("cpu").set_threads(threads)
    tasks = [_tasks(models.build(model, input_gradient=False, **options), batch, size)
             for model, options, size in networks]
    taken = [{f"{kind}{clock}": [] for clock in ("", "_processor") for kind in kinds} for kinds in tasks]
    for kinds in tasks:
        for task in kinds.values():
            task()                                                # compiles kernels and touches memory
    for _ in range(rounds):
        for kinds, found in zip(tasks, taken, strict=True):
            for kind, task in kinds.items():
                measured = times(task, SECONDS, least=1, warm=0, clock=_wall_and_processor)
                for name, seconds in zip((kind, f"{kind}_processor"), zip(*measured, strict=True), strict=True):
                    found[name].append(figures(seconds)["ms"])
    return taken


def memory(model, options, size, batch, kind, threads):
    """Run a network in this process and return the peak of its memory, as `npse.bench.timing.peak_memory` does.

    It is that of the whole process: with NumPy, npse and its compiled kernels, about 150 MB before a network is built.

    Parameters
    ----------
    model : str
    options : dict, of the model
    size, batch : int
        The images are (batch, size, size, 3).
    kind : {"forward", "training"}
    threads : int
    """
    backend.use("cpu").set_threads(threads)
    task = _tasks(models.build(model, input_gradient=False, **options), batch, size)[kind]
    for _ in range(2):                                            # the memory pool settles in the second
        task()
    return peak_memory()


def _wall_and_processor(task):
    """Return the seconds that pass while ``task()`` runs, and the seconds that processors work for it."""
    began = time.process_time()
    passed = wall(task)
    return passed, time.process_time() - began


def _tasks(network, batch, size):
    """Return what is timed by name: a prediction, and forward and backward in training."""
    x = np.random.default_rng(0).standard_normal((batch, size, size, 3), np.float32)

    def forward():
        network.eval().predict(x)

    def training():
        y, backward = network.train()(x)
        backward(np.ones_like(y))
    return {"forward": forward, "training": training}


def more(these, those):
    """Return how much more time these measurements took than those, as a share: the median and the extremes of rounds.

    >>> more([2.0, 3.0, 4.4], [2.0, 2.0, 4.0])
    (0.1, 0.0, 0.5)
    """
    shares = [this / that - 1 for this, that in zip(these, those, strict=True)]
    return tuple(round(float(share), 6) for share in (statistics.median(shares), min(shares), max(shares)))
