"""The trace of one launch: counts for each cell and each thread, a table, and the findings."""

import functools
from collections import defaultdict

import numpy as np

from npse.support.names import suggest
from npse.trace.access_log import READ, WRITE
from npse.trace.findings import findings

WARP = 32                    # threads that execute one instruction together
SECTOR = 32                  # bytes of one memory transaction


class Trace:
    """One launch of a kernel.

    Attributes
    ----------
    name : str
    blocks, threads : tuple of three int
        The grid.
    arrays : list of Memory
        All arrays. Each has ``name``, ``space`` ("global" or "shared"), ``shape`` and ``dtype``.
    """

    def __init__(self, name, blocks, threads, log):
        self.name, self.blocks, self.threads, self.log = name, blocks, threads, log
        self.arrays = log.arrays
        log.accesses.sort(key=lambda access: (access.block, access.interval, access.thread))     # one by one
        log.out_of_bounds.sort(key=lambda access: (access.block, access.thread))

    def reads(self, array, block=None):
        """Return how often each cell of an array was read, by all blocks or by one; shaped like the array.

        ``block`` is a number, or a tuple as in ``cuda.blockIdx``. Raise ValueError if there is no such array or block.
        """
        return self._by_cell(array, READ, block)

    def writes(self, array, block=None):
        """Return how often each cell of an array was written; see `reads`."""
        return self._by_cell(array, WRITE, block)

    def reads_by_thread(self, array=None, space="global", block=0):
        """Return how often each thread of a block read an array, or all arrays of a space.

        The result has the axes (z, y, x) of the threads, without those that the grid does not use.
        """
        return self._by_thread(READ, array, space, block)

    def writes_by_thread(self, array=None, space="global", block=0):
        """Return how often each thread of a block wrote; see `reads_by_thread`."""
        return self._by_thread(WRITE, array, space, block)

    def outside_by_thread(self, array=None, block=0):
        """Return how many out-of-bounds accesses each thread of a block made, to one array or to all.

        The result has the axes of `reads_by_thread`.
        """
        number = None if array is None else self._find(array)[0]
        return self._per_thread(access.thread for access in self.log.out_of_bounds
                                if access.block == self.block_number(block) and not access.wraps
                                and number in (None, access.array))

    def wrong_cells(self, array, block):
        """Return which cells of an array are part of a finding that is an error: booleans, shaped like the array.

        For shared memory, only the cells of this block count. Global memory is the same for all blocks.
        """
        number, memory = self._find(array)
        wrong = np.zeros(memory.shape, bool)
        for of, home, cell in (place for finding in self.findings if finding.wrong for place in finding.cells):
            if of == number and home in (None, self.block_number(block)):
                wrong.flat[cell] = True
        return wrong

    def cells(self, array, verb, block, thread):
        """Return which cells of an array a thread reads (or writes, by ``verb``): booleans, shaped like the array."""
        number, memory = self._find(array)
        touched = np.zeros(memory.shape, bool)
        for access in self._of(number, verb):
            if (access.block, access.thread) == (self.block_number(block), thread):
                touched.flat[access.cell] = True
        return touched

    def writers(self, array, block):
        """Return the thread of a block that wrote each cell last, -1 if none did; shaped like the array."""
        number, memory = self._find(array)
        threads = np.full(memory.shape, -1)
        for access in self._of(number, WRITE):
            if access.block == self.block_number(block):
                threads.flat[access.cell] = access.thread
        return threads

    def pieces(self, array):
        """Return how many 32-byte pieces of global memory all warps load to read an array, without any cache.

        Threads of a warp that read cells of the same piece at the same time load it once.
        """
        number, memory = self._find(array)
        turns, asked = defaultdict(int), set()
        for access in self._of(number, READ):
            mine = access.site, access.block, access.thread, access.lane
            asked.add((access.site, access.block, access.thread // WARP, turns[mine],
                       access.cell * memory.dtype.itemsize // SECTOR))
            turns[mine] += 1
        return len(asked)

    @functools.cached_property
    def findings(self):
        """A list of `Finding`, the most serious first; empty if there are none."""
        return findings(self)

    def block_number(self, block):
        """Return the number of a block given as (x, y, z) or as a number. Raise ValueError if it does not exist."""
        place = (block,) if isinstance(block, int) else tuple(block)
        sizes = (int(np.prod(self.blocks)),) if isinstance(block, int) else self.blocks
        if len(place) > 3 or any(not 0 <= i < size for i, size in zip(place, sizes, strict=False)):
            raise ValueError(f"{self.name} has no block {', '.join(map(str, place))}: its grid is {self.grid}")
        return block if isinstance(block, int) else number_of(place, self.blocks)

    def place(self, number, sizes):
        """Return the indices of a block or thread as text, such as (x, y): as many indices as the grid has axes."""
        places = place_of(number, sizes)[:axes(sizes)]
        return f"({', '.join(map(str, places))})" if len(places) > 1 else str(number)

    @property
    def grid(self):
        """The grid in words."""
        several = "s" if np.prod(self.blocks) > 1 else ""
        return f"{_times(self.blocks)} block{several} of {_times(self.threads)} threads"

    def table(self):
        """Yield a row of text for each array.

        Its columns: memory, shape, reads, reads for each thread, reads for each cell that is read, 32-byte pieces,
        writes.
        """
        threads = int(np.prod(self.blocks) * np.prod(self.threads))
        for memory in self.arrays:
            reads, writes = self.reads(memory.name), self.writes(memory.name)
            total, touched = int(reads.sum()), np.count_nonzero(reads)
            yield (f"{memory.space} {memory.name}", str(memory.shape), str(total), f"{total / threads:.4g}",
                   f"{total / touched:.4g}" if touched else "-",
                   str(self.pieces(memory.name)) if memory.space == "global" else "-", str(writes.sum()))

    def __str__(self):
        heads = ("memory", "shape", "reads", "per thread", "per cell", "32-byte pieces", "writes")
        rows = [heads, *self.table()]
        widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
        lines = [f"{self.name}: {self.grid}"]
        for row in rows:
            cells = [cell.ljust(width) if k < 2 else cell.rjust(width)
                     for k, (cell, width) in enumerate(zip(row, widths, strict=True))]
            lines.append("  " + "  ".join(cells).rstrip())
        return "\n".join([*lines, *(f"  {finding}" for finding in self.findings)])

    __repr__ = __str__

    def _repr_png_(self):
        from npse.trace.picture import png
        return png(self)

    def _find(self, name):
        for number, memory in enumerate(self.arrays):
            if memory.name == name:
                return number, memory
        raise ValueError(f"{self.name} has no array {name!r}; "
                         + suggest(name, (memory.name for memory in self.arrays)))

    @functools.cached_property
    def _sorted(self):
        accesses = defaultdict(list)
        for access in self.log.accesses:
            accesses[access.array, access.verb].append(access)
        return accesses

    def _of(self, number, verb):
        return self._sorted.get((number, verb), ())

    def _by_cell(self, array, verb, block):
        number, memory = self._find(array)
        block = None if block is None else self.block_number(block)
        cells = [access.cell for access in self._of(number, verb) if block in (None, access.block)]
        return np.bincount(np.array(cells, int), minlength=int(np.prod(memory.shape))).reshape(memory.shape)

    def _by_thread(self, verb, array, space, block):
        numbers = [self._find(array)[0]] if array else [
            number for number, memory in enumerate(self.arrays) if memory.space == space]
        block = self.block_number(block)
        return self._per_thread(access.thread for number in numbers for access in self._of(number, verb)
                                if access.block == block)

    def _per_thread(self, threads):
        """Count how often each thread of a block occurs. The result has the axes of `reads_by_thread`."""
        counts = np.bincount(np.fromiter(threads, int), minlength=int(np.prod(self.threads)))
        return counts.reshape(self.threads[:axes(self.threads)][::-1])


def axes(sizes):
    """Return how many axes three sizes use: (8, 1, 1) uses one axis."""
    return max((k + 1 for k, size in enumerate(sizes) if size > 1), default=1)


def place_of(number, sizes):
    """Return (x, y, z) of a block or thread from its number."""
    return number % sizes[0], number // sizes[0] % sizes[1], number // (sizes[0] * sizes[1])


def number_of(place, sizes):
    """Return the number of a block or thread from (x, y, z), or from fewer indices."""
    x, y, z = (*place, 0, 0)[:3]
    return x + sizes[0] * (y + sizes[1] * z)


def _times(sizes):
    return " x ".join(map(str, sizes[:axes(sizes)]))
