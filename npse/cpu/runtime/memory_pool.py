"""The memory pool: aligned memory for results, which is used again. `empty` replaces that of NumPy.

A training step makes the same large arrays again and again. New memory from the system causes a page fault for every
4 KiB that are first written, which takes more time than a fast op needs to fill it. Here the memory of an array returns
to the pool when the last view of the array is gone, and the next array of about that size takes it.

A free block that is larger than needed is cut; the rest is a block of its own. Two neighbours that are free become one
again. So small maps use the memory that large ones do not need at that time. An array takes no part of a block that is
far larger: if it lived long, the block could not become whole again.

Free memory is released where blocks in use and free ones together would exceed 1.15 times the peak in use, unless the
free ones are parts of memory that is in use, or far larger than the excess. With a factor of 1.1 some networks would
take new memory in every training step.

Ctrl-C may raise KeyboardInterrupt between any two instructions, also while the pool changes its lists. Then it is not
known which blocks are free. So the next call begins with empty lists, and no block from before returns.
"""

import bisect
import collections
import contextlib
import contextvars
import itertools
import math
import os
import threading
import weakref
from operator import attrgetter

import numpy as np

PEAK_RATIO = 1.15                # most bytes in use and free together, as a multiple of the peak in use
SHARE = 8                        # a block of more than so many times the bytes needed is far larger
ALIGNMENT = 64                   # bytes: a cache line, and the widest vector register
SMALL = 2**15                    # bytes: below it NumPy's allocation is as fast

_size = attrgetter("size")


def empty(shape, dtype):
    """Return an uninitialized C-contiguous array that starts on a cache line."""
    dtype, pool = np.dtype(dtype), _own_pool.get()
    size = math.prod(shape) * dtype.itemsize
    if pool is None:
        if size < SMALL:
            return np.ndarray(shape, dtype, fresh(size))
        pool = _pool
    return np.asarray(_PooledBlock(pool, pool.acquire(size), tuple(shape), dtype.str))


def is_of(pool, array):
    """Return whether the memory of an array, or of the array of which it is a view, comes from a `MemoryPool`."""
    while isinstance(array, np.ndarray):
        array = array.base
    return isinstance(array, _PooledBlock) and array.pool is pool


@contextlib.contextmanager
def using_pool(pool):
    """Within the ``with`` block, in this thread, take all memory from a `MemoryPool` of one's own."""
    token = _own_pool.set(pool)
    try:
        yield
    finally:
        _own_pool.reset(token)


def release_free():
    """Release the free memory of the pool that all threads share, and return the bytes of it that were ever in use."""
    _pool.release_free()
    return _pool.peak


