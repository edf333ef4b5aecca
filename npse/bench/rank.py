"""One rank of a measurement: ``mpiexec -n 2 python -m npse.bench.rank '{"model": ...}'``; rank 0 prints JSON."""

import json
import sys

import numpy as np

from npse import backend, models
from npse.bench import workload
from npse.bench.timing import figures, wall
from npse.training import SGD
from npse.training.distributed import SharedStep
from npse.training.ranks import launched, world
from npse.training.step import Step

WARM, LEAST, MOST = 3, 5, 200    # steps
LINKS = 200                      # sums whose median is a latency; a tenth as many for the rate


def measure(model, batch_size, edition, threads, seconds):
    """Time a step of this rank and all others, and what the model of `npse.bench.scaling` needs.

    Returns
    -------
    dict
        ``step``: figures of a step with ``batch_size`` images in all ranks. With one rank ``compute``: pairs of images
        and milliseconds of a step. With several ranks ``latency_ms``, of the sum of one number; ``sum_ms``, of the sum
        of ``bytes`` bytes, which are the gradients; ``messages``, the sums in a step.
    """
    ranks = world()
    ops = backend.use(edition)
    if edition == "cpu":
        ops.set_threads(threads)
    if ranks.size == 1:
        sizes = sorted({max(1, batch_size // part) for part in (1, 2, 4, 8)}, reverse=True)
        compute = [(size, _times(ranks, _step(ranks, model, size), seconds / 2)) for size in sizes]
        return {"step": compute[0][1], "compute": [(size, found["ms"]) for size, found in compute]}
    step = _step(ranks, model, batch_size)
    counted = _Counted(ranks)
    found = _times(ranks, step, seconds)
    counted.count(step)
    gradients = np.zeros(counted.bytes // 4, np.float32)
    return {"step": found, "messages": counted.messages, "bytes": counted.bytes,
            "latency_ms": _sum_ms(ranks, np.zeros(1, np.float32), LINKS),
            "sum_ms": _sum_ms(ranks, gradients, LINKS // 10)}


def _step(ranks, model, batch_size):
    """Return a function that makes a training step, in which this rank has its share of the images."""
    network = models.build(model, classes=workload.CLASSES, input_gradient=False).to_device().train()
    optimizer = SGD(network, workload.MOMENTUM, workload.DECAY)
    optimizer.to_device()
    x, labels = workload.batch(batch_size)
    if ranks.size == 1:
        step = Step(network, optimizer, workload.SMOOTHING)
    else:
        rows = ranks.rows(batch_size, 1)
        x, labels = x[rows], labels[rows]
        step = SharedStep(network, optimizer, workload.SMOOTHING, ranks=ranks, batch=batch_size, synchronized=False)
    x = backend.to_edition(x)
    return lambda: backend.to_host(step.plain(x, labels, workload.RATE)[0])


def _times(ranks, task, seconds):
    for _ in range(WARM):
        task()
    one = wall(task)
    count = ranks.first(lambda: min(MOST, max(LEAST, int(seconds / one))))
    return figures([wall(task) for _ in range(count)])


class _Counted:
    """Counts the sums that a step begins, and their bytes."""

    def __init__(self, ranks):
        self._ranks, self.messages, self.bytes = ranks, 0, 0

    def count(self, step):
        """Make a step and count."""
        start = self._ranks.start_sum

        def counting(numbers):
            self.messages, self.bytes = self.messages + 1, self.bytes + numbers.nbytes
            start(numbers)
        self._ranks.start_sum = counting
        step()
        del self._ranks.start_sum


def _sum_ms(ranks, numbers, count):
    ranks.sum(numbers)
    return figures([wall(lambda: ranks.sum(numbers)) for _ in range(count)])["ms"]


if __name__ == "__main__":
    found = measure(**json.loads(sys.argv[1]))
    if launched()[0] == 0:
        print(json.dumps(found), flush=True)
