"""Arrays that log every access. They replace the simulator's own arrays.

The simulator runs one thread of the device after another, one block after the other. The log stores the interval
of each access: the number of barriers that the thread has passed before. Accesses of different threads of a block have
a fixed order only if their intervals differ.
"""

import contextlib
import functools
import linecache
import re
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numba.cuda.simulator import kernel as simulator
from numba.cuda.simulator import kernelapi
from numba.cuda.simulator.cudadrv.devicearray import FakeShape

from npse.cuda.runtime import vector_array
from npse.cuda.runtime.simulated_threads import SimulatedThread, current_thread
from npse.cuda.runtime.vector_array import Vector, lanes_in

READ, WRITE = "reads", "writes"


class Access(NamedTuple):
    """A thread read or wrote a cell. Array, cell, block, thread (in its block), interval and site are numbers."""

    array: int
    cell: int
    block: int
    thread: int
    interval: int
    site: int
    verb: str
    atomic: bool = False
    lane: int = 0                # of a vector: the cells of a vector are accessed together


class OutOfBounds(NamedTuple):
    """One access with an index outside of the array, or with a negative index (``wraps``), counted from the end."""

    array: int
    index: tuple                 # type: ignore[assignment]  # a tuple has a method of that name
    block: int
    thread: int
    site: int
    verb: str
    wraps: bool


@dataclass(frozen=True)
class Memory:
    """An array in global or shared memory. Of an array in shared memory, each block has its own copy."""

    name: str
    space: str
    shape: tuple
    dtype: np.dtype

    def index(self, cell):
        """Return a cell as the kernel writes it, such as x[0, 3]."""
        return f"{self.name}[{', '.join(map(str, np.unravel_index(cell, self.shape)))}]"


