"""How to install an extra of npse, for messages about packages that are missing."""

import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]


def install(extra: str) -> str:
    """Return the command that installs an extra of npse for this Python, from the folder that npse comes from.

    The command names the folder because npse is on no package index: a package called npse there would be someone
    else's.
    """
    folder = ROOT if (ROOT / "pyproject.toml").is_file() else "FOLDER_OF_NPSE"
    python = f'"{sys.executable}"' if " " in sys.executable else sys.executable
    return f'{python} -m pip install -e "{folder}[{extra}]"'
