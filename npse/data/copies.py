"""The files of a data set as they lie on disk: in a folder, or in a tar archive, which is never unpacked to disk."""

import contextlib
import io
import tarfile
import zlib
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TypeAlias

Files: TypeAlias = Mapping[str, Callable[[], bytes]]            # functions that return the content, by file name

LARGEST = 1 << 28                # bytes; every file of every data set is smaller


def files_at(path: Path, wanted: Collection[str], subfolders: Sequence[str]) -> Files:
    """Return the wanted files in a folder or one of its known subfolders, or in a tar archive, which is read once.

    ValueError if the archive is damaged, or one of the files in it is larger than any file of a data set.
    """
    if path.is_dir():
        return {file.name: file.read_bytes for file in _in_folder(path, wanted, subfolders)}
    with readable(f"{path} cannot be read as a compressed tar archive; it is truncated or another file"):
        return {name: io.BytesIO(read()).getvalue for name, read in _in_archive(path, wanted)}


def any_at(path: Path, wanted: Collection[str], subfolders: Sequence[str]) -> bool:
    """Whether `files_at` would find any file. An archive is read up to the first one only."""
    if path.is_dir():
        return any(True for _ in _in_folder(path, wanted, subfolders))
    try:
        return path.exists() and any(True for _ in _in_archive(path, wanted))
    except (OSError, EOFError, ValueError, zlib.error, tarfile.TarError):
        return False


@contextlib.contextmanager
def readable(complaint: str) -> Iterator[None]:
    """Within the ``with`` block raise any error as a ValueError that begins with the complaint.

    Damaged archives, pickles and images raise almost any class. An error of the system, such as a missing permission,
    stays as it is.
    """
    try:
        yield
    except Exception as error:
        if isinstance(error, OSError) and error.filename:
            raise
        raise ValueError(f"{complaint}: {error}") from error


def _in_folder(path: Path, wanted: Collection[str], subfolders: Sequence[str]) -> Iterator[Path]:
    for subfolder in ("", *subfolders):
        for name in sorted(wanted):
            if (path / subfolder / name).is_file():
                yield path / subfolder / name


def _in_archive(path: Path, wanted: Collection[str]) -> Iterator[tuple[str, Callable[[], bytes]]]:
    """Yield the name of each wanted file in a tar archive, and a function that reads it before the next is yielded."""
    with tarfile.open(path) as archive:
        for member in archive:
            name = member.name.rpartition("/")[2]
            if member.isfile() and name in wanted:
                if member.size > LARGEST:
                    raise ValueError(f"{name} has {member.size} bytes, more than any file of a data set")
                yield name, archive.extractfile(member).read                # type: ignore[union-attr]  # it is a file
