"""Time a whole training step and an evaluation of npse."""

from npse.bench.timing import figures, times
from npse.bench.workload import prepare

WARM = 3


def measure(model, batch_size, edition, threads, seconds):
    """Time a training step, an evaluation and the making of a batch; the peak memory is that of training.

    On a device, as many steps are timed together as a run makes before it reads their losses; the result is the time of
    one. ``plain`` is a step that is not recorded: the host starts each of its kernels.
    """
    work = prepare(model, batch_size, edition, threads)
    plain = {"plain": figures(times(work.plain, seconds, warm=WARM), work.steps)} if work.plain else {}
    train = times(work.train, seconds, warm=WARM)
    peak = work.memory()
    return {"mode": f"npse {work.edition}", "train": figures(train, work.steps), **plain, "peak_mb": peak,
            "eval": figures(times(work.evaluate, seconds, warm=WARM)),
            "batch": figures(times(work.make_batch, seconds / 4))}
