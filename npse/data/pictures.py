"""Own pictures: a folder with a folder of pictures for each class, as in torchvision's ImageFolder.

    photos/cat/1.jpg            or, with parts that are already      photos/train/cat/1.jpg   photos/test/cat/7.png
    photos/cat/holiday/2.png    chosen, of which val/ may be absent  photos/train/dog/3.jpg   photos/val/dog/5.png
    photos/dog/3.webp

The class is the name of the folder; folders in it belong to it. Links are followed. Hidden files and folders, whose
names begin with a dot, are left out; files whose endings are not of pictures are left out and counted.

Without test/, one picture in five of each class becomes a test picture. Which ones depends on their names alone, so the
same folder gives the same test pictures on every machine and for every seed.
"""

import hashlib
import os
import unicodedata
import warnings
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np

from npse.data import picture
from npse.data.dataset import Dataset, pixel_statistics
from npse.support.environment import threads
from npse.types import Array

SIZE = 32                        # height and width of the images unless others are asked for
HELD_OUT = 5                     # one in so many pictures of each class becomes a test picture
PARTS = ("train", "test", "val")
KINDS = 6                        # endings of other files that a line names
AT_ONCE = 256                    # pictures that are read before Ctrl-C is noticed

ByClass = dict[str, list[Path]]  # the pictures of each class


def load(path: Path, size: int = SIZE) -> Dataset:
    """Read the pictures in a folder.

    Parameters
    ----------
    path : Path
    size : int
        Height and width of the images: the largest central square of each picture is resampled.

    Returns
    -------
    Dataset
        Of RGB images.

    Raises
    ------
    ValueError
        There is no folder for each class, a class has too few pictures, or pictures cannot be read: all are named.
    OSError
        A folder cannot be read.
    """
    notes: list[str] = []
    parts = _parts(path, notes)
    classes = sorted(parts["train"])
    broken: list[str] = []
    arrays = {part: _read(path, classes, pictures, size, broken) for part, pictures in parts.items()}
    if broken:
        count = sum(len(files) for pictures in parts.values() for files in pictures.values())
        raise ValueError(f"{len(broken)} of {count} pictures in {path} cannot be read; mend or remove them: "
                         + ", ".join(sorted(broken)))
    images, labels = arrays["train"]
    val_images, val_labels = arrays.get("val", (None, None))
    return Dataset(name_of(path), images, labels, *arrays["test"], tuple(classes), *pixel_statistics(images),
                   val_images, val_labels, tuple(notes))


def name_of(path: Path) -> str:
    """Return the name of a data set of own pictures: that of its folder."""
    return path.name or "pictures"


def _parts(path: Path, notes: list[str]) -> dict[str, ByClass]:
    """Return the pictures for "train", "test" and, if there are any, "val", by class."""
    folders = {entry.name for entry in _visible(path) if entry.is_dir()}
    chosen = folders & {*PARTS}
    if "train" not in chosen or chosen == {"train"} < folders:
        return _held_out(path, _by_class(path, notes), notes)
    if others := sorted(folders - chosen):
        raise ValueError(f"{path} holds {', '.join(sorted(chosen))} and also {', '.join(others)}; expected train, test "
                         "and perhaps val, with a folder for each class in each, or a folder for each class")
    parts = {part: _by_class(path / part, notes) for part in PARTS if part in chosen}
    for part, pictures in parts.items():
        if differing := sorted(pictures.keys() ^ parts["train"].keys()):
            raise ValueError(f"{path}: the classes of train and {part} differ in {', '.join(differing)}; expected a "
                             "folder for each class in both")
    if chosen == {"train"}:
        return _held_out(path, parts["train"], notes)
    return parts if "test" in parts else {"train": parts["train"], "test": parts["val"]}


