"""A downloader for pooch that continues a broken download and gives up on a server that is too slow."""

import os
import time
from pathlib import Path

_CHUNK = 1 << 14                                                # bytes, few: the rate is looked at after each
_CONNECT, _READ = 8, 30                                         # seconds of silence that a server is allowed


class Unreachable(OSError):
    """The server cannot be reached, or does not hand the file out."""


class TooSlow(OSError):
    """The server sends, but slower than asked."""


class Resuming:
    """Download into ``part``, continuing what an earlier attempt has left there, and move it into place when whole.

    Parameters
    ----------
    part : Path
    slowest : float, bytes a second; a mean rate below it, over `patience` seconds, raises `TooSlow`
    patience : float, seconds

    pooch calls the object with a URL and a file name. Whether the bytes are right is for pooch to say, by their hash;
    a transfer that breaks off raises an exception of requests, on which pooch tries again.
    """

    def __init__(self, part, slowest, patience=20.0):
        self.part, self.slowest, self.patience = Path(part), slowest, patience

    def __call__(self, url, output_file, pooch):
        import requests

        with requests.Session() as session:
            response, start, total = self._ask(session, url)
            with response:
                self._receive(response, start, total)
        if total and self.part.stat().st_size < total:          # not every version of urllib3 complains itself
            raise requests.exceptions.ConnectionError(f"{url} broke off after {self.part.stat().st_size} bytes")
        os.replace(self.part, output_file)

    def _ask(self, session, url):
        """Return the response, the offset at which its content begins, and the size of the whole file (0: unknown)."""
        import requests

        have = self.part.stat().st_size if self.part.exists() else 0
        headers = {"Accept-Encoding": "identity"} | ({"Range": f"bytes={have}-"} if have else {})
        try:
            response = session.get(url, headers=headers, stream=True, timeout=(_CONNECT, _READ))
            if have and response.status_code == 416:                     # the part is no beginning of this file
                response.close()
                self.part.unlink()
                return self._ask(session, url)
            response.raise_for_status()
        except requests.exceptions.RequestException as error:
            reason = type(error).__name__ if error.response is None else f"status {error.response.status_code}"
            raise Unreachable(f"{url} cannot be reached ({reason})") from error
        start = have if response.status_code == 206 else 0      # a server may ignore the range and begin anew
        length = int(response.headers.get("Content-Length", 0))
        return response, start, start + length if length else 0

    def _receive(self, response, start, total):
        from rich.console import Console
        from rich.progress import BarColumn, DownloadColumn, Progress, TimeRemainingColumn, TransferSpeedColumn

        terminal = Console(stderr=True)
        columns = BarColumn(), DownloadColumn(), TransferSpeedColumn(), TimeRemainingColumn()
        began, arrived = time.monotonic(), 0
        with (open(self.part, "ab" if start else "wb") as file,
              Progress(*columns, console=terminal, disable=not terminal.is_terminal) as bar):
            task = bar.add_task("", total=total or None, completed=start)
            for chunk in response.iter_content(_CHUNK):
                file.write(chunk)
                bar.update(task, advance=len(chunk))
                arrived += len(chunk)
                seconds = time.monotonic() - began
                if seconds > self.patience:
                    if arrived < self.slowest * seconds:
                        raise TooSlow(f"{response.url} sends {arrived / seconds / 1e3:.0f} kB/s")
                    began, arrived = time.monotonic(), 0
