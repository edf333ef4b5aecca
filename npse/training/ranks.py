"""The processes that train one network together. A process of MPI is called a rank; here are those that are one.

All ranks take the same steps. In each step a rank takes its share of the same batch, and the gradients of the shares
are added. `npse.training.mpi.MPIRanks` is a set of several ranks; `ALONE` is a process that trains by itself.
"""

import os
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar

import numpy as np

from npse.backend import to_host
from npse.types import Array

Result = TypeVar("Result")
# Launchers tell a process its number and the number of processes: MPICH and Slurm, Open MPI, PMIx.
RANK_VARIABLES = ("PMI_RANK", "OMPI_COMM_WORLD_RANK", "PMIX_RANK")
SIZE_VARIABLES = ("PMI_SIZE", "OMPI_COMM_WORLD_SIZE", "SLURM_STEP_NUM_TASKS")


class RankLost(ConnectionError):
    """A rank failed, or gave no answer in time."""


class EndedElsewhere(Exception):
    """Another rank ends the run, and says why."""


class Ranks:
    """One rank, and what several ranks do differently. A function of this class is called by all ranks.

    Attributes
    ----------
    rank, size : int
        The number of this rank, from 0, and the number of all.
    local_rank, local_size : int
        The same among the ranks of this machine.
    """

    rank, size, local_rank, local_size = 0, 1, 0, 1

    def share(self, count: int) -> slice:
        """Return which of ``count`` things in a row belong to this rank; shares differ by at most one."""
        return slice(self.rank * count // self.size, (self.rank + 1) * count // self.size)

    def rows(self, batch: int, parts: int) -> Array:
        """Return the places in a batch of the images of this rank: its share of each part, in order.

        ValueError if a part has no image for some rank.
        """
        each = batch // parts
        if each < self.size:
            raise ValueError(f"{self.size} ranks need at least {self.size} images in each part of a batch, but a part "
                             f"has {each}; raise batch_size, or start fewer ranks")
        return np.concatenate([np.arange(first, first + each)[self.share(each)] for first in range(0, batch, each)])

    def gather(self, *arrays: Array) -> tuple[Array, ...]:
        """Return for each array (n,) those of all ranks in their order, (R, n), as NumPy arrays."""
        return tuple(to_host(array)[None] for array in arrays)

    def sum(self, *arrays: Array) -> tuple[Array, ...]:
        """Return for each array the sum over all ranks, the same bits in each rank."""
        return arrays

    def from_first(self, array: Array) -> Array:
        """Return the array of rank 0. That of any other rank has the same shape and dtype."""
        return array

    def joined(self, rows: Array) -> Array:
        """Return the rows (n, K) of all ranks, one below the other; n may differ."""
        return rows

    def start_sum(self, numbers: Array) -> None:
        """Begin to replace an array of numbers, in the memory of the host, by the sum over all ranks."""

    def poll(self) -> None:
        """Let sums that were begun go on."""

    def finish_sums(self) -> None:
        """Wait until all sums that were begun are complete."""

    def first(self, function: Callable[[], Result], *, long: bool = False) -> Result:
        """Call a function in rank 0 alone; the others wait. Return its result, which JSON can hold, in all ranks.

        If it may take ``long``, such as a report, the others wait an hour, else as long as in a step.

        Raises
        ------
        EndedElsewhere
            In the other ranks, if the function raised an exception in rank 0.
        """
        return function()

    def each(self, function: Callable[[], Result]) -> Result:
        """Call a function in every rank, and return the rank's own result.

        If it raises an exception in some ranks, rank 0 raises one that tells the first, and the others raise
        `EndedElsewhere`.
        """
        return function()

    def in_turn(self, function: Callable[[], object]) -> None:
        """Call a function in rank 0, then in one rank of each other machine, while all others wait."""
        function()

    def expect_same(self, facts: Mapping[str, Any]) -> None:
        """Check that facts, which JSON can hold, are the same in all ranks; ValueError in rank 0 if not."""

    def leave(self, error: BaseException | None) -> None:
        """End: after the last call, or with an error. It may end the process, and then all ranks."""

    def watch_over(self, words: str) -> None:
        """From here on a rank that is killed makes the system print these words, for the user."""


ALONE = Ranks()


def launched() -> tuple[int, int]:
    """Return (rank, size) as the launcher of this process says, such as mpiexec; (0, 1) if there is none."""
    rank, size = (_number(names) for names in (RANK_VARIABLES, SIZE_VARIABLES))
    return (0, 1) if rank is None or size is None else (rank, size)


def _number(names: Sequence[str]) -> int | None:
    return next((int(os.environ[name]) for name in names if os.environ.get(name, "").isdecimal()), None)


def world() -> Ranks:
    """Return the ranks that a launcher such as mpiexec started together with this process; `ALONE` if there are none.

    Raises
    ------
    ImportError
        mpi4py is missing.
    ValueError
        mpi4py belongs to another MPI than the launcher.
    """
    _, size = launched()
    if size == 1:
        return ALONE
    from npse.training import mpi

    return mpi.world(size)
