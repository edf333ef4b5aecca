"""Compile kernels before they are called, in several processes. Within one process Numba compiles one kernel at a time.

The work is called once, and its kernel calls are recorded instead of run, which takes little time. Worker processes
compile the recorded kernels into the folder of the edition. This process and every later one load them from there.
"""

import concurrent.futures
import contextlib
import hashlib
import itertools
import operator
import os
import pickle
import queue
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Protocol

PROCESSES = 8                    # at most, because each takes a quarter of a gigabyte
_WORKER = "from npse.editions.compile_ahead import serve; serve()"

Work = Callable[[], object]
Name = tuple[str, str]


class Kernels(Protocol):
    """How an edition finds and compiles its kernels. Other processes get a copy of this object."""

    def needed_by(self, work: Work) -> dict[Name, Any]:
        """Call ``work()`` without running kernels; return the kernels it calls, by kernel and types of arguments.

        The names are the same in every process.
        """

    def compile(self, found: Any) -> bool:
        """Compile one of these kernels into the folder, or find it there; return whether it was compiled."""


def compile_ahead(kernels: Kernels, folder: Path | None, work: Work, say: Callable[[int, int], object],
                  processes: int) -> int:
    """Compile the kernels that ``work()`` calls into a folder, unless they are there or there is no folder.

    A kernel that cannot be compiled ahead is compiled when it is called.

    Parameters
    ----------
    kernels : Kernels
    folder : Path or None
    work : callable without arguments
        A function of a module, or a `functools.partial` of one, because other processes call it too. It must accept
        uninitialized arrays, because no kernel runs.
    say : callable
        Called as say(done, of) with the number of kernels that are ready, and the number of those that were missing.
    processes : int
        Number of processes that compile, at most.

    Returns
    -------
    int
        Number of kernels that were compiled.
    """
    needed = kernels.needed_by(work)
    if folder is None:
        return 0
    ready = {path.name for path in folder.glob("ready-*")}        # an empty file for each kernel
    missing = sorted(name for name in needed if _mark(name) not in ready)
    groups = [list(group) for _, group in itertools.groupby(missing, key=operator.itemgetter(0))]
    if not groups:
        return 0
    groups.sort(key=len, reverse=True)        # one group for each kernel: its signatures call mostly the same functions
    count, done, compiled = min(processes, PROCESSES, len(groups)), 0, 0
    with concurrent.futures.ThreadPoolExecutor(count) as pool, _workers(count, kernels, work) as free:
        def compile_group(group: list[Name]) -> tuple[int, int]:
            worker = free.get()
            new = worker.compile(group)
            free.put(worker)
            if new is not None:
                with contextlib.suppress(OSError):
                    for name in group:
                        (folder / _mark(name)).touch()
            return len(group), new or 0

        say(done, len(missing))
        for job in concurrent.futures.as_completed([pool.submit(compile_group, group) for group in groups]):
            of_group, new = job.result()
            done, compiled = done + of_group, compiled + new
            say(done, len(missing))
    return compiled


def _mark(name: Name) -> str:
    return f"ready-{hashlib.sha256(repr(name).encode()).hexdigest()[:16]}"


@contextlib.contextmanager
def _workers(count: int, kernels: Kernels, work: Work) -> Iterator["queue.SimpleQueue[_Worker]"]:
    """Yield a queue of workers; they are killed at the end of the ``with`` block."""
    with contextlib.ExitStack() as stack:
        free: queue.SimpleQueue[_Worker] = queue.SimpleQueue()
        for _ in range(count):
            free.put(stack.enter_context(_Worker(kernels, work)))
        yield free


class _Worker:
    """A process that compiles kernels. If it ends early, the other kernels are compiled when they are called."""

    def __init__(self, kernels: Kernels, work: Work) -> None:
        paths = os.pathsep.join(filter(None, sys.path))
        self._process = subprocess.Popen([sys.executable, "-c", _WORKER], env=os.environ | {"PYTHONPATH": paths},
                                         stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
        self._send((kernels, work))

    def __enter__(self) -> "_Worker":
        return self

    def __exit__(self, *exception: object) -> None:
        self._process.kill()
        self._process.communicate()

    def compile(self, names: list[Name]) -> int | None:
        """Compile kernels; when they are in the folder, return how many were compiled, None if the process ended."""
        try:
            self._send(names)
            answers: Any = self._process.stdout
            compiled: int = pickle.load(answers)
            return compiled
        except (OSError, EOFError):
            return None

    def _send(self, message: object) -> None:
        pipe: Any = self._process.stdin
        pickle.dump(message, pipe)
        pipe.flush()


def serve() -> None:
    """Run as a worker: read names from standard input and answer when their kernels are compiled, until input ends."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)                  # Ctrl-C is handled by the parent process
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)                                                 # standard output carries answers only
    kernels, work = pickle.load(sys.stdin.buffer)
    needed = kernels.needed_by(work)
    with contextlib.suppress(EOFError):
        while True:
            names = needed.keys() & set(pickle.load(sys.stdin.buffer))
            pickle.dump(sum(kernels.compile(needed[name]) for name in names), answers)
            answers.flush()
