"""Trains the runs of a sweep on ranks of MPI. Rank 0 hands out the runs; each other rank trains one at a time.

A rank trains a run in a process of its own (`npse.lab.process`), so a run that crashes does not end its rank.
"""

import contextlib
import signal
from collections.abc import Iterator
from concurrent.futures import Executor
from contextlib import AbstractContextManager, nullcontext
from typing import Any

from npse.lab.process import Processes
from npse.lab.sweep import Run
from npse.support import environment, nvidia_driver
from npse.training.ranks import world

_processes: Processes | None = None                               # of this rank, if it trains


class Workers:
    """All ranks but the first, as rank 0 sees them.

    Parameters
    ----------
    executor : Executor
        Runs functions in the other ranks.
    jobs : int
        Their number.
    threads : int
        Of a run on the machine of rank 0.
    """

    retries = 1

    def __init__(self, executor: Executor, jobs: int, threads: int) -> None:
        self._executor, self.jobs, self.threads, self.attempt = executor, jobs, threads, _attempt

    def begin(self, runs: int) -> None:
        """Do nothing: the ranks are ready."""

    def executor(self) -> AbstractContextManager[Executor]:
        """Return a context that provides the executor."""
        return nullcontext(self._executor)

    def stop(self) -> None:
        """Do nothing: the launcher passes a Ctrl-C on to all ranks, and each stops its run."""

    def kill(self) -> None:
        """End all ranks at once. Their runs go on from the last save."""
        from mpi4py import MPI

        MPI.COMM_WORLD.Abort(2)


@contextlib.contextmanager
def workers() -> Iterator[Workers | None]:
    """Provide the `Workers` in rank 0. In any other rank train what rank 0 asks for, and then provide None.

    Raises
    ------
    ValueError
        There are fewer than two ranks.
    ImportError, ValueError
        As for `npse.training.ranks.world`.
    """
    global _processes
    ranks = world()
    if ranks.size < 2:
        raise ValueError("the executor mpi needs at least two processes, one of which hands out the runs, but there is "
                         "one; start it with mpiexec -n 2 or more")
    from mpi4py import MPI
    from mpi4py.futures import MPICommExecutor

    here = MPI.COMM_WORLD.Split_type(MPI.COMM_TYPE_SHARED).allreduce(int(ranks.rank > 0))
    threads = max(1, environment.threads() // max(1, here))       # rank 0 computes nothing
    if ranks.rank:
        nvidia_driver.see_one_gpu(ranks.local_rank)
        _processes = Processes(threads)
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, _stop)
    with MPICommExecutor(MPI.COMM_WORLD, root=0) as found:
        executor: Any = found                                     # its type is declared wrongly
        yield None if executor is None else Workers(executor, ranks.size - 1, threads)


def _attempt(run: Run) -> None:
    """Train a run in this rank; errors as for `Processes`."""
    if _processes is None:
        raise RuntimeError("this process trains no runs")
    _processes(run)


def _stop(number: int, frame: Any) -> None:
    if _processes is not None:
        _processes.stop()
