"""The threads of this edition: one pool for compiled kernels and matrix products alike, so that nothing competes.

Why not Numba's own `prange`? Its pool (OpenMP) spins on and on, on the cores that the BLAS library needs by then; a
parallel kernel takes seconds to compile where a sequential one takes tenths; a forked process hangs; and which pool one
gets depends on the machine. Here every kernel is sequential, and each thread is handed ranges of images: kernels by
compiled code (thread_pool.py), anything else, as a matrix product, by Python. A waiting worker polls, yields the core
between polls, and blocks after less than 1 ms without work.
"""

import contextlib
import contextvars
import functools
import os
import threading

import numba
import numpy as np
import threadpoolctl
from numba.core.dispatcher import Dispatcher

from npse.cpu.runtime.thread_pool import (
    JOB_WORDS,
    ROW_WORDS,
    SLEEPS,
    YIELD_CORE,
    entry_point,
    job_queue,
    submit,
    submit_numbered,
    worker_loop,
)
from npse.support import environment

_count = min(environment.threads(), numba.config.NUMBA_NUM_THREADS)
_pool_lock = threading.RLock()                     # two Python threads that call ops take turns
_calls = None                                 # the kernels called, while `recording` keeps them from running


def get_threads():
    """Return how many threads the ops of this edition run on."""
    return _count


def set_threads(count):
    """Run the ops of this edition on ``count`` threads from here on. Results do not depend on it, to the last bit."""
    global _count
    if not isinstance(count, (int, np.integer)) or count < 1:
        raise ValueError(f"set_threads: threads must be an integer of at least 1, but is {count!r}")
    if count > environment.MOST_THREADS:
        raise ValueError(f"set_threads: threads must be at most {environment.MOST_THREADS}, but is {count}")
    _count = int(count)


def parallel_for(kernel, count, block=None, numbered=None):
    """Call ``kernel(first, last)`` for the ranges that make up 0 .. count, on all threads; return when all is done.

    Compiled code hands out the ranges: a call costs a few microseconds.

    Parameters
    ----------
    kernel : kernel, or `functools.partial` of one
        Writes to places that belong to its range alone.
    count : int
    block : int, optional
        Length of a range. If left out, four ranges a thread.
    numbered : int, optional
        For a kernel with scratch memory for so many threads: take no more threads than these, and call
        ``kernel(thread, first, last)`` with the number of the thread, from 0. No two calls at a time have the same.
    """
    function, values = (kernel.func, kernel.args) if isinstance(kernel, functools.partial) else (kernel, ())
    if not isinstance(function, Dispatcher):                      # with NUMBA_DISABLE_JIT=1
        run_on_threads(kernel, count, block, numbered)
        return
    size = _count                             # read once: another Python thread may set it meanwhile
    block, workers = _plan(size, count, block, numbered)
    if _calls is not None:
        _calls.update(_needed(function, values, numbered is not None, workers))
    elif workers < 1:
        kernel(*[0] * (numbered is not None), 0, count)
    else:
        with _pool_lock:
            _pool(size - 1).run(function, values, count, block, workers, numbered is not None)


def run_on_threads(task, count, block=None, numbered=None):
    """The same as `parallel_for` for any Python function, such as one that calls the BLAS library."""
    size = _count
    block, workers = _plan(size, count, block, numbered)
    if workers < 1:
        for first in range(0, count, block):
            task(*[0] * (numbered is not None), first, min(first + block, count))
        return
    with _pool_lock:
        _pool(size - 1).call(task, count, block, workers, numbered is not None)


