"""The memory pool of the device: a block returns to it when the last view of its array is gone.

A training step makes the same arrays over and over. Asking the driver for memory costs more than most kernels take,
and giving it back waits for all of them; so a block that returns is kept for the next array of its size.
All kernels and copies are in one queue, so the next array may take the block before those of the last have run.
"""

import collections

from npse.support.arithmetic import ceil_div

GRAIN = 512                      # bytes: sizes are rounded up to it, so that small arrays of many sizes share blocks


class MemoryPool:
    """Free blocks of device memory, by size.

    Parameters
    ----------
    make : function of bytes -> block; raises MemoryError if there is no room for it
    """

    def __init__(self, make):
        self._make, self.size = make, 0                    # bytes, in use or free
        self._blocks = collections.defaultdict(list)       # by bytes
        self._returned = collections.deque()               # blocks return at any moment, even inside `acquire`

    def acquire(self, size):
        """Return a block of at least ``size`` bytes and a function that gives it back.

        MemoryError only if there is no room even when all free blocks are released.
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
