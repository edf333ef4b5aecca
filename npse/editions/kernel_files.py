"""Compiled kernels on disk, for every compiled edition. A damaged, missing or read-only file never makes an op fail.

Each kernel and signature has its own file, which begins with a digest of the rest. A file that cannot be read, or whose
digest differs, counts as missing: the kernel is compiled again, and the file is replaced. If a file cannot be written,
the process prints one warning and continues.

The files of an edition are in a folder whose name holds a hash of everything that decides the machine code: the source
of the edition, the source that the editions share, versions, and the processor.
"""

import contextlib
import hashlib
import os
import shutil
import sys
import tempfile
import threading
import time
from collections.abc import Iterable
from pathlib import Path
from types import CodeType, FunctionType
from typing import Any

import numpy as np
import platformdirs

from npse.support.files import write_atomically

DIGEST = hashlib.sha256().digest_size
_MONTH = 30 * 24 * 3600


def fingerprint(source: Path, *versions: str) -> str:
    """Return 16 hex digits, a hash of the ``versions`` and of the Python files below ``source`` and in this package."""
    digest = hashlib.sha256()
    for place in (source, Path(__file__).parent):
        for file in sorted(place.rglob("*.py")):
            digest.update(file.relative_to(place).as_posix().encode() + b"\0" + file.read_bytes() + b"\0")
    for item in versions:
        digest.update(item.encode() + b"\0")
    return digest.hexdigest()[:16]


def folder(fingerprint: str) -> Path | None:
    """Return the folder of the kernels with this fingerprint, or None if no folder can be written.

    It is in the directory that the environment variable NPSE_CACHE_DIR names, else in the user's cache directory. When
    a new folder is made, those of other fingerprints that were not written for a month are removed.
    """
    try:
        parent = Path(os.environ.get("NPSE_CACHE_DIR") or platformdirs.user_cache_dir("npse")).expanduser().absolute()
        place = parent / f"kernels-{fingerprint}"
        if not place.is_dir():
            _remove_old(parent)
        place.mkdir(parents=True, exist_ok=True)
        tempfile.TemporaryFile(dir=place).close()
    except (OSError, RuntimeError):           # not writable, or the user has no home directory
        return None
    return place


def _remove_old(parent: Path) -> None:
    for place in parent.glob("kernels-" + "[0-9a-f]" * 16):
        with contextlib.suppress(OSError):                        # another process has removed it
            if time.time() - place.stat().st_mtime > _MONTH:
                shutil.rmtree(place, ignore_errors=True)


def content(file: Path) -> bytes | None:
    """Return what was kept in a file; None if it is missing, unreadable or damaged."""
    try:
        found = file.read_bytes()
    except OSError:
        return None
    return found[DIGEST:] if found[:DIGEST] == digest(found[DIGEST:]) else None


def keep(file: Path, content: bytes) -> None:
    """Write bytes to a file, after a digest of them. If that is impossible, print a line once in this process."""
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        write_atomically(file, digest(content) + content)
    except OSError as error:
        _tell(file.parent, error)


_told = threading.Lock()                      # taken once, never released


def _tell(place: Path, error: OSError) -> None:
    if _told.acquire(blocking=False):
        print(f"npse: compiled kernels cannot be kept in {place}: {error.strerror or error}; they will be compiled "
              "again next time (NPSE_CACHE_DIR names another folder)", file=sys.stderr, flush=True)


def digest(content: bytes) -> bytes:
    """Return the SHA-256 digest of bytes."""
    return hashlib.sha256(content).digest()


def identity(function: Any) -> bytes:
    """Return a digest of a kernel's code and of all that it closes over, the same in every process.

    The values in its closures may be numbers, strings, dtypes, arrays, and functions or kernels, whose closures are
    followed in turn. Global names are not followed: the folder has a hash of the whole edition.

    Raises
    ------
    TypeError
        The function closes over a value of another kind, so that its code cannot be recognised in another process.
    """
    hasher = hashlib.sha256()
    for part in _parts(function):
        hasher.update(part + b"\0")
    return hasher.digest()


def _parts(value: Any) -> Iterable[bytes]:
    """Yield bytes that differ for values that would give other machine code."""
    value = getattr(value, "py_func", value)                      # of a compiled function
    yield type(value).__name__.encode()
    if isinstance(value, FunctionType):
        yield f"{value.__module__}.{value.__qualname__}".encode()
        yield from _parts(value.__code__)
        yield from _parts(value.__defaults__)
        yield from _parts(tuple(cell.cell_contents for cell in value.__closure__ or ()))
    elif isinstance(value, CodeType):
        yield value.co_code
        yield repr((value.co_names, value.co_varnames, value.co_freevars)).encode()
        yield from _parts(value.co_consts)
    elif isinstance(value, tuple | frozenset):
        for item in value if isinstance(value, tuple) else sorted(value, key=repr):
            yield from _parts(item)
    elif isinstance(value, np.ndarray):
        yield repr((value.dtype.str, value.shape)).encode()
        yield value.tobytes()
    elif isinstance(value, type):
        yield f"{value.__module__}.{value.__qualname__}".encode()
    elif value is None or value is Ellipsis or isinstance(value, int | float | complex | str | bytes | np.generic
                                                          | np.dtype):
        yield repr(value).encode()
    else:
        raise TypeError(f"a kernel that closes over {value!r} cannot be recognised in another process")
