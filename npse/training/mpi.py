"""Ranks of MPI. No call waits for ever: a rank that waits looks again and again, and gives up after a while.

Every collective operation is started without blocking and then completed in `MPIRanks._complete`. So one place notices
a rank that hangs, and a rank that failed and said so. Sums have the same order in each run with as many ranks, as the
MPI standard advises and MPICH does; ranks on other machines may change the order.
"""

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from npse.backend import to_edition, to_host
from npse.support.extras import install
from npse.training.ranks import EndedElsewhere, RankLost, Ranks, Result
from npse.types import Array

PATIENCE = "NPSE_MPI_PATIENCE"
SECONDS = 45.0                   # that a rank waits for others in a step, unless the variable says otherwise
LONG = 3600.0                    # that ranks wait for rank 0 where it works alone: compilation, the report
APART = 600.0                    # that ranks may begin one after another
SPIN, NAP, LOOK = 1e-3, 1e-4, 0.1    # seconds: of waiting without a pause; of a pause; between two looks for messages
GRACE = 3.0                      # seconds in which ranks answer that they live, or agree to end
FAILED, WAITING = 1, 2           # tags of messages to rank 0


def library() -> Any:
    """Return the module `mpi4py.MPI`. Its first import joins the other ranks.

    ImportError if mpi4py or the library of MPI is missing.
    """
    os.environ.setdefault("MPIR_CVAR_SUPPRESS_ABORT_MESSAGE", "1")    # MPICH's; npse prints a line of its own
    try:
        from mpi4py import MPI
    except (ImportError, RuntimeError) as error:                  # RuntimeError: there is no library of MPI
        raise ImportError(f"a launcher such as mpiexec started npse, but mpi4py cannot be used ({error}); run: "
                          f"{install('mpi')}, or start one process without a launcher") from error
    return MPI


