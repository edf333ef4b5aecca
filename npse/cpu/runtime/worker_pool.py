"""The thread pool as Python sees it: threads that run jobs of compiled code (`thread_pool`), or Python callables."""

import contextlib
import contextvars
import functools
import threading

import numba
import numpy as np

from npse.cpu.runtime.thread_pool import (
    JOB_WORDS,
    ROW_WORDS,
    SLEEPS,
    YIELD_CORE,
    entry_point,
    job_queue,
    replay,
    submit,
    submit_numbered,
    worker_loop,
)


class WorkerPool:
    """A thread pool: ``size`` workers, besides the thread that calls an op."""

    def __init__(self, size):
        if not numba.config.DISABLE_JIT:
            worker_loop.compile((numba.int64,) * 3)   # before the workers start: a fork during their compilation hangs
        self._queue = job_queue(size)
        self._address = self._queue.ctypes.data
        self._workers = []
        with contextlib.suppress(RuntimeError):       # if the system starts no more threads, there are fewer workers
            for number in range(size):
                self._workers.append(_Worker(self._queue, number))
        self._entries = {}                            # machine code by kernel and types of arguments

    def run_kernel(self, kernel, values, count, block, workers, pass_thread):
        """Call a kernel with ranges; compiled code gives them to the threads."""
        entry = self._entry(kernel, values, pass_thread)
        workers = min(workers, len(self._workers))
        for worker in self._workers[:workers]:
            worker.wake()
        run = submit_numbered if pass_thread else submit
        if not run(self._address, workers, YIELD_CORE, entry, count, block, *values):
            raise MemoryError(f"{kernel.__name__} failed on one of its threads, most likely because memory ran out")

    def last_job(self):
        """Return a copy of the last job: (JOB_WORDS,). It holds the addresses of arrays, not the arrays."""
        return self._queue[:JOB_WORDS].copy()

    def run_again(self, jobs, workers):
        """Run jobs (n, JOB_WORDS) that `last_job` returned, on so many workers each (n,); MemoryError if one fails."""
        for worker in self._workers[:workers.max()]:
            worker.wake()
        workers = np.minimum(workers, len(self._workers))
        done = replay(self._address, YIELD_CORE, self._queue[:JOB_WORDS], jobs, workers)
        if done < len(jobs):
            raise MemoryError(f"call {done} of {len(jobs)} recorded ones failed, most likely because memory ran out")

    def _entry(self, kernel, values, pass_thread):
        """Return the address of the kernel's machine code for these arguments."""
        key = kernel, pass_thread, *[(value.dtype, value.ndim, value.flags.num) if isinstance(value, np.ndarray) else
                        (tuple, *map(type, value)) if isinstance(value, tuple) else type(value) for value in values]
        return self._entries.get(key) or self._entries.setdefault(key, entry_point(kernel, values, pass_thread))

    def run_function(self, function, count, block, workers):
        """Call any callable with ranges; Python gives them to the threads.

        After an exception, even that of Ctrl-C, the state of the workers is unknown: the pool must not be used again.
        """
        ranges = iter(range(0, count, block))

        def work():
            for first in ranges:                      # all threads share it: a free thread takes the next range
                function(first, min(first + block, count))

        workers = self._workers[:workers]
        for worker in workers:
            worker.begin(work)
        work()
        for worker in workers:
            worker.finish()


class _Worker:
    """A thread of the pool. It runs jobs that compiled code submits; without a job it sleeps or runs Python code."""

    def __init__(self, queue, number):
        self._queue, self._number = queue, number
        self._sleeps = queue[JOB_WORDS + ROW_WORDS * number + SLEEPS:][:1]
        self._woken = 0                               # value of _sleeps when the thread was last woken
        self._changed = threading.Condition()
        self._called, self._work, self._busy, self._error = False, None, False, None
        threading.Thread(target=self._live, name="npse", daemon=True).start()

    def wake(self):
        """Wake the thread if it sleeps, so that it polls for jobs."""
        sleeps = self._sleeps[0]
        if sleeps != self._woken:
            self._woken = sleeps
            with self._changed:
                self._called = True
                self._changed.notify_all()

    def begin(self, work):
        """Make the thread call work() when it is free."""
        # In a copy of the caller's context, so that np.errstate applies there too.
        with self._changed:
            self._work, self._busy = functools.partial(contextvars.copy_context().run, work), True
            self._changed.notify_all()

    def finish(self):
        """Cancel the work if it has not begun, else wait for its end; raise the error that it raised."""
        with self._changed:
            if self._work:
                self._work, self._busy = None, False
            self._changed.wait_for(lambda: not self._busy)
            error, self._error = self._error, None
            if error:
                raise error

    def _live(self):
        while True:
            if not numba.config.DISABLE_JIT:
                worker_loop(self._queue.ctypes.data, self._number, YIELD_CORE)
            with self._changed:
                self._changed.wait_for(lambda: self._work or self._called)
                self._called = False
            self._do()

    def _do(self):
        with self._changed:
            work, self._work = self._work, None
        if work is None:
            return
        error = None
        try:
            work()
        except BaseException as raised:               # of any kind: `finish` raises it in the calling thread
            error = raised
        del work                                      # before the caller goes on: it holds arrays
        with self._changed:
            self._error, self._busy = error, False
            self._changed.notify_all()
