"""Write files so that an error never destroys what was there before."""

import contextlib
import itertools
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path


def expect_place(path: Path | None, suffix: str = "") -> None:
    """Check, before long work begins, that a file can be written at ``path``. None is accepted: nothing is written.

    Raises
    ------
    FileNotFoundError
        The folder of the file does not exist.
    IsADirectoryError
        ``path`` is a folder.
    ValueError
        The name does not end in ``suffix``.
    """
    if path is None:
        return
    if not path.parent.is_dir():
        raise FileNotFoundError(f"cannot write {path}: {path.parent} is not a folder; make it first")
    if path.is_dir():
        raise IsADirectoryError(f"cannot write {path}: it is a folder; name a file")
    if not path.name.lower().endswith(suffix):
        raise ValueError(f"cannot write {path}: its name must end in {suffix}")


def free_name(path: Path) -> Path:
    """Return a path beside ``path`` that does not exist: for name.txt the first of name-1.txt, name-2.txt, ..."""
    numbers = itertools.count(1)
    return next(free for number in numbers if not (free := path.with_stem(f"{path.stem}-{number}")).exists())


@contextlib.contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Within the ``with`` block hold a folder, so that no other process holds it at the same time.

    A process that ends, however it ends, gives its folders back. Where the system or the disk has no such locks, as
    Windows, every process gets the folder.

    Raises
    ------
    BlockingIOError
        Another process holds the folder.
    """
    try:
        import fcntl
    except ImportError:
        yield
        return
    handle = os.open(folder, os.O_RDONLY)
    try:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise BlockingIOError(f"{folder} is in use by another process; wait until it ends, or choose another "
                                  "folder") from None
        except OSError:                                           # of a disk without locks
            pass
        yield
    finally:
        os.close(handle)


def write_atomically(path: str | Path, content: str | bytes) -> None:
    """Write bytes or text (as UTF-8) to ``path``: first to a temporary file beside it, which is then renamed.

    Raises
    ------
    OSError
        The disk is full, there is no permission, ...; an older file at ``path`` is unchanged.
    """
    try:
        _write(Path(path), content.encode() if isinstance(content, str) else content)
    except OSError as error:
        error.filename = str(path)                                # instead of the name of the temporary file
        raise


def _write(path: Path, content: bytes) -> None:
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


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask
