"""`kernel`, the decorator of all compiled kernels, and the folder on disk that keeps their machine code.

A kernel is sequential code that releases the GIL and works on a range ``first .. last`` of its arrays; `parallel_for`
hands the ranges out. It is compiled when first called with a dtype, and loaded from the folder by every later process.
Set NUMBA_DISABLE_JIT=1 to run, step through and cover the kernels as plain Python.
"""

import contextlib
import functools
import hashlib
import os
import shutil
import sys
import tempfile
import threading
import time
from pathlib import Path

import llvmlite.binding
import numba
import numpy as np
import platformdirs
from numba.core import event
from numba.core.codegen import get_host_cpu_features
from numba.core.dispatcher import Dispatcher

from npse.cpu.runtime.kernel_cache import KernelCache
from npse.cpu.runtime.uninterrupted import uninterrupted

_EDITION, _SOURCE = "npse.cpu", Path(__file__).parents[1]
_MONTH = 30 * 24 * 3600


def kernel(function):
    """Compile a function of C-contiguous arrays and scalars when it is first called, and keep the machine code on disk.

    No fast-math flags: the order of every sum is the order written, so that code just compiled and code loaded from
    the folder give the same bits.
    """
    function.__qualname__ = _name_with_constants(function)
    compiled = numba.njit(nogil=True, error_model="numpy")(function)
    if isinstance(compiled, Dispatcher):                          # not with NUMBA_DISABLE_JIT=1
        compiled.compile = functools.partial(uninterrupted, compiled.compile)
        folder = cache_folder()
        if folder and Path(function.__code__.co_filename).is_file():
            compiled._cache = KernelCache(function, folder)
    return compiled


def _name_with_constants(function):
    """Return the qualified name of a kernel, followed by what it closes over, as in ``_kernel.<locals>.correlate_4_2``.

    Numba tells the machine code of functions of one name apart by a number that counts within a process. So code of
    two processes can have one symbol, and once both are loaded, its address is that of either.
    """
    constants = [getattr(cell.cell_contents, "__qualname__", cell.cell_contents) for cell in function.__closure__ or ()]
    return "_".join([function.__qualname__, *map(str, constants)])


@functools.cache
def cache_folder():
    """Return the folder that keeps the compiled kernels, or None where none can be written.

    It lies in the directory that the environment variable NPSE_CACHE_DIR names, else in the user's cache directory.
    Its name holds `fingerprint`, for Numba alone would load stale code: it does not see a change in a helper of another
    file. Folders of other fingerprints that were not written for a month are removed when a new one is made.
    """
    try:
        parent = Path(os.environ.get("NPSE_CACHE_DIR") or platformdirs.user_cache_dir("npse")).expanduser().absolute()
        folder = parent / f"kernels-{fingerprint()}"
        if not folder.is_dir():
            _remove_old(parent)
        folder.mkdir(parents=True, exist_ok=True)
        tempfile.TemporaryFile(dir=folder).close()
    except (OSError, RuntimeError):           # not writable, or no home directory to put it in
        return None
    return folder


def fingerprint(source=_SOURCE):
    """Return 16 hex digits computed from all that the machine code depends on: source, versions and CPU."""
    digest = hashlib.sha256()
    for file in sorted(source.rglob("*.py")):
        digest.update(file.relative_to(source).as_posix().encode() + b"\0" + file.read_bytes() + b"\0")
    for item in (sys.version, numba.__version__, np.__version__, llvmlite.__version__, *_cpu()):
        digest.update(item.encode() + b"\0")
    return digest.hexdigest()[:16]


def _cpu():
    name, features = numba.config.CPU_NAME, numba.config.CPU_FEATURES
    return name or llvmlite.binding.get_host_cpu_name(), get_host_cpu_features() if features is None else features


def _remove_old(parent):
    for folder in parent.glob("kernels-" + "[0-9a-f]" * 16):
        with contextlib.suppress(OSError):                        # another process has removed it
            if time.time() - folder.stat().st_mtime > _MONTH:
                shutil.rmtree(folder, ignore_errors=True)


@contextlib.contextmanager
def on_compile(tell):
    """Within the ``with`` block ``tell(count, name)`` is called for every kernel compiled; the user is told nothing."""
    before, _announcement.tell = _announcement.tell, tell
    _announcement.count = 0
    try:
        yield
    finally:
        _announcement.tell = before


class _Announcement(event.Listener):
    """Print one line on stderr when kernels are compiled: without it the first seconds look like a hang."""

    def __init__(self):
        self.count, self.tell = 0, self._say
        self._first = threading.Lock()                            # taken once, never released

    def on_start(self, compilation):
        function = compilation.data["dispatcher"].py_func
        if function.__module__.startswith(_EDITION + "."):
            self.count += 1
            self.tell(self.count, function.__qualname__)

    def _say(self, count, name):
        if self._first.acquire(blocking=False):
            kept = "once" if cache_folder() else "each time, as no cache folder is writable (NPSE_CACHE_DIR names one)"
            print(f"npse: compiling kernels for this machine, {kept}", file=sys.stderr, flush=True)

    def on_end(self, compilation):
        pass


_announcement = _Announcement()
event.register("numba:compile", _announcement)
