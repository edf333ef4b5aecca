"""Memory that keeps a journal of who touched it, put in the place of the simulator's own.

The simulator runs a thread of the device as a thread of Python, one block after the other. An access belongs to an
interval of its block: how many barriers the thread had passed. Within one no thread knows what another has done.
"""

import contextlib
import functools
import linecache
import re
import sys
import threading
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numba.cuda.simulator import kernel as simulator
from numba.cuda.simulator import kernelapi
from numba.cuda.simulator.cudadrv.devicearray import FakeShape

READ, WRITE = "reads", "writes"


class Access(NamedTuple):
    """A thread touched a cell: numbers of the array, the cell, the block, the thread in it, the interval, the site."""

    array: int
    cell: int
    block: int
    thread: int
    interval: int
    site: int
    verb: str
    atomic: bool = False


class Stray(NamedTuple):
    """A thread used an index that is not a place in the array: beyond its end, or negative and so counted from it."""

    array: int
    index: tuple                 # type: ignore[assignment]  # a tuple has a method of that name
    block: int
    thread: int
    site: int
    verb: str
    wraps: bool


@dataclass(frozen=True)
class Memory:
    """An array of global memory, or one of shared memory, of which every block has its own."""

    name: str
    space: str
    shape: tuple
    dtype: np.dtype

    def index(self, cell):
        """A cell as it is written in the kernel, such as x[0, 3]."""
        return f"{self.name}[{', '.join(map(str, np.unravel_index(cell, self.shape)))}]"