class AccessLog:
    """All accesses and barriers of one launch.

    Attributes
    ----------
    arrays : list of Memory
    accesses : list of Access
        In order for each thread.
    out_of_bounds : list of OutOfBounds
    barriers : dict of (block, n) -> dict of thread -> site
        The site at which each thread of a block waited for its n-th barrier.
    lines : list of str
        The source line of each site.
    """

    def __init__(self, home):
        self.arrays, self.accesses, self.out_of_bounds, self.barriers, self.lines = [], [], [], {}, []
        self._home, self._sites = home, {}

    def watch(self, name, space, values):
        """Return an array for a kernel. It logs each access, and it writes to ``values``."""
        self.arrays.append(Memory(name, space, values.shape, values.dtype))
        return Counted(self, len(self.arrays) - 1, values, np.arange(values.size).reshape(values.shape))

    def site(self):
        """Return the number of the current source position, in the kernel or in a function that it calls."""
        frame = sys._getframe(1)
        while frame.f_code.co_filename in MACHINERY:
            frame = frame.f_back
        # The source position and not the instruction: Python replaces instructions by faster ones after a few runs
        file, place = frame.f_code.co_filename, (frame.f_code, _positions(frame.f_code)[frame.f_lasti // 2])
        if place not in self._sites:
            self._sites[place] = len(self.lines)
            self.lines.append(f"line {frame.f_lineno}" + ("" if file == self._home else f" of {Path(file).name}"))
        return self._sites[place]

    def note(self, array, cells, verb, atomic=False):
        """Log an access of the current thread to a cell, or to the cells of a vector."""
        thread, site = current_thread(), self.site()
        self.accesses += [Access(array, int(cell), thread.block, thread.thread_id, thread.interval, site, verb, atomic,
                                 lane)
                          for lane, cell in enumerate(np.ravel(cells))]

    def note_out_of_bounds(self, array, index, verb, wraps):
        """Log an access of the current thread with an index outside of the array, or with a negative one."""
        thread = current_thread()
        self.out_of_bounds.append(OutOfBounds(array, index, thread.block, thread.thread_id, self.site(), verb, wraps))

    @contextlib.contextmanager
    def replacing_the_simulators(self):
        """Log all arrays and barriers of kernels that run in the ``with`` block."""
        module, thread = simulator.FakeCUDAModule, simulator.BlockThread
        simulator.FakeCUDAModule = lambda *launch: _Module(self, *launch)
        simulator.BlockThread = lambda *start: _Thread(self, *start)
        try:
            yield
        finally:
            simulator.FakeCUDAModule, simulator.BlockThread = module, thread


class Counted:
    """An array, or a part of one, that logs each read and write by index."""

    def __init__(self, log, array, values, cells):
        self._log, self._array, self._values, self._cells = log, array, values, cells
        self.dtype, self.ndim, self.size, self.strides = values.dtype, values.ndim, values.size, values.strides
        self.shape = FakeShape(values.shape)

    def __len__(self):
        return len(self._values)

    def __iter__(self):
        return (self[index] for index in range(len(self)))       # needed because __getitem__ raises no IndexError

    def __getitem__(self, index):
        cells = self._find(index, READ)
        if cells is None:
            return self.dtype.type(0)
        if isinstance(cells, np.ndarray) and cells.ndim:
            return Counted(self._log, self._array, self._values[index], cells)
        self._log.note(self._array, cells, READ)
        return self._values[index]

    def __setitem__(self, index, value):
        cells = self._find(index, WRITE)
        if cells is not None:
            self._values[index] = value
            self._log.note(self._array, cells, WRITE)

    def atomically(self, operation, index, *values):
        """Run the simulator's atomic operation on a cell."""
        cells = self._find(index, WRITE)
        if cells is None:
            return self.dtype.type(0)
        self._log.note(self._array, cells, READ, atomic=True)
        self._log.note(self._array, cells, WRITE, atomic=True)
        return operation(self._values, index, *values)

    def _find(self, index, verb):
        """Return the cells of an index. If it is out of bounds, log that and return None."""
        places = index if isinstance(index, tuple) else (index,)
        whole = all(isinstance(place, (int, np.integer)) for place in places)
        if whole and len(places) <= self.ndim:
            sizes = self._values.shape[:len(places)]
            if any(not -size <= place < size for place, size in zip(places, sizes, strict=True)):
                self._log.note_out_of_bounds(self._array, tuple(map(int, places)), verb, wraps=False)
                return None
            if any(place < 0 for place in places):
                self._log.note_out_of_bounds(self._array, tuple(map(int, places)), verb, wraps=True)
        return self._cells[index]


class CountedVectors(Counted):
    """A view of a `Counted` array (..., C) as vectors (..., C / lanes), see `npse.cuda.runtime.vector_array`."""

    def __init__(self, counted, dtype):
        *outer, C = counted.shape
        super().__init__(counted._log, counted._array, *(part.reshape(*outer, C // dtype.lanes, dtype.lanes)
                                                         for part in (counted._values, counted._cells)))
        self.shape, self.ndim, self.size = self.shape[:-1], self.ndim - 1, self.size // dtype.lanes
        self.dtype = dtype

    def __getitem__(self, index):
        cells = self._find(index, READ)
        if cells is None:
            return self.dtype.type(0)
        self._log.note(self._array, cells, READ)
        return Vector(self._values[index])

    def __setitem__(self, index, value):
        super().__setitem__(index, lanes_in(value, self.dtype.lanes))


class _Thread(SimulatedThread):
    """A thread that counts the barriers that it has passed, and stores the number of its block."""

    def __init__(self, log, target, manager, block, thread, debug):
        super().__init__(target, manager, block, thread, debug)
        width, height, _ = manager._grid_dim
        self.block, self.interval, self._log = block[0] + width * (block[1] + height * block[2]), 0, log

    def syncthreads(self):
        self.interval += 1
        self._log.barriers.setdefault((self.block, self.interval), {})[self.thread_id] = self._log.site()
        super().syncthreads()


class _Module(kernelapi.FakeCUDAModule):
    """The module that a kernel uses as ``cuda``."""

    def __init__(self, log, *launch):
        super().__init__(*launch)
        self._shared, self._atomic = _Shared(log), _Atomic(self._atomic)


class _Shared:
    def __init__(self, log):
        self._log, self._arrays = log, {}

    def array(self, shape, dtype, alignment=None):
        """Return the shared array of this source position, the same for all threads. It is first filled with NaN."""
        site = self._log.site()
        if site not in self._arrays:
            dtype = kernelapi.numpy_support.as_dtype(dtype) if isinstance(dtype, kernelapi.types.Type) else dtype
            values = np.full(shape, np.nan if np.dtype(dtype).kind == "f" else 0, dtype)
            self._arrays[site] = self._log.watch(self._name(), "shared", values)
        return self._arrays[site]

    def _name(self):
        """Return the name of the variable to which the array is assigned, from the source line."""
        frame = sys._getframe(2)
        line = linecache.getline(frame.f_code.co_filename, frame.f_lineno)
        names = re.match(r"\s*([\w, ]+?)\s*=[^=]", line)
        names = re.findall(r"\w+", names[1]) if names else ["shared"]
        taken = {array.name for array in self._log.arrays}
        return next((name for name in names if name not in taken), f"{names[-1]}'")


class _Atomic:
    def __init__(self, operations):
        self._operations = operations

    def __getattr__(self, name):
        operation = getattr(self._operations, name)

        def atomic(array, index, *values):
            if name == "compare_and_swap":                        # it has no index and works on the first cell
                index, values = (0,) * array.ndim, (index, *values)
                return array.atomically(lambda cells, _, *rest: operation(cells, *rest), index, *values)
            return array.atomically(operation, index, *values)
        return atomic


@functools.cache
def _positions(code):
    """Return the source position of each instruction: lines and columns."""
    return list(code.co_positions())


# Files whose frames are not part of a kernel.
MACHINERY = {__file__, simulator.__file__, kernelapi.__file__, vector_array.__file__}
