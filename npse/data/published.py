"""A data set that others publish as files: where it lies, its forms, and whether its files are the official ones.

The files are read where they lie, in a folder or in the official archive. `npse.data.fetch` brings them into the data
folder.
"""

import hashlib
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from npse.data.copies import Files, any_at, files_at, readable
from npse.data.folder import data_dir


@dataclass(frozen=True)
class Download:
    """A file to download: its address, its hash as "sha256:..." or "md5:...", and its size in MB."""

    url: str
    digest: str
    megabytes: int

    @property
    def name(self) -> str:
        """Return the name of the file."""
        return self.url.rpartition("/")[2]


class Published(ABC):
    """The files of a published data set. A subclass states what is special about one.

    Attributes
    ----------
    name : str
        Of the data set, and of its folder in the data folder.
    title : str
        Its name in messages.
    forms : dict of str to tuple of str
        The names of the files in each published form. A form may have more files in the end than are kept.
    subfolders : tuple of str
        Where the files lie in the folder that an official archive, or another library, makes.
    archives : tuple of str
        Names of the official archives.
    downloads : tuple of Download
        What to download: an archive, or all files of one form.
    package : str
        A package of npm with the files, in case that the download is slow or fails; "" if there is none.
    """

    name: str
    title: str
    forms: Mapping[str, tuple[str, ...]]
    subfolders: tuple[str, ...] = ()
    archives: tuple[str, ...] = ()
    downloads: tuple[Download, ...]
    package: str = ""

    @abstractmethod
    def fault(self, name: str, content: bytes) -> str | None:
        """Return what is wrong with a file to keep, as the end of a sentence; None if it is the official one."""

    def kept(self, form: str) -> tuple[str, ...]:
        """Return the names of the files to keep of a form: by default its own files."""
        return self.forms[form]

    def unpack(self, form: str, files: Files, number: int) -> bytes:
        """Return the content of the file to keep with a number: by default that of the form's file."""
        return files[self.forms[form][number]]()

    def read(self, path: str | Path) -> dict[str, bytes]:
        """Read the data set from a folder or a tar archive.

        Parameters
        ----------
        path : str or Path

        Returns
        -------
        files : dict of str to bytes
            The content of the files to keep, by name; each is the official one.

        Raises
        ------
        FileNotFoundError
            The path does not exist, or a file is missing.
        ValueError
            It is not this data set, or a file is truncated, changed or unsafe; the message names the file.
        """
        path = Path(path)
        if not path.exists():
            raise FileNotFoundError(f"{path} does not exist; expected a folder with the files of {self.title}, "
                                    "or a tar.gz")
        files = files_at(path, self.wanted, self.subfolders)
        form = max(self.forms, key=lambda form: len(files.keys() & set(self.forms[form])))
        missing = [name for name in self.forms[form] if name not in files]
        if len(missing) == len(self.forms[form]):
            raise ValueError(f"{path} does not contain {self.title}: expected {self._expected()}, in this folder or "
                             "in a tar.gz")
        if missing:
            raise FileNotFoundError(f"{path} lacks {', '.join(missing)}; the other files of {self.title} ({form} "
                                    "form) are there")
        return {name: self._official(path, form, files, number) for number, name in enumerate(self.kept(form))}

    @property
    def wanted(self) -> frozenset[str]:
        """Return the names of all files of all forms."""
        return frozenset(name for names in self.forms.values() for name in names)

    @property
    def remedy(self) -> str:
        """Return what to do if the data set is not there."""
        return f"run: npse data fetch {self.name}; or, if you have a copy, set NPSE_DATA_DIR to its folder or archive"

    def is_at(self, path: Path) -> bool:
        """Whether a folder or archive holds files of this data set."""
        return any_at(path, self.wanted, self.subfolders)

    def folder(self) -> Path:
        """Return the folder into which the data set is fetched."""
        return data_dir() / self.name

    def place(self) -> Path | None:
        """Return where the data set lies: its folder, or NPSE_DATA_DIR itself, or an archive in it; None if nowhere."""
        places = (self.folder(), data_dir(), *(data_dir() / name for name in self.archives))
        return next((place for place in places if self.is_at(place)), None)

    def contents(self, path: Path | None = None) -> dict[str, bytes]:
        """Return the content of the files, from a folder or archive, by default from where the data set lies.

        FileNotFoundError if it is not there or a file is missing; ValueError if a file is not the official one.
        """
        place = path or self.place()
        if place is None:
            raise FileNotFoundError(f"{self.title} is not in {data_dir()}; {self.remedy}")
        try:
            return self.read(place)
        except (FileNotFoundError, ValueError) as error:
            error.add_note(self.remedy)
            raise

    def _official(self, path: Path, form: str, files: Files, number: int) -> bytes:
        """Return the content of a file to keep; ValueError if it is not the official one."""
        source = self.forms[form][number]
        with readable(f"{source} in {path} cannot be read as a file of {self.title}"):
            content = self.unpack(form, files, number)
            wrong = self.fault(self.kept(form)[number], content)
        if wrong:
            raise ValueError(f"{source} in {path} {wrong}")
        return content

    def _expected(self) -> str:
        """Return the file names of each form, for a message."""
        return " or ".join(f"{names[0]} .. {names[-1]}" for names in self.forms.values())


def differs(content: bytes, size: int | None, digest: str) -> str | None:
    """Return how a content differs from the official one, by its size and its hash; None if it does not.

    Parameters
    ----------
    content : bytes
    size : int, optional
        In bytes.
    digest : str
        "sha256:..." or "md5:...", in hexadecimal digits.
    """
    if size is not None and len(content) != size:
        return f"has {len(content)} bytes, expected {size}: it is truncated, or another file"
    algorithm, _, wanted = digest.partition(":")
    found = hashlib.new(algorithm, content, usedforsecurity=False).hexdigest()
    if found != wanted:
        return f"has been changed, or is another file: its {algorithm} is {found}, expected {wanted}"
    return None
