"""Writing files so that nothing that was there is lost when something goes wrong."""

import os
import tempfile
from pathlib import Path


def write_atomically(path, content):
    """Write bytes or text under ``path``: a temporary file beside it first, on disk, then renamed over it.

    Raises OSError (full disk, no permission), with whatever stood at ``path`` untouched.
    """
    path = Path(path)
    content = content.encode() if isinstance(content, str) else content
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        os.chmod(temporary, 0o666 & ~_umask())                    # mkstemp makes files private
        os.replace(temporary, path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise


def _umask():
    mask = os.umask(0)
    os.umask(mask)
    return mask
