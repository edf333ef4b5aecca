"""The threads of this edition: one thread pool for compiled kernels and for matrix products.

Numba's `prange` is not used, for four reasons. Its OpenMP pool polls on the cores that the BLAS library needs next. A
parallel kernel takes seconds to compile, a sequential one tenths of a second. A forked process hangs. The machine
decides which pool is used.

Here every kernel is sequential, and each thread works on ranges of images. In `parallel_for`, compiled code gives the
ranges of a kernel to the threads (`thread_pool`). In `run_on_threads`, Python does so for any other callable, such as a
matrix product. A waiting worker polls, yields the core between polls, and sleeps after less than a millisecond without
work.
"""

import contextlib
import contextvars
import functools
import os
import threading

import numba
import numpy as np
import threadpoolctl

from npse.cpu.runtime.jit import kernel
from npse.cpu.runtime.memory_pool import using_pool
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
from npse.support import environment
from npse.support.arithmetic import ceil_div

_threads = min(environment.threads(), numba.config.NUMBA_NUM_THREADS)
_pool_lock = threading.RLock()                # held by the Python thread that uses the pool
_calls = None                                 # within `recording`: the set of kernel calls recorded so far
_recorder = contextvars.ContextVar("the recorder of `recorded_by`", default=None)


def get_threads():
    """Return the number of threads that the ops of this edition use."""
    return _threads


def set_threads(count):
    """Run the ops of this edition on ``count`` threads from now on. Every bit of a result is the same for any number.

    ValueError if ``count`` is not an integer of at least 1, or is larger than `environment.MOST_THREADS`.
    """
    global _threads
    if not isinstance(count, (int, np.integer)) or count < 1:
        raise ValueError(f"set_threads: threads must be an integer of at least 1, but is {count!r}")
    if count > environment.MOST_THREADS:
        raise ValueError(f"set_threads: threads must be at most {environment.MOST_THREADS}, but is {count}")
    _threads = int(count)


def parallel_for(kernel, count, block=None, *, threads=None, pass_thread=False):
    """Split 0 .. count into ranges, call ``kernel(*values, first, last)`` for each on all threads, and wait for all.

    Compiled code gives the ranges to the threads.

    Parameters
    ----------
    kernel : kernel, or `functools.partial` of one
        It may write only to elements that belong to its range. The arguments of the partial are its ``values``.
    count : int
    block : int, optional
        Length of a range. By default there are four ranges for each thread.
    threads : int, optional
        The largest number of threads to use.
    pass_thread : bool
        Call ``kernel(*values, thread, first, last)``, with the number of the thread, from 0. Kernels with scratch
        memory for each of ``threads`` need it. Calls with the same number never run at the same time.

    Raises
    ------
    MemoryError
        The kernel failed on one of the threads.
    """
    bound = functools.partial(kernel)                 # a partial of a partial becomes one: func is the kernel
    block, workers = _ranges(count, block, threads)
    recorder = _recorder.get()
    if numba.config.DISABLE_JIT:                      # plain Python runs one thread at a time in any case
        for first in range(0, count, block):
            bound(*[0] * pass_thread, first, min(first + block, count))
    elif _calls is not None:
        _calls.update(_needed(bound.func, bound.args, pass_thread, workers))
    elif workers < 1 and recorder is None:
        if count > 0:
            bound(*[0] * pass_thread, 0, count)
    elif count > 0:
        with _pool_lock:
            pool, block, workers = _pool(_threads - 1), block if workers > 0 else count, max(0, workers)
            pool.run_kernel(bound.func, bound.args, count, block, workers, pass_thread)
            if recorder is not None:
                recorder.add_job(pool.last_job(), workers, bound.args)


def run_on_threads(function, count, block=None):
    """Split 0 .. count into ranges, call ``function(first, last)`` for each on all threads, and wait for all.

    Parameters
    ----------
    function : callable
        Any Python callable, such as a matrix product. It may write only to elements that belong to its range.
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


def on_host(function, *arguments, **options):
    """Call a function of arrays that is not a kernel, as one part of the work that may be recorded.

    While work is recorded, NumPy's arithmetic on its arrays must be done in such functions or in kernels. When the work
    is done again, the function is called again, and its results, arrays, are copied to where they were at first.

    Raises
    ------
    RuntimeError
        Work is recorded, and the function returns something else than arrays.
    """
    recorder = _recorder.get()
    if recorder is None:
        return function(*arguments, **options)
    with recorded_by(None), using_pool(None):
        results = function(*arguments, **options)
    places = results if isinstance(results, tuple) else () if results is None else (results,)
    if not all(isinstance(place, np.ndarray) for place in places):
        raise RuntimeError(f"{getattr(function, '__name__', function)} returns something else than arrays, so it "
                           "cannot be recorded")

    def again():
        new = function(*arguments, **options)
        for place, value in zip(places, new if isinstance(new, tuple) else (new,), strict=False):
            if value is not place:
                np.copyto(place, value)
    recorder.add_function(again)
    return results


def zeros(shape, dtype):
    """Return an array of zeros, for kernels that add to it. If work is recorded, it is cleared each time."""
    array = np.zeros(shape, dtype)
    if is_recording():
        parallel_for(functools.partial(_clear, array.reshape(-1)), array.size, array.size)
    return array


@kernel
def _clear(array, first, last):
    array[first:last] = 0


@contextlib.contextmanager
def recorded_by(recorder):
    """Within the ``with`` block, in this thread, report to a recorder; with None to nobody.

    It is told of every kernel by ``add_job(job, workers, values)``, of functions of `on_host` by ``add_function``.
    """
    token = _recorder.set(recorder)
    try:
        yield
    finally:
        _recorder.reset(token)


def is_recording():
    """Return whether the work of this thread is recorded."""
    return _recorder.get() is not None


def run_again(jobs, workers):
    """Run jobs (n, JOB_WORDS) that a recorder was given, on so many workers each (n,); MemoryError if one fails."""
    with _pool_lock:
        _pool(_threads - 1).run_again(jobs, workers)


def _ranges(count, block, threads=None):
    """Return the length of a range, and the number of workers besides the calling thread."""
    most = _threads                                   # read once, because another Python thread may change it
    block = block or ceil_div(count, 4 * most) or 1
    return block, min(most, threads or most, ceil_div(count, block)) - 1


@contextlib.contextmanager
def recording():
    """Within the ``with`` block `parallel_for` records kernels instead of calling them; results are uninitialized.

    Yields a set of pairs, each a kernel and the types of its arguments.
    """
    global _calls
    before, _calls = _calls, set()
    try:
        yield _calls
    finally:
        _calls = before


def _needed(kernel, values, pass_thread, workers):
    """Yield what must be compiled for a call: the kernel, and with workers the functions that distribute its ranges."""
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
        """Do what the function `run_again` does."""
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
        """Call any callable with ranges; Python gives them to the threads."""
        ranges = iter(range(0, count, block))

        def work():
            for first in ranges:                      # all threads share it: a free thread takes the next range
                function(first, min(first + block, count))

        workers = self._workers[:workers]
        try:
            for worker in workers:
                worker.begin(work)
            work()
            for worker in workers:
                worker.finish()
        except BaseException:                         # after Ctrl-C the state of the workers is unknown
            _pool.cache_clear()
            raise


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
    """Within the ``with`` block a BLAS call runs on one thread. `run_on_threads` distributes the calls over threads."""
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
