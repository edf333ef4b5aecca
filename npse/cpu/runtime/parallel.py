"""The threads of this edition: one pool for compiled kernels and matrix products alike, so that nothing competes.

Why not Numba's own `prange`? Its pool (OpenMP) spins on and on, on the cores that the BLAS library needs by then; a
parallel kernel takes seconds to compile where a sequential one takes tenths; a forked process hangs; and which pool one
gets depends on the machine. Here every kernel is sequential, and each thread is handed ranges of images: kernels by
compiled code (`thread_pool`), anything else, as a matrix product, by Python. Who waits looks out for work, gives the
core away while it does, and sleeps after less than a millisecond.
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

from npse.cpu.runtime.thread_pool import GIVE_WAY, NAPS, ROOM, ROW, board, entry_point, offer, offer_numbered, serve
from npse.support import environment

_count = min(environment.threads(), numba.config.NUMBA_NUM_THREADS)
_turn = threading.RLock()                     # two Python threads that call ops take turns
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


def share(task, count, block=None, threads=None):
    """Call ``task(first, last)`` for the ranges that make up 0 .. count, on all threads; return when all is done.

    Parameters
    ----------
    task : callable
        Writes to places that belong to its range alone. If it is a kernel, or a `functools.partial` of one, its ranges
        are handed out by compiled code.
    count : int
    block : int, optional
        Length of a range. If left out, four ranges a thread.
    threads : int, optional
        Take no more than these, and call ``task(thread, first, last)`` with the number of the thread, from 0: for a
        task with scratch memory for so many, of which no two calls at a time may have the same.
    """
    most, numbered = _count, threads is not None      # read once: another Python thread may set it meanwhile
    block = block or -(-count // (4 * most))
    helpers = min(most, threads or most, -(-count // block)) - 1
    kernel, values = (task.func, task.args) if isinstance(task, functools.partial) else (task, ())
    compiled = isinstance(kernel, Dispatcher)
    if compiled and _calls is not None:
        _calls.update(_needed(kernel, values, numbered, helpers))
        return
    if helpers < 1:
        block = max(count, 1) if compiled else block
        for first in range(0, count, block):
            task(*[0] * numbered, first, min(first + block, count))
        return
    with _turn:
        team = _team(most - 1)
        if compiled:
            team.run(kernel, values, count, block, helpers, numbered)
        else:
            team.call(task, count, block, helpers, numbered)


@contextlib.contextmanager
def recording():
    """Within the ``with`` block `share` calls no kernel, so that results hold anything; it records what it would call.

    Yields a set of pairs, each a kernel and the types of its arguments.
    """
    global _calls
    before, _calls = _calls, set()
    try:
        yield _calls
    finally:
        _calls = before


def _needed(kernel, values, numbered, helpers):
    """What a call needs compiled: the kernel and, with helpers, the functions that hand out its ranges."""
    kinds, word = tuple(map(numba.typeof, values)), numba.int64
    yield kernel, (*kinds, *[word] * (2 + numbered))
    if helpers > 0:
        yield (offer_numbered if numbered else offer), (*[word] * 6, numba.types.BaseTuple.from_types(kinds))
        yield serve, (word,) * 3


class _Team:
    """Threads that help the one that calls an op."""

    def __init__(self, size):
        if not numba.config.DISABLE_JIT:
            serve.compile((numba.int64,) * 3)      # else a helper does, and a process forked meanwhile waits for ever
        self._board = board(size)
        self._place = self._board.ctypes.data
        self._helpers = []
        with contextlib.suppress(RuntimeError):    # the system starts no more threads: then fewer help
            for number in range(size):
                self._helpers.append(_Helper(self._board, number))
        self._entries = {}

    def run(self, kernel, values, count, block, helpers, numbered):
        """Hand out ranges to a kernel, by compiled code."""
        key = kernel, numbered, *[(value.dtype, value.ndim, value.flags.num) if isinstance(value, np.ndarray) else
                        (tuple, *map(type, value)) if isinstance(value, tuple) else type(value) for value in values]
        entry = self._entries.get(key) or self._entries.setdefault(key, entry_point(kernel, values, numbered))
        helpers = min(helpers, len(self._helpers))
        for helper in self._helpers[:helpers]:
            helper.wake()
        hand_out = offer_numbered if numbered else offer
        if not hand_out(self._place, helpers, GIVE_WAY, entry, count, block, *values):
            raise MemoryError(f"{kernel.__name__} failed on one of its threads, most likely for want of memory")

    def call(self, task, count, block, helpers, numbered):
        """Hand out ranges to any callable."""
        ranges = iter(range(0, count, block))

        def work(thread):
            for first in ranges:              # shared: whoever is free takes the next range
                task(*[thread] * numbered, first, min(first + block, count))

        team = self._helpers[:helpers]
        try:
            for helper in team:
                helper.begin(work)
            work(0)
            for helper in team:
                helper.finish()
        except BaseException:                 # Ctrl-C at any point: nobody knows who is at what
            _team.cache_clear()
            raise


class _Helper:
    """A thread that does what compiled code offers; while there is nothing it sleeps, or does what Python gives it."""

    def __init__(self, board, number):
        self._board, self._number, self._naps = board, number, board[ROOM + ROW * number + NAPS:][:1]
        self._slept = 0                       # naps that it was woken from
        self._news = threading.Condition()
        self._called, self._work, self._busy, self._error = False, None, False, None
        threading.Thread(target=self._live, name="npse", daemon=True).start()

    def wake(self):
        """If it sleeps, let it come and see what is offered."""
        naps = self._naps[0]
        if naps != self._slept:
            self._slept = naps
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

    def _live(self):
        while True:
            if not numba.config.DISABLE_JIT:
                serve(self._board.ctypes.data, self._number, GIVE_WAY)
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
    """Within the ``with`` block the BLAS library stays on the thread that calls it: `share` spreads the calls."""
    with _turn:
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
def _team(size):
    return _Team(size)


def _start_afresh():
    global _turn
    _turn = threading.RLock()
    _team.cache_clear()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_start_afresh)      # threads do not survive a fork