class Journal:
    """All that happened during a launch.

    Attributes
    ----------
    arrays : list of Memory
    accesses : list of Access, each thread's in order
    strays : list of Stray
    barriers : dict
        The sites at which a block waited for its n-th barrier, by (block, n).
    lines : list of str
        Where each site stands.
    """

    def __init__(self, home):
        self.arrays, self.accesses, self.strays, self.barriers, self.lines = [], [], [], {}, []
        self._home, self._sites, self._lock = home, {}, threading.Lock()

    def watch(self, name, space, values):
        """Return an array for a kernel whose accesses are noted here; it writes into ``values``."""
        self.arrays.append(Memory(name, space, values.shape, values.dtype))
        return Counted(self, len(self.arrays) - 1, values, np.arange(values.size).reshape(values.shape))

    def site(self):
        """The number of the place in the kernel, or in a function that it calls, which is running now."""
        frame = sys._getframe(1)
        while frame.f_code.co_filename in MACHINERY:
            frame = frame.f_back
        # Not the instruction: Python replaces it by a faster one, somewhat further on, when it has run a few times
        file, place = frame.f_code.co_filename, (frame.f_code, _positions(frame.f_code)[frame.f_lasti // 2])
        with self._lock:
            if place not in self._sites:
                self._sites[place] = len(self.lines)
                self.lines.append(f"line {frame.f_lineno}" + ("" if file == self._home else f" of {Path(file).name}"))
            return self._sites[place]

    def note(self, array, cells, verb, atomic=False):
        """Note that the running thread touches cells."""
        thread, site = threading.current_thread(), self.site()
        self.accesses += [Access(array, int(cell), thread.block, thread.thread_id, thread.interval, site, verb, atomic)
                          for cell in np.ravel(cells)]

    def stray(self, array, index, verb, wraps):
        thread = threading.current_thread()
        self.strays.append(Stray(array, index, thread.block, thread.thread_id, self.site(), verb, wraps))

    @contextlib.contextmanager
    def instead_of_the_simulators(self):
        """Let kernels find memory and barriers that are noted here."""
        module, thread = simulator.FakeCUDAModule, simulator.BlockThread
        simulator.FakeCUDAModule = lambda *launch: _Module(self, *launch)
        simulator.BlockThread = lambda *start: _Thread(self, *start)
        try:
            yield
        finally:
            simulator.FakeCUDAModule, simulator.BlockThread = module, thread


class Counted:
    """An array as a kernel sees it, or a part of one: what is read and written by index is noted."""

    def __init__(self, journal, array, values, cells):
        self._journal, self._array, self._values, self._cells = journal, array, values, cells
        self.dtype, self.ndim, self.size, self.strides = values.dtype, values.ndim, values.size, values.strides
        self.shape = FakeShape(values.shape)

    def __len__(self):
        return len(self._values)

    def __iter__(self):
        return (self[index] for index in range(len(self)))       # Python's own way ends at an IndexError: never here

    def __getitem__(self, index):
        cells = self._find(index, READ)
        if cells is None:
            return self.dtype.type(0)
        if isinstance(cells, np.ndarray) and cells.ndim:
            return Counted(self._journal, self._array, self._values[index], cells)
        self._journal.note(self._array, cells, READ)
        return self._values[index]

    def __setitem__(self, index, value):
        cells = self._find(index, WRITE)
        if cells is not None:
            self._values[index] = value
            self._journal.note(self._array, cells, WRITE)

    def atomically(self, operation, index, *values):
        """Let the simulator's atomic operation read and write a cell."""
        cells = self._find(index, WRITE)
        if cells is None:
            return self.dtype.type(0)
        self._journal.note(self._array, cells, READ, atomic=True)
        self._journal.note(self._array, cells, WRITE, atomic=True)
        return operation(self._values, index, *values)

    def _find(self, index, verb):
        """The cells behind an index; None, and a note of it, if it lies outside."""
        places = index if isinstance(index, tuple) else (index,)
        whole = all(isinstance(place, (int, np.integer)) for place in places)
        if whole and len(places) <= self.ndim:
            sizes = self._values.shape[:len(places)]
            if any(not -size <= place < size for place, size in zip(places, sizes, strict=True)):
                self._journal.stray(self._array, tuple(map(int, places)), verb, wraps=False)
                return None
            if any(place < 0 for place in places):
                self._journal.stray(self._array, tuple(map(int, places)), verb, wraps=True)
        return self._cells[index]


class _Thread(simulator.BlockThread):
    """A thread that counts the barriers it has passed, and knows the number of its block."""

    def __init__(self, journal, target, manager, block, thread, debug):
        super().__init__(target, manager, block, thread, debug)
        width, height, _ = manager._grid_dim
        self.block, self.interval, self._journal = block[0] + width * (block[1] + height * block[2]), 0, journal

    def syncthreads(self):
        self.interval += 1
        self._journal.barriers.setdefault((self.block, self.interval), {})[self.thread_id] = self._journal.site()
        super().syncthreads()


class _Module(kernelapi.FakeCUDAModule):
    """What a kernel calls ``cuda``."""

    def __init__(self, journal, *launch):
        super().__init__(*launch)
        self._shared, self._atomic = _Shared(journal), _Atomic(self._atomic)


class _Shared:
    def __init__(self, journal):
        self._journal, self._arrays, self._lock = journal, {}, threading.Lock()

    def array(self, shape, dtype, alignment=None):
        """The shared array of the place that asks: all threads get the same; at first it holds no number."""
        with self._lock:
            site = self._journal.site()
            if site not in self._arrays:
                dtype = kernelapi.numpy_support.as_dtype(dtype) if isinstance(dtype, kernelapi.types.Type) else dtype
                values = np.full(shape, np.nan if np.dtype(dtype).kind == "f" else 0, dtype)
                self._arrays[site] = self._journal.watch(self._name(), "shared", values)
            return self._arrays[site]

    def _name(self):
        """The variable that the array is assigned to, where a line says so."""
        frame = sys._getframe(2)
        line = linecache.getline(frame.f_code.co_filename, frame.f_lineno)
        names = re.match(r"\s*([\w, ]+?)\s*=[^=]", line)
        names = re.findall(r"\w+", names[1]) if names else ["shared"]
        taken = {array.name for array in self._journal.arrays}
        return next((name for name in names if name not in taken), f"{names[-1]}'")


class _Atomic:
    def __init__(self, operations):
        self._operations = operations

    def __getattr__(self, name):
        operation = getattr(self._operations, name)

        def atomic(array, index, *values):
            if name == "compare_and_swap":                        # it has no index, and takes the first cell
                index, values = (0,) * array.ndim, (index, *values)
                return array.atomically(lambda cells, _, *rest: operation(cells, *rest), index, *values)
            return array.atomically(operation, index, *values)
        return atomic


@functools.cache
def _positions(code):
    """Where each instruction stands in its file: lines and columns."""
    return list(code.co_positions())


MACHINERY = {__file__, simulator.__file__, kernelapi.__file__}      # whose frames are no part of a kernel
