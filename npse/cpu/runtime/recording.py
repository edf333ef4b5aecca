"""Recorded work: kernel calls that compiled code makes again, in the same memory, without a call of Python for each.

Between two kernels an op needs about a tenth of a millisecond in Python. In a loop of its own it would need a fraction
of that, but each kernel replaces what the caches hold. With small batches that is half of the time. A recording makes
the same calls with the same addresses. It is right only if all that depends on its inputs is computed by kernels, or by
functions given to `call_as_one`. Ops that are declared ``recordable`` keep to that. Every other op is such a function
as a whole.
"""

import functools

import numba
import numpy as np

from npse.cpu.runtime import parallel
from npse.cpu.runtime.memory_pool import MemoryPool, fresh, is_of, release_free, using_pool
from npse.cpu.runtime.recorder import call_as_one, recorded_by

RESERVE = 1.25                   # bytes that a recording may need, as a multiple of the peak of all work before it


def record(task):
    """Call ``task()`` and record its kernel calls. Return a function that makes them again, in the same memory.

    The first call of the returned function does nothing, because the results are there. Memory for results comes from
    a pool of the recording's own, so nothing else is written to it. Free memory of other work is released first. Other
    work may use the memory between two calls: within ``with start.lent_memory():``.

    Raises
    ------
    RuntimeError
        The task calls an op that returns a number, or kernels are not compiled (NUMBA_DISABLE_JIT).
    """
    if numba.config.DISABLE_JIT:
        raise RuntimeError("kernels that are not compiled cannot be recorded")
    recording = _Recording(int(RESERVE * release_free()))
    with using_pool(recording.pool), recorded_by(recording):
        task()
    return recording


def empty_like(array):
    """Return an uninitialized array for arguments or results of a recording, which the caller keeps.

    It is not from the memory pool: there it would be a part of a larger block, which could not become whole again.
    """
    return fresh(array.nbytes).view(array.dtype).reshape(array.shape)


def copy(source, target):
    """Copy the elements of an array into another one of the same shape."""
    call_as_one(np.copyto, target, source)


def as_one(op):
    """Return an op of the book that is recorded as one function."""
    @functools.wraps(op)
    def recordable(*arguments, **options):
        return call_as_one(op, *arguments, **options)
    recordable.__module__ = "npse.cpu"           # where other processes find it
    return recordable


class _Recording:
    """Kernel calls and functions, in their order. Arrays that do not come from its pool are kept."""

    def __init__(self, reserve):
        self.pool = MemoryPool(reserve)
        self._pieces, self._jobs, self._kept, self._is_new = [], [], [], True

    def add_job(self, job, workers, values):
        """Add a kernel call; see `recorded_by`."""
        self._jobs.append((job, workers))
        self._keep(values)

    def add_function(self, function):
        """Add a function that was called."""
        self._finish()
        self._pieces.append(function)

    def __call__(self):
        self._finish()
        pieces, self._is_new = () if self._is_new else self._pieces, False
        for piece in pieces:
            piece()

    def lent_memory(self):
        """Within the ``with`` block, in this thread, other work uses this memory; its results are lost at a call."""
        return using_pool(self.pool)

    def _finish(self):
        """Make a piece of the calls of kernels since the last function."""
        if self._jobs:
            jobs, workers = map(np.array, zip(*self._jobs, strict=True))
            self._pieces.append(functools.partial(parallel.run_again, jobs, workers))
            self._jobs = []

    def _keep(self, values):
        for value in values:
            if isinstance(value, tuple):
                self._keep(value)
            elif isinstance(value, np.ndarray) and not is_of(self.pool, value):
                self._kept.append(value)
