"""The files of a data set as they lie on disk: in a folder, or in a tar archive, which is never unpacked to disk."""

import contextlib
import io
import itertools
import tarfile
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
    with _named(path):
        return {name: io.BytesIO(read()).getvalue for name, read in _in_archive(path, wanted)}


def names_at(path: Path, wanted: Collection[str], subfolders: Sequence[str]) -> list[str]:
    """Return the names of the wanted files in a folder, or only the first one in an archive, which takes less time.

    An empty list for a file that is not an archive.
    """
    if path.is_dir():
        return [file.name for file in _in_folder(path, wanted, subfolders)]
    try:
        with _named(path):
            return [name for name, _ in itertools.islice(_in_archive(path, wanted), 1)]
    except ValueError:
        return []


def _in_folder(path: Path, wanted: Collection[str], subfolders: Sequence[str]) -> Iterator[Path]:
    for subfolder in ("", *subfolders):
        if (path / subfolder).is_dir():
            yield from (file for file in sorted((path / subfolder).iterdir()) if file.name in wanted and file.is_file())


def _in_archive(path: Path, wanted: Collection[str]) -> Iterator[tuple[str, Callable[[], bytes]]]:
    """Yield the name of each wanted file in a tar archive, and a function that reads it before the next is yielded."""
    with tarfile.open(path) as archive:
        for member in archive:
            name = member.name.rpartition("/")[2]
            if member.isfile() and name in wanted:
                if member.size > LARGEST:
                    raise ValueError(f"{name} has {member.size} bytes, more than any file of a data set")
                yield name, archive.extractfile(member).read                # type: ignore[union-attr]  # it is a file


@contextlib.contextmanager
def _named(path: Path) -> Iterator[None]:
    """Within the ``with`` block raise an error of any class as a ValueError that names the archive."""
    try:
        yield
    except Exception as error:                                  # a damaged archive raises almost any class
        if isinstance(error, OSError) and error.filename:       # no permission to read it
            raise
        raise ValueError(f"{path} cannot be read as a compressed tar archive; it is truncated or another file: "
                         f"{error}") from error
