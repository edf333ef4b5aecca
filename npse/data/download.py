"""A downloader for pooch that resumes a broken download and gives up if the server is too slow."""

import os
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from requests import Response, Session

_CHUNK = 1 << 14                                                # bytes; small, as the rate is measured after each chunk
_CONNECT, _READ = 8, 30                                         # seconds; timeouts of the server


class Unreachable(OSError):
    """The server cannot be reached, or it does not offer the file."""


class TooSlow(OSError):
    """The server sends more slowly than required."""


class Resuming:
    """Download to ``part``, resume what an earlier attempt has left there, and rename the complete file.

    Parameters
    ----------
    part : Path
    slowest : float
        Bytes per second. A lower mean rate over ``patience`` seconds raises `TooSlow`.
    patience : float
        Seconds.

    pooch calls the object with a URL and the name of the file to write. pooch checks the content by its hash. A broken
    transfer raises an exception of requests; then pooch tries again.
    """

    def __init__(self, part: str | Path, slowest: float, patience: float = 20.0) -> None:
        self.part, self.slowest, self.patience = Path(part), slowest, patience

    def __call__(self, url: str, output_file: str, pooch: Any) -> None:
        """Download a file, as pooch asks for it; `Unreachable`, `TooSlow` or an exception of requests if it fails."""
        import requests

        with requests.Session() as session:
            response, start, total = self._ask(session, url)
            with response:
                self._receive(response, start, total)
        if total and self.part.stat().st_size < total:          # not every version of urllib3 raises an error itself
            raise requests.exceptions.ConnectionError(f"{url} broke off after {self.part.stat().st_size} bytes")
        os.replace(self.part, output_file)

    def _ask(self, session: "Session", url: str) -> tuple["Response", int, int]:
        """Return the response, the offset at which its content begins, and the size of the file (0: unknown)."""
        import requests

        have = self.part.stat().st_size if self.part.exists() else 0
        headers = {"Accept-Encoding": "identity"} | ({"Range": f"bytes={have}-"} if have else {})
        try:
            response = session.get(url, headers=headers, stream=True, timeout=(_CONNECT, _READ))
            if have and response.status_code == 416:                     # the part does not belong to this file
                response.close()
                self.part.unlink()
                return self._ask(session, url)
            response.raise_for_status()
        except requests.exceptions.RequestException as error:
            reason = type(error).__name__ if error.response is None else f"status {error.response.status_code}"
            raise Unreachable(f"{url} cannot be reached ({reason})") from error
        start = have if response.status_code == 206 else 0      # a server may ignore the range and start over
        length = int(response.headers.get("Content-Length", 0))
        return response, start, start + length if length else 0

    def _receive(self, response: "Response", start: int, total: int) -> None:
        """Append the content of the response to the part and show a progress bar on a terminal."""
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
