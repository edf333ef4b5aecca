"""The machine code of kernels on disk. A damaged, missing or read-only file never makes an op fail.

Numba's own cache keeps an index for each function and does not catch errors of reading and writing. A truncated file
stops every later run, and a full disk stops the run itself. If two processes write at the same time, the index of one
can point to the code of the other. Here each signature has its own file, which begins with a digest of the rest. If a
file cannot be read or its digest differs, the kernel is compiled again and the file is replaced. If a file cannot be
written, the process prints one warning and continues.
"""

import hashlib
import pickle
import sys
import threading
from pathlib import Path

from numba.core import caching
from numba.core.compiler import CompileResult
from numba.core.serialize import dumps

from npse.support.files import write_atomically

DIGEST = hashlib.sha256().digest_size


class KernelCache(caching._Cache):
    """The files of one kernel.

    Parameters
    ----------
    function : the kernel in Python
    folder : Path
    """

    def __init__(self, function, folder):
        self._py_func, self._folder, self._enabled = function, folder, True
        code = function.__code__
        self._source = _digest(Path(code.co_filename).read_bytes())
        name = f"{function.__module__}.{function.__qualname__}-{code.co_firstlineno}"
        self._name = name.replace("<", "").replace(">", "")       # Windows does not allow them

    @property
    def cache_path(self):
        return str(self._folder)

    def enable(self):
        self._enabled = True

    def disable(self):
        self._enabled = False

    def flush(self):
        """Remove the files of this kernel."""
        for file in self._folder.glob(f"{self._name}.*"):
            file.unlink(missing_ok=True)

    def load_overload(self, sig, target_context):
        """Return the machine code for a signature; None if it must be compiled."""
        target_context.refresh()
        key = self._key(sig, target_context.codegen())
        try:
            content = self._file(key).read_bytes()
            if not self._enabled or content[:DIGEST] != _digest(content[DIGEST:]):
                return None
            found, code = pickle.loads(content[DIGEST:])
            return CompileResult._rebuild(target_context, *code) if found == key else None
        except Exception:                     # no such file, no right to read it, another version of a package, ...
            return None

    def save_overload(self, sig, data):
        """Keep the machine code for a signature."""
        if not self._enabled or data.library.has_dynamic_globals:         # code with addresses, which change
            return
        key = self._key(sig, data.codegen)
        content = dumps((key, data._reduce()))
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            write_atomically(self._file(key), _digest(content) + content)
        except OSError as error:
            _tell(self._folder, error)

    def _key(self, sig, codegen):
        return self._source, *self._index_key(sig, codegen)

    _index_key = caching.Cache._index_key     # signature, processor, bytecode and closed-over values

    def _file(self, key):
        return self._folder / f"{self._name}.{_digest(repr(key[1:]).encode()).hex()[:16]}.nbc"


def _digest(content):
    return hashlib.sha256(content).digest()


_told = threading.Lock()                      # taken once, never released


def _tell(folder, error):
    if _told.acquire(blocking=False):
        print(f"npse: compiled kernels cannot be kept in {folder}: {error.strerror or error}; they will be compiled "
              "again next time (NPSE_CACHE_DIR names another folder)", file=sys.stderr, flush=True)
