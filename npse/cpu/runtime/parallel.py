"""The threads of this edition: one thread pool for compiled kernels and for matrix products.

Numba's `prange` is not used. Its OpenMP pool polls on the cores that the BLAS library needs next; a parallel kernel
takes seconds to compile where a sequential one takes tenths of a second; a forked process hangs; and which pool is used
depends on the machine. Here every kernel is sequential, and each thread works on ranges of images. `parallel_for` hands
out the ranges of a kernel by compiled code (`thread_pool`). `run_on_threads` hands out those of any other callable, as
of a matrix product, by Python. A waiting worker polls, yields the core between polls, and sleeps after less than a
millisecond without work.
"""

import contextlib
import contextvars
import functools
import os
import threading

import numba
import numpy as np
import threadpoolctl

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

_threads = min(environment.threads(), numba.config.NUMBA_NUM_THREADS)
_pool_lock = threading.RLock()                # one Python thread at a time uses the pool
_calls = None                                 # within `recording`: the set of kernel calls recorded so far


def get_threads():
    """Return how many threads the ops of this edition run on."""
    return _threads


def set_threads(count):
    """Run the ops of this edition on ``count`` threads from now on. Results do not depend on it, bit for bit."""
    global _threads
    if not isinstance(count, (int, np.integer)) or count < 1:
        raise ValueError(f"set_threads: threads must be an integer of at least 1, but is {count!r}")
    if count > environment.MOST_THREADS:
        raise ValueError(f"set_threads: threads must be at most {environment.MOST_THREADS}, but is {count}")
    _threads = int(count)


def parallel_for(kernel, count, block=None, *, threads=None, pass_thread=False):
    """Call ``kernel(*values, first, last)`` for the ranges that make up 0 .. count, on all threads; wait for the end.

    Compiled code hands out the ranges.

    Parameters
    ----------
    kernel : kernel, or `functools.partial` of one
        Writes only to places that belong to its range. The arguments of the partial are its ``values``.
    count : int
    block : int, optional
        Length of a range. By default there are four ranges for each thread.
    threads : int, optional
        Use at most so many threads.
    pass_thread : bool
        Call ``kernel(*values, thread, first, last)``, with the number of the thread, from 0: for kernels with scratch
        memory for each of ``threads``. No two calls run at once with the same number.

    Raises
    ------
    MemoryError
        If the kernel failed on one of the threads.
    """
    bound = functools.partial(kernel)                 # joins partials of partials: func is the kernel
    block, workers = _ranges(count, block, threads)
    if numba.config.DISABLE_JIT:                      # plain Python: one thread at a time would run anyway
        for first in range(0, count, block):
            bound(*[0] * pass_thread, first, min(first + block, count))
    elif _calls is not None:
        _calls.update(_needed(bound.func, bound.args, pass_thread, workers))
    elif workers < 1:
        if count > 0:
            bound(*[0] * pass_thread, 0, count)
    else:
        with _pool_lock:
            _pool(_threads - 1).run_kernel(bound.func, bound.args, count, block, workers, pass_thread)


def run_on_threads(function, count, block=None):
    """Call ``function(first, last)`` for the ranges that make up 0 .. count, on all threads; wait for the end.

    Parameters
    ----------
    function : callable
        Any Python callable, such as one that calls a matrix product. Writes only to places that belong to its range.
    count, block
        As for `parallel_for`.
    """
    block, workers = _ranges(count, block)
    if workers < 1:
        for first in range(0, count, block):
            function(first, min(first + block, count))
        return
    with _pool_lock:
        _pool(_threads - 1).run_function(function, count, block, workers)