def _plan(size, count, block, numbered):
    """Return the length of a range, and how many workers help the thread that calls."""
    block = block or -(-count // (4 * size))
    return block, min(size, numbered or size, -(-count // block)) - 1


@contextlib.contextmanager
def recording():
    """Within the ``with`` block `parallel_for` records the kernels and calls none, so that results hold anything.

    Yields a set of pairs, each a kernel and the types of its arguments.
    """
    global _calls
    before, _calls = _calls, set()
    try:
        yield _calls
    finally:
        _calls = before


def _needed(kernel, values, numbered, workers):
    """What a call needs compiled: the kernel and, with workers, the functions that hand out its ranges."""
    kinds, word = tuple(map(numba.typeof, values)), numba.int64
    yield kernel, (*kinds, *[word] * (2 + numbered))
    if workers > 0:
        yield (submit_numbered if numbered else submit), (*[word] * 6, numba.types.BaseTuple.from_types(kinds))
        yield worker_loop, (word,) * 3


class WorkerPool:
    """The worker threads, which help the thread that calls an op."""

    def __init__(self, size):
        if not numba.config.DISABLE_JIT:
            worker_loop.compile((numba.int64,) * 3)     # else a worker does; a process forked meanwhile waits for ever
        self._queue = job_queue(size)
        self._place = self._queue.ctypes.data
        self._workers = []
        with contextlib.suppress(RuntimeError):    # the system starts no more threads: then fewer help
            for number in range(size):
                self._workers.append(_Worker(self._queue, number))
        self._entries = {}

    def run(self, kernel, values, count, block, workers, numbered):
        """Hand out ranges to a kernel, by compiled code."""
        key = kernel, numbered, *[(value.dtype, value.ndim, value.flags.num) if isinstance(value, np.ndarray) else
                        (tuple, *map(type, value)) if isinstance(value, tuple) else type(value) for value in values]
        entry = self._entries.get(key) or self._entries.setdefault(key, entry_point(kernel, values, numbered))
        workers = min(workers, len(self._workers))
        for worker in self._workers[:workers]:
            worker.wake()
        hand_out = submit_numbered if numbered else submit
        if not hand_out(self._place, workers, YIELD_CORE, entry, count, block, *values):
            raise MemoryError(f"{kernel.__name__} failed on one of its threads, most likely for want of memory")

    def call(self, task, count, block, workers, numbered):
        """Hand out ranges to any callable."""
        ranges = iter(range(0, count, block))

        def work(thread):
            for first in ranges:              # shared: whoever is free takes the next range
                task(*[thread] * numbered, first, min(first + block, count))

        team = self._workers[:workers]
        try:
            for worker in team:
                worker.begin(work)
            work(0)
            for worker in team:
                worker.finish()
        except BaseException:                 # Ctrl-C at any point: nobody knows who is at what
            _pool.cache_clear()
            raise


class _Worker:
    """A thread that runs the jobs of compiled code, or what Python gives it, and sleeps while there is neither."""

    def __init__(self, job_queue, number):
        row = JOB_WORDS + ROW_WORDS * number
        self._queue, self._number, self._sleeps = job_queue, number, job_queue[row + SLEEPS:][:1]
        self._seen_sleeps = 0                       # sleeps that it was woken from
        self._news = threading.Condition()
        self._called, self._work, self._busy, self._error = False, None, False, None
        threading.Thread(target=self._loop, name="npse", daemon=True).start()

    def wake(self):
        """If it sleeps, wake it, so that it polls again."""
        sleeps = self._sleeps[0]
        if sleeps != self._seen_sleeps:
            self._seen_sleeps = sleeps
            with self._news:
                self._called = True
                self._news.notify_all()

    def begin(self, work):
        """Let it call work(number) when it comes to it."""
        # in a copy of the caller's context, so that np.errstate holds there too
        with self._news:
            self._work, self._busy = functools.partial(contextvars.copy_context().run, work, self._number + 1), True
            self._news.notify_all()

    def finish(self):
        """Wait for the end of the work, or take it back if it has not begun; raise what it raised."""
        with self._news:
            if self._work:
                self._work, self._busy = None, False
            self._news.wait_for(lambda: not self._busy)
            if self._error:
                raise self._error

    def _loop(self):
        while True:
            if not numba.config.DISABLE_JIT:
                worker_loop(self._queue.ctypes.data, self._number, YIELD_CORE)
            with self._news:
                self._news.wait_for(lambda: self._work or self._called)
                work, self._work, self._called = self._work, None, False
            if work:
                self._do(work)

    def _do(self, work):
        self._error = None
        try:
            work()
        except BaseException as error:        # of any kind: the caller shall hear of it
            self._error = error
        with self._news:
            self._busy = False
            self._news.notify_all()


@contextlib.contextmanager
def blas_on_one_thread():
    """Within the ``with`` block the BLAS library stays on the thread that calls it."""
    with _pool_lock:
        before = [(library, library.get_num_threads()) for library in _blas().lib_controllers]
        try:
            for library, _ in before:
                library.set_num_threads(1)
            yield
        finally:
            for library, count in before:
                library.set_num_threads(count)


@functools.cache
def _blas():
    return threadpoolctl.ThreadpoolController().select(user_api="blas")


@functools.cache
def _pool(size):
    return WorkerPool(size)


def _start_afresh():
    global _pool_lock
    _pool_lock = threading.RLock()
    _pool.cache_clear()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_start_afresh)      # threads do not survive a fork
