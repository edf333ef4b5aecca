"""The threads of this edition: one pool for compiled kernels and matrix products alike, so that nothing competes.

Why not Numba's own `prange`? Its pool (OpenMP) spins while it waits, on the cores that the BLAS library needs by then;
a parallel kernel takes seconds to compile where a sequential one takes tenths; a forked process hangs; and which pool
one gets depends on the machine. Here every kernel is sequential, and each thread is handed a range of images.
"""

import contextlib
import contextvars
import functools
import os
import threading

import numba
import numpy as np
import threadpoolctl

_count = numba.config.NUMBA_NUM_THREADS       # the cores this process may use, or the variable of that name
_turn = threading.RLock()                     # two Python threads that call ops take turns


def get_threads():
    """Return how many threads the ops of this edition run on."""
    return _count


def set_threads(count):
    """Run the ops of this edition on ``count`` threads from here on. Results do not depend on it, to the last bit."""
    global _count
    if not isinstance(count, (int, np.integer)) or count < 1:
        raise ValueError(f"set_threads: the number of threads must be an integer of at least 1, but is {count!r}")
    _count = int(count)


def share(task, count, block=None):
    """Call ``task(first, last)`` for the ranges that make up 0 .. count, on all threads; return when all is done.

    Parameters
    ----------
    task : callable
        Writes to places that belong to its range alone.
    count : int
    block : int, optional
        Length of a range. If left out, four ranges a thread.
    """
    block = block or -(-count // (4 * _count))
    ranges = iter(range(0, count, block))

    def work():
        for first in ranges:                  # shared: whoever is free takes the next range
            task(first, min(first + block, count))

    helpers = min(_count, -(-count // block)) - 1
    if helpers < 1:
        return work()
    with _turn:
        team = _team(helpers)
        try:
            for helper in team:
                helper.begin(work)
            work()
            for helper in team:
                helper.finish()
        except BaseException:                 # Ctrl-C at any point: who holds which baton is no longer known
            _team.cache_clear()
            raise


class _Helper:
    """A thread that runs what it is given. Two locks pass the baton: an executor's futures cost three times as much."""

    def __init__(self):
        self._given, self._done = threading.Lock(), threading.Lock()
        self._given.acquire()
        self._done.acquire()
        threading.Thread(target=self._serve, name="npse", daemon=True).start()

    def begin(self, work):
        # in a copy of the caller's context, so that np.errstate holds there too
        self._work = functools.partial(contextvars.copy_context().run, work)
        self._given.release()

    def finish(self):
        """Wait for the end of the work, or take it back if it has not begun; raise what it raised."""
        if not self._given.acquire(blocking=False):
            self._done.acquire()
            if self._error:
                raise self._error

    def _serve(self):
        while True:
            self._given.acquire()
            self._error = None
            try:
                self._work()
            except BaseException as error:    # of any kind: the caller shall hear of it
                self._error = error
            self._work = None                 # it holds the arrays
            self._done.release()


@contextlib.contextmanager
def blas_on_one_thread():
    """Within the ``with`` block the BLAS library stays on the thread that calls it: `share` spreads the calls."""
    with _turn, _blas().limit(limits=1):
        yield


@functools.cache
def _blas():
    return threadpoolctl.ThreadpoolController().select(user_api="blas")


@functools.cache
def _team(size):
    return [_Helper() for _ in range(size)]


def _start_afresh():
    global _turn
    _turn = threading.RLock()
    _team.cache_clear()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_start_afresh)      # threads do not survive a fork
