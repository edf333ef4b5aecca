"""Compile kernels before they are called, in several processes. Within one process Numba compiles one kernel at a time.

The work is called once, and its kernel calls are recorded instead of run, which takes little time. Worker processes
compile the recorded kernels into the cache folder. This process and every later one load them from there.
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

import numpy as np

from npse.cpu.runtime.jit import cache_folder
from npse.cpu.runtime.parallel import get_threads, recording, set_threads

PROCESSES = 8                    # at most, because each takes a quarter of a gigabyte
_WORKER = "from npse.cpu.runtime.compile_ahead import serve; serve()"


def compile_ahead(work, say=lambda done, of: None, processes=None):
    """Compile the kernels that ``work()`` calls into the cache folder, unless all are there or there is no folder.

    A kernel that cannot be compiled ahead is compiled when it is called.

    Parameters
    ----------
    work : callable without arguments
        A function of a module, or a `functools.partial` of one, because other processes call it too. It must accept
        uninitialized arrays, because no kernel runs.
    say : callable, optional
        Called as say(done, of) with the number of kernels that are ready, and the number of all kernels.
    processes : int, optional
        Number of processes that compile; by default one for each thread of this edition.

    Returns
    -------
    int
        Number of kernels that were compiled.
    """
    folder = cache_folder()
    needed = needed_by(work)
    if folder is None or not needed:
        return 0
    ready = folder / f"ready-{_digest(needed)}"
    if ready.exists():
        return 0
    groups = [list(group) for _, group in itertools.groupby(sorted(needed), key=operator.itemgetter(0))]
    groups.sort(key=len, reverse=True)        # one group for each kernel: its signatures call mostly the same functions
    count, done, compiled = min(processes or get_threads(), PROCESSES, len(groups)), 0, 0
    with concurrent.futures.ThreadPoolExecutor(count) as pool, _workers(count, work) as free:
        def compile_group(group):
            worker = free.get()
            new = worker.compile(group)
            free.put(worker)
            return len(group), new

        say(done, len(needed))
        for job in concurrent.futures.as_completed([pool.submit(compile_group, group) for group in groups]):
            of_group, new = job.result()
            done, compiled = done + of_group, compiled + new
            say(done, len(needed))
    with contextlib.suppress(OSError):
        ready.touch()
    return compiled


def needed_by(work):
    """Call ``work()`` without running kernels; return the kernels it calls: {name: (kernel, types of arguments)}."""
    with recording() as calls, np.errstate(all="ignore"):
        work()
    return {_name(kernel, kinds): (kernel, kinds) for kernel, kinds in calls}


def _name(kernel, kinds):
    """Return two strings for a kernel and its argument types, the same in every process."""
    function = kernel.py_func
    return f"{function.__module__}.{function.__qualname__}", str(kinds)


def _digest(needed):
    return hashlib.sha256(repr(sorted(needed)).encode()).hexdigest()[:16]


@contextlib.contextmanager
def _workers(count, work):
    """Yield a queue of workers; they are killed at the end of the ``with`` block."""
    with contextlib.ExitStack() as stack:
        free = queue.SimpleQueue()
        for _ in range(count):
            free.put(stack.enter_context(_Worker(work)))
        yield free


class _Worker:
    """A process that compiles kernels. If it ends early, the other kernels are compiled when they are called."""

    def __init__(self, work):
        paths = os.pathsep.join(filter(None, sys.path))
        self._process = subprocess.Popen([sys.executable, "-c", _WORKER], env=os.environ | {"PYTHONPATH": paths},
                                         stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
        self._send((work, get_threads()))

    def __enter__(self):
        return self

    def __exit__(self, *exception):
        self._process.kill()
        self._process.communicate()

    def compile(self, names):
        """Compile kernels; when they are in the cache folder, return how many were compiled."""
        try:
            self._send(names)
            return pickle.load(self._process.stdout)
        except (OSError, EOFError):
            return 0

    def _send(self, message):
        pickle.dump(message, self._process.stdin)
        self._process.stdin.flush()


def serve():
    """Run as a worker: read names from standard input and answer when their kernels are compiled, until input ends."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)                  # Ctrl-C is handled by the parent process
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)                                                 # standard output carries answers only
    work, threads = pickle.load(sys.stdin.buffer)
    set_threads(threads)
    needed = needed_by(work)
    with contextlib.suppress(EOFError):
        while True:
            names = needed.keys() & set(pickle.load(sys.stdin.buffer))
            pickle.dump(sum(_compile(*needed[name]) for name in names), answers)
            answers.flush()


def _compile(kernel, kinds):
    """Compile a kernel or load it; return whether it was compiled."""
    kernel.compile(kinds)
    return kinds in kernel.stats.cache_misses
