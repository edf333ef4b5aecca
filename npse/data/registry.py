"""The table of all data sets, and how a name or a path leads to one. A new data set is a file and a line here."""

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from npse.data import cifar10, cifar100, fashion_mnist, pictures, shapes
from npse.data.dataset import Dataset
from npse.data.published import Published
from npse.support.names import suggest


@dataclass(frozen=True)
class Entry:
    """A data set by name.

    Attributes
    ----------
    name : str
    about : str
        What it is, in a line.
    image_size, channels, classes : int
        Height and width of its images, their channels, and the number of classes.
    epochs : int
        Of a run that sets none.
    make : callable
        Returns the `Dataset`: from the content of its files, if there are any.
    files : Published, optional
        Its files; None for a data set that is built in.
    """

    name: str
    about: str
    image_size: int
    channels: int
    classes: int
    epochs: int
    make: Callable[..., Dataset]
    files: Published | None = None

    def load(self, path: Path | None = None) -> Dataset:
        """Load the data set: from a folder or archive, by default from where it lies."""
        return self.make() if self.files is None else self.make(self.files.contents(path))

    def is_here(self) -> bool:
        """Whether the data set can be loaded without a download."""
        return self.files is None or self.files.place() is not None


SETS: Mapping[str, Entry] = {entry.name: entry for entry in (
    # name, about, image size, channels, classes, epochs, make, files
    Entry("shapes", "drawn shapes, built in", 32, 3, 10, 10, shapes.load),
    Entry("cifar10", "photographs of animals and vehicles", 32, 3, 10, 30, cifar10.dataset, cifar10.FILES),
    Entry("cifar100", "photographs, fine classes", 32, 3, 100, 30, cifar100.fine, cifar100.FILES),
    Entry("cifar100-coarse", "the same photographs, coarse classes", 32, 3, 20, 30, cifar100.coarse, cifar100.FILES),
    Entry("fashion-mnist", "garments, grey", 28, 1, 10, 10, fashion_mnist.dataset, fashion_mnist.FILES),
)}
PICTURE_EPOCHS = 30              # of a run on own pictures that sets none


def load(name: str | Path, image_size: int = 0) -> Dataset:
    """Load a data set.

    Parameters
    ----------
    name : str or Path
        A name, such as "shapes" or "cifar10" (see ``npse data list``); or the path of a folder or archive with one of
        these data sets; or the path of a folder of own pictures, see `npse.data.pictures`.
    image_size : int
        Height and width to which own pictures are resized; 0 for the usual ones.

    Returns
    -------
    Dataset

    Raises
    ------
    ValueError
        The name is unknown, a file is not the official one, a picture cannot be read, or the data set has another
        size.
    FileNotFoundError
        The data set has not been fetched, or nothing is at the path.
    """
    data = os.fspath(name)
    entry = entry_of(data)
    if entry is None:
        return pictures.load(_path(data), image_size or pictures.SIZE)
    if image_size not in (0, entry.image_size):
        raise ValueError(f"image_size is for own pictures; the images of {entry.name} have {entry.image_size}x"
                         f"{entry.image_size} pixels, not {image_size}x{image_size}; leave it out")
    return entry.load(None if data in SETS else _path(data))


def entry_of(data: str) -> Entry | None:
    """Return the entry of a data set given by name or path; None for a folder of own pictures.

    Raises
    ------
    FileNotFoundError
        Nothing is at the path.
    ValueError
        The name is unknown, the path is that of a file that is no archive of a data set, or of a folder with several
        data sets.
    """
    return SETS[data] if data in SETS else _entry_at(_path(data))


def name_of(data: str) -> str:
    """Return the name of a data set given by name or path: for own pictures, the name of their folder."""
    entry = entry_of(data)
    return entry.name if entry else pictures.name_of(_path(data))


def epochs_of(data: str) -> int:
    """Return the epochs of a run on a data set, given by name or path, that sets none."""
    entry = entry_of(data)
    return entry.epochs if entry else PICTURE_EPOCHS


def located(data: str) -> str:
    """Return a name as it is, and a path as an absolute one, so that it means the same in every folder."""
    return data if data in SETS else str(_path(data))


def expect_known(data: str) -> None:
    """Check that a text is the name of a data set or a path; ValueError lists the known names. Nothing is opened."""
    if data not in SETS:
        _path(data)


def found() -> list[str]:
    """Return the names of the data sets that can be loaded without a download."""
    return [entry.name for entry in SETS.values() if entry.is_here()]


def _path(data: str) -> Path:
    """Return a text as an absolute path; ValueError if it is no path: nothing has that name, and it has no slash."""
    path = Path(os.path.abspath(os.path.expanduser(data)))
    if not data or not (os.sep in data or "/" in data or path.exists()):
        raise ValueError(f"unknown data set {data!r}; {suggest(data, SETS)}; or the path of a folder of pictures")
    return path


def _entry_at(path: Path) -> Entry | None:
    """Return the entry of the published data set in a folder or archive; None for any other folder."""
    if not path.exists():
        raise FileNotFoundError(f"{path} does not exist; expected a data set: a folder or an archive")
    found: dict[Published, Entry] = {}
    for entry in SETS.values():                                 # the first entry of the files is the usual one
        if entry.files and entry.files not in found and entry.files.is_at(path):
            found[entry.files] = entry
    if len(found) > 1:
        raise ValueError(f"{path} holds {' and '.join(files.title for files in found)}; name the folder of one of "
                         "them, or set NPSE_DATA_DIR to this folder and use the name of the data set")
    if not found and not path.is_dir():
        raise ValueError(f"{path} is not a data set; expected the official tar.gz of one, or a folder with a folder of "
                         "pictures for each class")
    return next(iter(found.values()), None)
