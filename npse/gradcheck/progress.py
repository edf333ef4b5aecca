"""A line on the terminal that shows how far a long check is."""

import sys
import time

PATIENCE, INTERVAL = 2.0, 0.5      # seconds before the first line, and between two


class ProgressLine:
    """Writes a line to standard error while a check takes long, if that is a terminal, and removes it in the end."""

    def __init__(self) -> None:
        self._began = self._next = time.monotonic()
        self._next += PATIENCE
        self._is_shown = False

    def __call__(self, name: str, done: int, expected: int) -> None:
        """Show that ``done`` of about ``expected`` calls of forward have ended for the gradient of ``name``."""
        now = time.monotonic()
        if now < self._next or not sys.stderr.isatty():
            return
        self._next, self._is_shown = now + INTERVAL, True
        share = f"{100 * done / expected:.0f} %" if done <= expected else "a closer look at some entries"
        print(f"\r\x1b[Kgradient of {name}: {share}, {now - self._began:.0f} s; Ctrl-C shows what is known",
              end="", file=sys.stderr, flush=True)

    def clear(self) -> None:
        """Remove the line."""
        if self._is_shown:
            print("\r\x1b[K", end="", file=sys.stderr, flush=True)