class MPIRanks(Ranks):
    """The ranks of a communicator.

    Parameters
    ----------
    world : mpi4py.MPI.Intracomm
    """

    def __init__(self, world: Any) -> None:
        self._mpi = library()
        self._world, self._aside = world.Dup(), world.Dup()       # a message never meets one of other users
        self.rank, self.size = world.rank, world.size
        machine = world.Split_type(self._mpi.COMM_TYPE_SHARED)
        self.local_rank, self.local_size = machine.rank, machine.size
        self.patience = patience()
        self._sums: list[Any] = []
        self._sent: list[Any] = []
        self._guard: subprocess.Popen[bytes] | None = None

    # numbers

    def gather(self, *arrays: Array) -> tuple[Array, ...]:
        own = [np.asarray(to_host(array)) for array in arrays]
        found = self._gathered(np.concatenate([array.astype(np.float64) for array in own]))
        ends = np.cumsum([len(array) for array in own])[:-1]
        return tuple(each.astype(array.dtype) for each, array in zip(np.split(found, ends, axis=1), own, strict=True))

    def sum(self, *arrays: Array) -> tuple[Array, ...]:
        own = [np.asarray(to_host(array)) for array in arrays]
        numbers = np.concatenate([array.reshape(-1) for array in own])
        self._complete([self._world.Iallreduce(self._mpi.IN_PLACE, numbers)])
        ends = np.cumsum([array.size for array in own])[:-1]
        return tuple(to_edition(each.reshape(array.shape))
                     for each, array in zip(np.split(numbers, ends), own, strict=True))

    def from_first(self, array: Array) -> Array:
        numbers = np.array(to_host(array), order="C")
        self._complete([self._world.Ibcast(numbers)])
        return numbers

    def joined(self, rows: Array) -> Array:
        counts = self._gathered(np.array([rows.size]))[:, 0]
        found = np.empty((int(counts.sum()) // rows.shape[1], rows.shape[1]), rows.dtype)
        self._complete([self._world.Iallgatherv(np.ascontiguousarray(rows), [found, counts.tolist()])])
        return found

    def start_sum(self, numbers: Array) -> None:
        self._sums.append(self._world.Iallreduce(self._mpi.IN_PLACE, numbers))

    def poll(self) -> None:
        if self._sums:
            self._mpi.Request.Testall(self._sums)  # MPI moves data only within its calls

    def finish_sums(self) -> None:
        sums, self._sums = self._sums, []
        self._complete(sums)

    def _gathered(self, numbers: Array, patience: float | None = None) -> Array:
        """Return the numbers (n,) of all ranks, (R, n)."""
        found = np.empty((self.size, len(numbers)), numbers.dtype)
        self._complete([self._world.Iallgather(numbers, found)], patience)
        return found

    # words and work

    def first(self, function: Callable[[], Result], *, long: bool = False) -> Result:
        outcome: tuple[Any, BaseException | None] = (None, None)
        if self.rank == 0:
            outcome = _tried(function)
        said = self._said([outcome[0], outcome[1] is None], LONG if long else self.patience)[0]
        if outcome[1] is not None:
            raise outcome[1]
        if not said[1]:
            raise EndedElsewhere
        result: Result = outcome[0] if self.rank == 0 else said[0]
        return result

    def each(self, function: Callable[[], Result]) -> Result:
        result, error = _tried(function)
        words = self._said(None if error is None else str(error) or type(error).__name__, LONG)
        failed = [rank for rank, each in enumerate(words) if each is not None]
        if not failed:
            return result
        if self.rank:
            raise EndedElsewhere
        if error is not None:
            raise error
        raise ChildProcessError(f"rank {failed[0]}: {words[failed[0]]}")

    def in_turn(self, function: Callable[[], object]) -> None:
        for turn in (self.rank == 0, self.rank != 0 and self.local_rank == 0):
            self.each(function if turn else lambda: None)

    def expect_same(self, facts: Mapping[str, Any]) -> None:
        said = self._said(facts, APART)
        for name, value in said[0].items():
            for rank, others in enumerate(said):
                if others.get(name) != value:
                    if self.rank:
                        raise EndedElsewhere
                    raise ValueError(f"all ranks must have the same {name}, but {_difference(value, others.get(name))} "
                                     f"on rank 0 and on rank {rank}")

    def _said(self, words: Any, patience: float) -> list[Any]:
        """Return what each rank says, anything that JSON can hold, in the order of the ranks."""
        own = np.frombuffer(json.dumps(words).encode(), np.uint8)
        counts = self._gathered(np.array([len(own)]), patience)[:, 0]
        found = np.empty(int(counts.sum()), np.uint8)
        self._complete([self._world.Iallgatherv(own, [found, counts.tolist()])], patience)
        return [json.loads(part.tobytes()) for part in np.split(found, np.cumsum(counts)[:-1])]

    # waiting, and the end

    def _complete(self, requests: Sequence[Any], patience: float | None = None) -> None:
        """Wait until operations are complete; RankLost if a rank failed or does not take part in time."""
        began = looked = time.monotonic()
        longest = self.patience if patience is None else patience
        while not self._mpi.Request.Testall(requests):
            now = time.monotonic()
            if now - began > SPIN:
                time.sleep(NAP)                                   # others may need this core
            if now - looked > LOOK:
                looked = now
                self._expect_no_failure()
                if now - began > longest:
                    self._give_up(longest)

    def _expect_no_failure(self) -> None:
        """In rank 0: RankLost if another rank has said that it failed."""
        status = self._mpi.Status()
        if self.rank == 0 and self._aside.Iprobe(self._mpi.ANY_SOURCE, FAILED, status):
            words = bytearray(status.Get_count(self._mpi.BYTE))
            self._aside.Recv(words, status.Get_source(), FAILED)
            raise RankLost(f"rank {status.Get_source()}: {words.decode()}")

    def _give_up(self, seconds: float) -> None:
        """Find out which ranks do not answer, and raise RankLost. Rank 0 speaks if it can."""
        if self.rank:
            self._tell(b"", WAITING)
            time.sleep(2 * GRACE + self.rank * LOOK)              # rank 0 ends all before, unless it is the one
            raise RankLost(_silent([0], seconds))
        alive, until, status = {0}, time.monotonic() + GRACE, self._mpi.Status()
        while time.monotonic() < until:
            if self._aside.Iprobe(self._mpi.ANY_SOURCE, WAITING, status):
                self._aside.Recv(bytearray(0), status.Get_source(), WAITING)
                alive.add(status.Get_source())
            time.sleep(NAP)
        raise RankLost(_silent(sorted({*range(self.size)} - alive), seconds))

    def _tell(self, words: bytes, tag: int) -> None:
        """Send a message to rank 0, which may be gone."""
        self._sent.append(self._aside.Isend(words, 0, tag))       # its memory must live until it is sent

    def leave(self, error: BaseException | None) -> None:
        """End together if all ranks come here soon; else end all of them."""
        if error is not None and self.rank and not isinstance(error, (EndedElsewhere, RankLost)):
            self._tell(" ".join(str(error).split() or [type(error).__name__]).encode(), FAILED)
        alone = isinstance(error, RankLost)
        together = not alone and self._all_here(GRACE if self.rank == 0 else self.patience)
        self._dismiss_guard()
        if not together:
            sys.stdout.flush()
            sys.stderr.flush()
            self._world.Abort(2)

    def _all_here(self, seconds: float) -> bool:
        request, until = self._aside.Ibarrier(), time.monotonic() + seconds
        while not request.Test():
            if time.monotonic() > until:
                return False
            time.sleep(NAP)
        return True

    def watch_over(self, words: str) -> None:
        """Start a shell that prints the words if rank 0 ends without `leave`.

        A launcher kills all ranks as soon as one is killed, so no rank could print anything then.
        """
        if self.rank == 0 and os.name == "posix":
            script = 'trap "" INT TERM HUP; read -r line || echo "$0" >&2'
            self._guard = subprocess.Popen(["sh", "-c", script, words], stdin=subprocess.PIPE,
                                           stdout=subprocess.DEVNULL, start_new_session=True, env=without_launcher())

    def _dismiss_guard(self) -> None:
        guard, self._guard = self._guard, None
        if guard is not None:
            guard.communicate(b"leave\n")


def world(expected: int) -> MPIRanks:
    """Return all ranks; ValueError if they are not as many as the launcher says, ImportError as for `library`."""
    MPI = library()
    if expected != MPI.COMM_WORLD.size:
        name = MPI.Get_library_version().split("\n")[0].strip()
        raise ValueError(f"the launcher started {expected} processes, but mpi4py sees {MPI.COMM_WORLD.size}: it "
                         f"belongs to another MPI ({name}); use the mpiexec of that MPI, or install mpi4py for this "
                         "one")
    return MPIRanks(MPI.COMM_WORLD)


def patience() -> float:
    """Return how many seconds a rank waits for others in a step; ValueError if the variable is not a number."""
    text = os.environ.get(PATIENCE)
    if text is None:
        return SECONDS
    try:
        if (seconds := float(text)) > 0:
            return seconds
    except ValueError:
        pass
    raise ValueError(f"the environment variable {PATIENCE} must be a number of seconds above 0, but is {text!r}")


def without_launcher() -> dict[str, str]:
    """Return the environment of this process without what a launcher put there, for a process that is no rank."""
    ours = ("PMI_", "PMIX_", "OMPI_", "MPI_LOCAL", "HYDI_", "HYDRA_")
    return {name: value for name, value in os.environ.items() if not name.startswith(ours)}


def _tried(function: Callable[[], Any]) -> tuple[Any, BaseException | None]:
    try:
        return function(), None
    except Exception as error:
        return None, error


def _silent(ranks: Sequence[int], seconds: float) -> str:
    if not ranks:
        return f"a message was lost: all ranks wait for each other for {seconds:.0f} s"
    names = ", ".join(map(str, ranks))
    return (f"rank {names} gave no answer for {seconds:.0f} s" if len(ranks) == 1 else
            f"ranks {names} gave no answer for {seconds:.0f} s")


def _difference(ours: Any, theirs: Any) -> str:
    """Return the entry in which two dicts differ, or both values."""
    if isinstance(ours, dict) and isinstance(theirs, dict):
        name = next(name for name in {**ours, **theirs} if ours.get(name) != theirs.get(name))
        return f"{name} is {ours.get(name)!r} and {theirs.get(name)!r}"
    return f"it is {ours!r} and {theirs!r}"