def empty_together(dtype, *shapes):
    """Return uninitialized arrays that share one block of memory, for the price of one: scratch memory of one op."""
    dtype = np.dtype(dtype)
    sizes = [-(-math.prod(shape) * dtype.itemsize // ALIGNMENT) * ALIGNMENT for shape in shapes]
    whole, starts = empty((sum(sizes),), np.uint8), itertools.accumulate(sizes, initial=0)
    return [np.ndarray(shape, dtype, whole, start) for shape, start in zip(shapes, starts, strict=False)]


def empty_like(array):
    """Return an uninitialized C-contiguous array with the shape and dtype of another."""
    return empty(array.shape, array.dtype)


def fresh(size):
    """Return ``size`` uninitialized bytes from the system that start on a cache line."""
    block = np.empty(size + ALIGNMENT, np.uint8)
    start = -block.ctypes.data % ALIGNMENT
    return block[start:start + size]


class Block:
    """``size`` bytes of some memory from ``address`` on; ``before`` and ``after`` are its neighbours there, or None.

    ``age`` tells blocks from before an interrupt from later ones.
    """

    __slots__ = "address", "after", "age", "before", "is_free", "memory", "size"

    def __init__(self, memory, address, size, age, before=None, after=None):
        self.memory, self.address, self.size, self.before, self.after = memory, address, size, before, after
        self.age, self.is_free = age, False

    def is_whole(self):
        """Whether it is all of its memory."""
        return self.before is None and self.after is None

    def cut(self, size):
        """Shorten this block to ``size`` bytes, and return the rest, a block of its own."""
        rest = Block(self.memory, self.address + size, self.size - size, self.age, self, self.after)
        if self.after:
            self.after.before = rest
        self.size, self.after = size, rest
        return rest

    def join_next(self):
        """Lengthen this block by the block after it, which is no more."""
        self.size, self.after = self.size + self.after.size, self.after.after
        if self.after:
            self.after.before = self


class MemoryPool:
    """Free blocks of memory, the smallest first.

    If ``reserve`` is given, none is ever released. Blocks are cut from so many bytes as long as they fit, so small maps
    lie where large ones were. What is never cut is never written, so it is only an address.
    """

    def __init__(self, reserve=None):
        self._keeps, self._share = reserve is not None, SHARE if reserve is None else math.inf
        self.lent = {}                        # the blocks in use, by weak references to their `_PooledBlock`
        self.returned = collections.deque()   # references; they come at any moment, even in `acquire`, without a lock
        self._lock = threading.Lock()
        self._age, self._is_changing = 0, False                  # is changing: a call is under way, or was interrupted
        self._blocks = []                     # free ones
        self._in_use = self._free = self.peak = 0                # bytes; peak is that of _in_use
        if reserve:
            self._add(self._made(reserve))

    def acquire(self, size):
        """Return a block of ``size`` bytes, rounded up to whole cache lines, or a little more."""
        size = -(-size // ALIGNMENT) * ALIGNMENT
        with self._lock:
            self._begin()
            at = bisect.bisect_left(self._blocks, size, key=_size)
            if at < len(self._blocks) and self._blocks[at].size <= self._share * size:
                block = self._blocks.pop(at)
                self._free -= block.size
                if block.size >= size + SMALL:
                    self._add(block.cut(size))
            else:
                self._evict(size)
                block = self._made(size)
            block.is_free = False
            self._in_use += block.size
            self.peak = max(self.peak, self._in_use)
            self._is_changing = False
        return block

    def _made(self, size):
        memory = fresh(size)
        return Block(memory, memory.ctypes.data, size, self._age)

    def _begin(self):
        """Begin a change of the lists: forget them if the last one did not end, and take back returned blocks."""
        if self._is_changing:
            self._age += 1
            self._blocks, self._in_use, self._free = [], 0, 0
        self._is_changing = True
        self._reclaim()

    def _reclaim(self):
        """Add the returned blocks to the free ones, each joined with free neighbours."""
        while self.returned:
            block = self.lent.pop(self.returned.popleft(), None)
            if block is None or block.age != self._age:
                continue                      # it was made before an interrupt
            self._in_use -= block.size
            if block.after and block.after.is_free:
                self._remove(block.after)
                block.join_next()
            if block.before and block.before.is_free:
                block = block.before
                self._remove(block)
                block.join_next()
            self._add(block)

    def _add(self, block):
        block.is_free = True
        bisect.insort_left(self._blocks, block, key=_size)        # of equal ones the last returned is taken first
        self._free += block.size

    def _remove(self, block):
        self._blocks.remove(block)
        self._free -= block.size

    def _evict(self, size):
        """Release free memory while with ``size`` more bytes the pool exceeds its limit, as little as is enough.

        Nothing is released if that would be far more than the excess: a small array must not cost a large block.
        """
        limit = PEAK_RATIO * max(self.peak, self._in_use + size)
        while not self._keeps and (excess := self._in_use + size + self._free - limit) > 0:
            whole = [block for block in self._blocks if block.is_whole()]
            if not whole:
                return
            block = next((block for block in whole if block.size >= excess), whole[-1])
            if block.size > SHARE * excess:
                return
            self._remove(block)

    def release_free(self):
        """Release every free block that is all of its memory."""
        with self._lock:
            self._begin()
            for block in [block for block in self._blocks if block.is_whole()]:
                self._remove(block)
            self._is_changing = False

    def unlock(self):
        """Replace the lock: another thread may have held it when this process was forked."""
        self._lock = threading.Lock()


_pool = MemoryPool()
_own_pool = contextvars.ContextVar("the memory pool of `using_pool`", default=None)


class _PooledBlock:
    """The base of an array from `empty` and of all its views. When the last of them is gone, its block returns.

    No Python code runs then: an interrupt would be lost in it.
    """

    def __init__(self, pool, block, shape, typestr):
        self.__array_interface__ = {"version": 3, "data": (block.address, False), "shape": shape, "typestr": typestr}
        self.pool = pool
        pool.lent[weakref.ref(self, pool.returned.append)] = block


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_pool.unlock)
