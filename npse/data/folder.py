"""Where data sets are kept on this machine."""

import os
from pathlib import Path


def data_dir() -> Path:
    """Return the folder of the data sets: NPSE_DATA_DIR if that is set, else ``data`` in the user's cache of npse.

    NPSE_DATA_DIR may also name one data set that lies there already: its folder, or its archive.
    """
    if chosen := os.environ.get("NPSE_DATA_DIR"):
        return Path(chosen).expanduser()
    from platformdirs import user_cache_dir

    return Path(user_cache_dir("npse", appauthor=False)) / "data"