def _by_class(folder: Path, notes: list[str]) -> ByClass:
    """Return the pictures of each class, whose folders are in ``folder``; a line about other files goes to notes."""
    known, others = picture.endings(), Counter[str]()
    found: ByClass = defaultdict(list)
    for entry in _visible(folder):
        if not entry.is_dir():
            others[entry.suffix.lower() or entry.name] += 1
            continue
        if not entry.name.isprintable():
            raise ValueError(f"the name of the folder {str(entry)!r} has characters that cannot be printed; rename it")
        found[_normal(entry.name)] += _pictures(entry, known, others, (folder,))
    empty = [name for name, files in found.items() if not files]
    left = f" (files left out: {_counted(others)})" if others else ""
    if len(found) < 2:
        raise ValueError(f"{folder} has {len(found) or 'no'} folder{'s' * (not found)} of pictures; expected a folder "
                         f"for each of at least two classes{left}")
    if len(empty) == len(found):
        raise ValueError(f"{folder} has {len(found)} folders, but no pictures in them; expected PNG, JPEG or "
                         f"similar{left}")
    if empty:
        raise ValueError(f"{folder}: no picture is in the folder{'s' * (len(empty) > 1)} {', '.join(sorted(empty))}; "
                         f"remove it, or put pictures into it: PNG, JPEG or similar{left}")
    if others:
        notes.append(f"files left out of {folder}: {_counted(others)}")
    return found


def _pictures(folder: Path, known: frozenset[str], others: Counter[str], above: Sequence[Path]) -> Iterator[Path]:
    """Yield the pictures in a folder and in the folders in it; count the other files."""
    if any(folder.samefile(other) for other in above):
        raise ValueError(f"{folder} is a link to a folder that contains it; remove the link")
    for entry in _visible(folder):
        if entry.is_dir():
            yield from _pictures(entry, known, others, (*above, folder))
        elif entry.suffix.lower() in known and (entry.is_file() or entry.is_symlink()):
            yield entry
        else:
            others[entry.suffix.lower() or entry.name] += 1


def _visible(folder: Path) -> list[Path]:
    """Return the entries of a folder that are not hidden, by name."""
    return sorted(entry for entry in folder.iterdir() if not entry.name.startswith(".") and entry.name != "__MACOSX")


def _held_out(path: Path, pictures: ByClass, notes: list[str]) -> dict[str, ByClass]:
    """Return the pictures for "train" and for "test", chosen by their names."""
    if few := [name for name, files in pictures.items() if len(files) < 2]:
        raise ValueError(f"{path}: each class needs at least two pictures, one for training and one for test, but "
                         f"{', '.join(sorted(few))} has one")
    parts: dict[str, ByClass] = {"train": {}, "test": {}}
    for name, files in pictures.items():
        mixed = sorted(files, key=lambda file: _mixed(file, path))
        count = max(1, round(len(files) / HELD_OUT))
        parts["train"][name], parts["test"][name] = mixed[count:], mixed[:count]
    notes.append(f"one in {HELD_OUT} pictures of each class is a test picture, chosen by its name")
    return parts


def _mixed(file: Path, path: Path) -> bytes:
    """Return a key that sorts pictures in an order without pattern, the same on every machine."""
    return hashlib.sha256(os.fsencode(_normal(file.relative_to(path).as_posix()))).digest()


def _normal(name: str) -> str:
    """Return a file name in the normal form of Unicode that most systems use; macOS may use another."""
    return unicodedata.normalize("NFC", name)


def _read(path: Path, classes: list[str], pictures: ByClass, size: int, broken: list[str]) -> tuple[Array, Array]:
    """Return images (N, S, S, 3), uint8, and labels (N,), in mixed order; add what cannot be read to ``broken``."""
    files = sorted(((file, label) for label, name in enumerate(classes) for file in pictures[name]),
                   key=lambda pair: _mixed(pair[0], path))
    images = np.zeros((len(files), size, size, 3), np.uint8)

    def read(number: int) -> None:
        file = files[number][0]
        try:
            images[number] = picture.square(picture.decode(file, 2 * size), size)
        except (OSError, ValueError) as error:
            why = error.strerror if isinstance(error, OSError) else picture.reason(file, error.__cause__)
            broken.append(f"{file.relative_to(path)} ({why})")

    with warnings.catch_warnings(action="ignore"), ThreadPoolExecutor(threads()) as pool:
        for first in range(0, len(files), AT_ONCE):
            for _ in pool.map(read, range(first, min(first + AT_ONCE, len(files)))):
                pass
    return images, np.array([label for _, label in files], np.int64)


def _counted(others: Counter[str]) -> str:
    """Return the most frequent endings of files with their numbers."""
    kinds = Counter(dict(sorted(others.items()))).most_common()
    named = ", ".join(f"{count} x {ending}" for ending, count in kinds[:KINDS])
    return named if len(kinds) <= KINDS else f"{named} and {len(kinds) - KINDS} other kinds"
