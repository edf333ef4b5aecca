"""The memory pool: aligned memory for results, which is used again. `empty` replaces that of NumPy.

A training step makes the same large arrays again and again. New memory from the system causes a page fault for every
4 KiB that are first written, which takes more time than a fast op needs to fill it. Here the memory of an array returns
to the pool when the last view of the array is gone, and the next array of that size takes it.

Blocks in use and free blocks together never exceed 1.5 times the peak in use. Above it, free blocks are evicted, first
those of the size that was requested least recently. With a factor of 1.0 some sizes would be evicted and allocated
again in every training step. No measured training step needed all of 1.5.
"""

import collections
import math
import os
import threading

import numpy as np

PEAK_RATIO = 1.5                 # most bytes in use and free together, as a multiple of the peak in use
ALIGNMENT = 64                   # bytes: a cache line, and the widest vector register
SMALL = 2**15                    # bytes: below it NumPy's allocation is as fast


def empty(shape, dtype):
    """Return an uninitialized C-contiguous array that starts on a cache line."""
    dtype = np.dtype(dtype)
    size = math.prod(shape) * dtype.itemsize
    if size < SMALL:
        return np.ndarray(shape, dtype, _fresh(size))
    return np.asarray(_PooledBlock(_pool.acquire(size))).view(dtype).reshape(shape)


def empty_like(array):
    """Return an uninitialized C-contiguous array with the shape and dtype of another."""
    return empty(array.shape, array.dtype)


def _fresh(size):
    block = np.empty(size + ALIGNMENT, np.uint8)
    start = -block.ctypes.data % ALIGNMENT
    return block[start:start + size]


class MemoryPool:
    """Free blocks of bytes, by size."""

    def __init__(self):
        self.returned = collections.deque()   # blocks return at any moment, even in `acquire`; append needs no lock
        self._lock = threading.Lock()
        self._blocks = {}                     # size: free blocks; the size that was requested last is last
        self._in_use = self._free = self._peak = 0                # bytes; _peak is that of _in_use

    def acquire(self, size):
        """Return a block of ``size`` bytes: a free one of that size, else a new one."""
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
        """Add the returned blocks to the free ones."""
        while self.returned:
            block = self.returned.popleft()
            self._blocks.setdefault(len(block), []).append(block)
            self._in_use -= len(block)
            self._free += len(block)

    def _evict(self):
        """Release free blocks, least recently requested sizes first, while the pool exceeds its limit."""
        for size in list(self._blocks):
            while self._blocks[size] and self._in_use + self._free > PEAK_RATIO * self._peak:
                self._blocks[size].pop()
                self._free -= size
            if not self._blocks[size]:
                del self._blocks[size]

    def unlock(self):
        """Replace the lock: another thread may have held it when this process was forked."""
        self._lock = threading.Lock()


_pool = MemoryPool()


class _PooledBlock:
    """The base of an array from `empty` and of all its views. When the last of them is gone, its block returns."""

    def __init__(self, block):
        self.__array_interface__ = block.__array_interface__
        self._block = block

    def __del__(self, give_back=_pool.returned.append):
        give_back(self._block)


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_pool.unlock)
