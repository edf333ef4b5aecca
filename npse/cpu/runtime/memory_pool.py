"""The memory pool: aligned memory for results, reused; `empty` in place of NumPy's.

A training step makes the same large arrays over and over. Memory fresh from the system costs a page fault for every
4 KiB that is first written: more time than a fast op takes to fill it. Here the memory of an array returns to the pool
when the last view of it is gone, and the next array of that size gets it.

The pool never holds more than 1.5 times the peak in use; the size that was not asked for longest is evicted first.
Without the half, of which no training step was seen to need all, some sizes would be evicted in every step only to be
asked for again in the next.
"""

import collections
import math
import os
import threading

import numpy as np

LIMIT = 1.5                      # times the peak in use: the most that blocks in use and free ones take together
ALIGNMENT = 64                   # bytes: a cache line, and the widest vector register
SMALL = 2**15                    # bytes below which NumPy's own allocation is as good


def empty(shape, dtype):
    """Return an uninitialised C-contiguous array that starts on a cache line."""
    dtype = np.dtype(dtype)
    size = math.prod(shape) * dtype.itemsize
    if size < SMALL:
        return np.ndarray(shape, dtype, _fresh(size))
    return np.asarray(_PooledBlock(_pool.acquire(size))).view(dtype).reshape(shape)


def empty_like(array):
    """Return an uninitialised C-contiguous array of the shape and dtype of another."""
    return empty(array.shape, array.dtype)


def _fresh(size):
    block = np.empty(size + ALIGNMENT, np.uint8)
    start = -block.ctypes.data % ALIGNMENT
    return block[start:start + size]


class MemoryPool:
    """Free blocks of bytes, by size."""

    def __init__(self):
        self.returned = collections.deque()   # blocks return at any moment: append needs no lock
        self._lock = threading.Lock()
        self._blocks = {}                     # size: blocks; the size asked for last stands last
        self._in_use = self._free = self._peak = 0          # bytes

    def acquire(self, size):
        with self._lock:
            self._reclaim()
            blocks = self._blocks[size] = self._blocks.pop(size, [])
            self._in_use += size
            self._peak = max(self._peak, self._in_use)
            if blocks:
                self._free -= size
                return blocks.pop()
            self._evict()
        return _fresh(size)

    def _reclaim(self):
        while self.returned:
            block = self.returned.popleft()
            self._blocks.setdefault(len(block), []).append(block)
            self._in_use -= len(block)
            self._free += len(block)

    def _evict(self):
        for size in list(self._blocks):
            while self._blocks[size] and self._in_use + self._free > LIMIT * self._peak:
                self._blocks[size].pop()
                self._free -= size
            if not self._blocks[size]:
                del self._blocks[size]

    def unlock(self):
        self._lock = threading.Lock()


_pool = MemoryPool()


class _PooledBlock:
    """The owner of the memory of an array and of all its views; it is deleted with the last of them."""

    def __init__(self, block):
        self.__array_interface__ = block.__array_interface__
        self._block = block

    def __del__(self, give_back=_pool.returned.append):
        give_back(self._block)


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_pool.unlock)  # another thread of the parent may have held the lock
