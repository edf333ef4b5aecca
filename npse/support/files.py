"""Writing files so that nothing that was there is lost when something goes wrong."""

import itertools
import os
import tempfile
from pathlib import Path


def expect_place(path, suffix=""):
    """Look, before long work begins, whether a file can be written under ``path``, if it is not None.

    Raises FileNotFoundError (no such folder), IsADirectoryError, or ValueError if its name does not end as it must.
    """
    if path is None:
        return
    if not path.parent.is_dir():
        raise FileNotFoundError(f"cannot write {path}: {path.parent} is no folder; make it first")
    if path.is_dir():
        raise IsADirectoryError(f"cannot write {path}: it is a folder; name a file")
    if not path.name.lower().endswith(suffix):
        raise ValueError(f"cannot write {path}: its name must end in {suffix}")


def free_name(path):
    """Return a path beside ``path`` that does not exist: for name.txt, the first of name-1.txt, name-2.txt, ..."""
    numbers = itertools.count(1)
    return next(free for number in numbers if not (free := path.with_stem(f"{path.stem}-{number}")).exists())


def write_atomically(path, content):
    """Write bytes or text under ``path``: a temporary file beside it first, on disk, then renamed over it.

    Raises OSError (full disk, no permission), with whatever stood at ``path`` untouched.
    """
    try:
        _write(Path(path), content.encode() if isinstance(content, str) else content)
    except OSError as error:
        error.filename = str(path)                                # not the name of the temporary file
        raise


def _write(path, content):
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        os.chmod(temporary, 0o666 & ~_umask())                    # mkstemp makes files private
        os.replace(temporary, path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise


def _umask():
    mask = os.umask(0)
    os.umask(mask)
    return mask
