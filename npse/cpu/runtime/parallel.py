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
import functools
import os
import threading

import numba
import numpy as np
import threadpoolctl

from npse.cpu.runtime.recorder import recorder_of_thread
from npse.cpu.runtime.thread_pool import submit, submit_numbered, worker_loop
from npse.cpu.runtime.worker_pool import WorkerPool
from npse.support import environment
from npse.support.arithmetic import ceil_div

_threads = min(environment.threads(), numba.config.NUMBA_NUM_THREADS)
_pool_lock = threading.RLock()                # held by the Python thread that uses the pool
_calls = None                                 # within `listing`: the set of kernel calls so far


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
    recorder = recorder_of_thread()
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
        try:
            _pool(_threads - 1).run_function(function, count, block, workers)
        except BaseException:
            _pool.cache_clear()
            raise


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
def listing():
    """Within the ``with`` block `parallel_for` lists kernels instead of calling them; results are uninitialized.

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
