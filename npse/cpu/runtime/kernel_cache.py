"""The machine code of kernels on disk, see `npse.editions.kernel_files`, in the form that Numba asks for it.

Numba's own cache keeps an index for each function and does not catch errors of reading and writing. A truncated file
stops every later run, and a full disk stops the run itself. If two processes write at the same time, the index of one
can point to the code of the other. And it never finds the code of a kernel that closes over another one again.
"""

import pickle
from pathlib import Path

from numba.core import caching
from numba.core.compiler import CompileResult
from numba.core.serialize import dumps

from npse.editions import kernel_files


class KernelCache(caching._Cache):
    """The files of one kernel.

    Parameters
    ----------
    function : the kernel in Python
    folder : Path

    Raises
    ------
    TypeError
        The kernel cannot be recognised in another process, see `npse.editions.kernel_files.identity`.
    """

    def __init__(self, function, folder):
        self._folder, self._enabled = folder, True
        code = function.__code__
        self._source = kernel_files.digest(Path(code.co_filename).read_bytes())
        self._identity = kernel_files.identity(function)
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
        content = kernel_files.content(self._file(key)) if self._enabled else None
        if content is None:
            return None
        try:
            found, code = pickle.loads(content)
            return CompileResult._rebuild(target_context, *code) if found == key else None
        except Exception:                     # written by another version of a package, ...
            return None

    def save_overload(self, sig, data):
        """Keep the machine code for a signature."""
        if not self._enabled or data.library.has_dynamic_globals:         # code with addresses, which change
            return
        key = self._key(sig, data.codegen)
        kernel_files.keep(self._file(key), dumps((key, data._reduce())))

    def _key(self, sig, codegen):
        return self._source, sig, codegen.magic_tuple(), self._identity

    def _file(self, key):
        return self._folder / f"{self._name}.{kernel_files.digest(repr(key[1:]).encode()).hex()[:16]}.nbc"
