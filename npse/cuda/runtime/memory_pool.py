"""The memory pool of the device: a block of memory returns to it when its array and all views of it are gone.

Each training step makes the same arrays. Allocation by the driver takes longer than most kernels, and freeing memory
waits for all kernels. So the pool keeps a block for the next array of this size. All kernels and copies are in one
stream, in order. So the next array may use the block while kernels that use the previous array are still waiting.
"""

import collections

from npse.support.arithmetic import ceil_div

GRAIN = 512                      # bytes; sizes are rounded up to multiples, so that arrays of similar size share blocks


class MemoryPool:
    """Free blocks of device memory, by size.

    Parameters
    ----------
    make : function of int -> block
        Allocates a block of so many bytes; raises MemoryError if that is not possible.

    Attributes
    ----------
    size : int
        Bytes of all blocks, in use or free.
    """

    def __init__(self, make):
        self._make, self.size = make, 0
        self._blocks = collections.defaultdict(list)       # free blocks by their size in bytes
        self._returned = collections.deque()               # a block may return at any time, also during `acquire`

    def acquire(self, size):
        """Return a block of at least ``size`` bytes, and a function that returns it to the pool.

        If there is no memory for a new block, all free blocks are released. Raise MemoryError if that is not enough.
        """
        size = max(1, ceil_div(size, GRAIN)) * GRAIN
        self._reclaim()
        blocks = self._blocks[size]
        block = blocks.pop() if blocks else self._made(size)
        return block, lambda: self._returned.append((size, block))

    def clear(self):
        """Release every block that is not in use."""
        self._reclaim()
        self.size -= sum(size * len(blocks) for size, blocks in self._blocks.items())
        self._blocks.clear()

    def _made(self, size):
        try:
            block = self._make(size)
        except MemoryError:
            self.clear()
            block = self._make(size)
        self.size += size
        return block

    def _reclaim(self):
        while self._returned:
            size, block = self._returned.popleft()
            self._blocks[size].append(block)
