"""`kernel`, the decorator of all compiled kernels, and the folder on disk with their machine code.

A kernel is sequential code that releases the GIL and works on a range ``first .. last`` of its arrays. `parallel_for`
calls it with ranges. It is compiled at the first call with a dtype; later processes load it from the folder. With
NUMBA_DISABLE_JIT=1 the kernels run as plain Python, for a debugger or to measure test coverage.
"""

import contextlib
import functools
import hashlib
import sys
import threading
from pathlib import Path

import llvmlite.binding
import numba
import numpy as np
from numba.core import event
from numba.core.codegen import get_host_cpu_features
from numba.core.dispatcher import Dispatcher

from npse.cpu.runtime.kernel_cache import KernelCache
from npse.cpu.runtime.uninterrupted import uninterrupted
from npse.editions import kernel_files

_EDITION, _SOURCE = "npse.cpu", Path(__file__).parents[1]
_LONGEST = 120                   # letters of the name of a kernel; with those of its module a file may have 255


def kernel(function):
    """Compile a function of C-contiguous arrays and scalars when it is first called, and keep the machine code on disk.

    No fast-math flags are set: every sum has the order in which it is written. So code that was just compiled and code
    that was loaded from the folder give the same bits.
    """
    function.__qualname__ = _name_with_constants(function)
    compiled = numba.njit(nogil=True, error_model="numpy")(function)
    if isinstance(compiled, Dispatcher):                          # not with NUMBA_DISABLE_JIT=1
        compiled.compile = functools.partial(uninterrupted, compiled.compile)
        folder = cache_folder()
        if folder and Path(function.__code__.co_filename).is_file():
            with contextlib.suppress(TypeError):                  # code that no other process can recognise
                compiled._cache = KernelCache(function, folder)
    return compiled


def _name_with_constants(function):
    """Return the qualified name of a kernel and the values it closes over, as in ``_kernel.<locals>.correlate_4_2``.

    For functions with the same name Numba adds a number to the symbols, which counts within a process. So the code of
    two kernels from two processes can have the same symbol. If one process loads both, one could run as the other. The
    end of a long name is replaced by a hash of it, because it is also the name of a file.
    """
    constants = [getattr(cell.cell_contents, "__qualname__", cell.cell_contents) for cell in function.__closure__ or ()]
    name = "_".join([function.__qualname__, *map(str, constants)])
    return name if len(name) <= _LONGEST else f"{name[:80]}_{hashlib.sha256(name.encode()).hexdigest()[:16]}"


@functools.cache
def cache_folder():
    """Return the folder of the compiled kernels, or None if no folder can be written; see `kernel_files.folder`."""
    return kernel_files.folder(fingerprint())


def fingerprint(source=_SOURCE):
    """Return 16 hex digits, a hash of all that decides the machine code: source, versions and CPU.

    The source counts as a whole, because Numba does not notice when a helper in another file changes.
    """
    return kernel_files.fingerprint(source, sys.version, numba.__version__, np.__version__, llvmlite.__version__,
                                    *_cpu())


def _cpu():
    name, features = numba.config.CPU_NAME, numba.config.CPU_FEATURES
    return name or llvmlite.binding.get_host_cpu_name(), get_host_cpu_features() if features is None else features


@contextlib.contextmanager
def on_compile(tell):
    """Within the ``with`` block call ``tell(count, name)`` for every kernel that is compiled, and print nothing."""
    before, _announcement.tell = _announcement.tell, tell
    _announcement.count = 0
    try:
        yield
    finally:
        _announcement.tell = before


class _Announcement(event.Listener):
    """Prints one line on stderr at the first compilation, because the first seconds would look like a hang."""

    def __init__(self):
        self.count, self.tell = 0, self._say
        self._first = threading.Lock()                            # taken once, never released

    def on_start(self, compilation):
        function = compilation.data["dispatcher"].py_func
        if (function.__module__ or "").startswith(_EDITION + "."):       # None: of code that was given to exec
            self.count += 1
            self.tell(self.count, function.__qualname__)

    def _say(self, count, name):
        if self._first.acquire(blocking=False):
            kept = "once" if cache_folder() else "each time: no cache folder is writable (NPSE_CACHE_DIR can name one)"
            print(f"npse: compiling kernels for this machine, {kept}", file=sys.stderr, flush=True)

    def on_end(self, compilation):
        pass


_announcement = _Announcement()
event.register("numba:compile", _announcement)
