"""Memory for results, aligned and used again: `empty` in place of NumPy's.

A training step makes the same large arrays over and over, and memory fresh from the system costs a page fault for
every 4 KiB first written: more time than a fast op takes to fill it. Here the memory of an array goes back to a shelf
when the last view of it is gone, and the next array of that size takes it.

A process hardly grows by it: what is in use and what lies on the shelf stay together below 3/2 of the most that was in
use at once, and the size that was not asked for longest is let go first. Without the half, of which no training step
was seen to need all, some sizes would be let go in every step only to be asked for again in the next.
"""

import collections
import math
import os
import threading

import numpy as np

ROOM = 1.5                       # of the most that was in use at once, for blocks in use and on the shelf together
ALIGNMENT = 64                   # bytes: a cache line, and the widest vector register
SMALL = 2**15                    # bytes below which NumPy's own allocation is as good


def empty(shape, dtype):
    """Return an uninitialised C-contiguous array that starts on a cache line."""
    dtype = np.dtype(dtype)
    size = math.prod(shape) * dtype.itemsize
    if size < SMALL:
        return np.ndarray(shape, dtype, _fresh(size))
    return np.asarray(_Loan(_shelf.take(size))).view(dtype).reshape(shape)


def empty_like(array):
    """Return an uninitialised C-contiguous array of the shape and dtype of another."""
    return empty(array.shape, array.dtype)


def optional(array, axes, dtype):
    """Return the array, or one of as many axes that is empty instead of None: a kernel is compiled once for both."""
    return empty((0,) * axes, dtype) if array is None else array


def _fresh(size):
    block = np.empty(size + ALIGNMENT, np.uint8)
    start = -block.ctypes.data % ALIGNMENT
    return block[start:start + size]


class _Shelf:
    """Blocks of bytes that wait for their next use."""

    def __init__(self):
        self.returned = collections.deque()   # loans end at any moment, even inside `take`: this append needs no lock
        self._lock = threading.Lock()
        self._blocks = {}                     # size: blocks; the size asked for last stands last
        self._lent = self._waiting = self._most_lent = 0          # bytes

    def take(self, size):
        with self._lock:
            self._put_away()
            blocks = self._blocks[size] = self._blocks.pop(size, [])
            self._lent += size
            self._most_lent = max(self._most_lent, self._lent)
            if blocks:
                self._waiting -= size
                return blocks.pop()
            self._let_go()
        return _fresh(size)

    def _put_away(self):
        while self.returned:
            block = self.returned.popleft()
            self._blocks.setdefault(len(block), []).append(block)
            self._lent -= len(block)
            self._waiting += len(block)

    def _let_go(self):
        for size in list(self._blocks):
            while self._blocks[size] and self._lent + self._waiting > ROOM * self._most_lent:
                self._blocks[size].pop()
                self._waiting -= size
            if not self._blocks[size]:
                del self._blocks[size]

    def unlock(self):
        self._lock = threading.Lock()


_shelf = _Shelf()


class _Loan:
    """What an array of `empty` and all its views stand on; its end is the end of the last of them."""

    def __init__(self, block):
        self.__array_interface__ = block.__array_interface__
        self._block = block

    def __del__(self, hand_back=_shelf.returned.append):
        hand_back(self._block)


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_shelf.unlock)  # another thread of the parent may have held the lock