def _ranges(count, block, threads=None):
    """Return the length of a range, and the number of workers besides the calling thread."""
    most = _threads                                   # read once: another Python thread may set it meanwhile
    block = block or -(-count // (4 * most)) or 1
    return block, min(most, threads or most, -(-count // block)) - 1


@contextlib.contextmanager
def recording():
    """Within the ``with`` block `parallel_for` records kernels instead of calling them: results are uninitialised.

    Yields a set of pairs, each a kernel and the types of its arguments.
    """
    global _calls
    before, _calls = _calls, set()
    try:
        yield _calls
    finally:
        _calls = before


def _needed(kernel, values, pass_thread, workers):
    """What a call needs compiled: the kernel and, with workers, the functions that hand out its ranges."""
    kinds, word = tuple(map(numba.typeof, values)), numba.int64
    yield kernel, (*kinds, *[word] * (2 + pass_thread))
    if workers > 0:
        yield (submit_numbered if pass_thread else submit), (*[word] * 6, numba.types.BaseTuple.from_types(kinds))
        yield worker_loop, (word,) * 3


class WorkerPool:
    """A thread pool: ``size`` workers, besides the thread that calls an op."""

    def __init__(self, size):
        if not numba.config.DISABLE_JIT:
            worker_loop.compile((numba.int64,) * 3)   # before the workers start: a fork during their compilation hangs
        self._queue = job_queue(size)
        self._address = self._queue.ctypes.data
        self._workers = []
        with contextlib.suppress(RuntimeError):       # the system starts no more threads: then there are fewer workers
            for number in range(size):
                self._workers.append(_Worker(self._queue, number))
        self._entries = {}                            # machine code by kernel and types of arguments

    def run_kernel(self, kernel, values, count, block, workers, pass_thread):
        """Hand out ranges to a kernel, by compiled code."""
        entry = self._entry(kernel, values, pass_thread)
        workers = min(workers, len(self._workers))
        for worker in self._workers[:workers]:
            worker.wake()
        run = submit_numbered if pass_thread else submit
        if not run(self._address, workers, YIELD_CORE, entry, count, block, *values):
            raise MemoryError(f"{kernel.__name__} failed on one of its threads, most likely for want of memory")

    def _entry(self, kernel, values, pass_thread):
        """Return the address of the kernel's machine code for these arguments."""
        key = kernel, pass_thread, *[(value.dtype, value.ndim, value.flags.num) if isinstance(value, np.ndarray) else
                        (tuple, *map(type, value)) if isinstance(value, tuple) else type(value) for value in values]
        return self._entries.get(key) or self._entries.setdefault(key, entry_point(kernel, values, pass_thread))

    def run_function(self, function, count, block, workers):
        """Hand out ranges to any callable, by Python."""
        ranges = iter(range(0, count, block))

        def work():
            for first in ranges:                      # shared: a thread that is free takes the next range
                function(first, min(first + block, count))

        workers = self._workers[:workers]
        try:
            for worker in workers:
                worker.begin(work)
            work()
            for worker in workers:
                worker.finish()
        except BaseException:                         # Ctrl-C at any point: the state of the workers is unknown
            _pool.cache_clear()
            raise


class _Worker:
    """A thread that runs jobs that compiled code submits; without any it sleeps, or runs a function of Python."""

    def __init__(self, queue, number):
        self._queue, self._number = queue, number
        self._sleeps = queue[JOB_WORDS + ROW_WORDS * number + SLEEPS:][:1]
        self._woken = 0                               # value of sleeps when it was last woken
        self._changed = threading.Condition()
        self._called, self._work, self._busy, self._error = False, None, False, None
        threading.Thread(target=self._live, name="npse", daemon=True).start()

    def wake(self):
        """If it sleeps, wake it to poll for jobs."""
        sleeps = self._sleeps[0]
        if sleeps != self._woken:
            self._woken = sleeps
            with self._changed:
                self._called = True
                self._changed.notify_all()

    def begin(self, work):
        """Let it call work(), once it is free."""
        # in a copy of the caller's context, so that np.errstate holds there too
        with self._changed:
            self._work, self._busy = functools.partial(contextvars.copy_context().run, work), True
            self._changed.notify_all()

    def finish(self):
        """Wait for the end of the work, or cancel it if it has not begun; raise the error that it raised."""
        with self._changed:
            if self._work:
                self._work, self._busy = None, False
            self._changed.wait_for(lambda: not self._busy)
            if self._error:
                raise self._error

    def _live(self):
        while True:
            if not numba.config.DISABLE_JIT:
                worker_loop(self._queue.ctypes.data, self._number, YIELD_CORE)
            with self._changed:
                self._changed.wait_for(lambda: self._work or self._called)
                work, self._work, self._called = self._work, None, False
            if work:
                self._do(work)

    def _do(self, work):
        self._error = None
        try:
            work()
        except BaseException as error:                # of any kind: `finish` raises it in the calling thread
            self._error = error
        with self._changed:
            self._busy = False
            self._changed.notify_all()


@contextlib.contextmanager
def blas_on_one_thread():
    """Within the ``with`` block the BLAS library runs on the calling thread: `run_on_threads` spreads the calls."""
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


def _reset_after_fork():
    global _pool_lock
    _pool_lock = threading.RLock()
    _pool.cache_clear()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_reset_after_fork)  # threads do not survive a fork
