"""Measures the time that a student's process had, on a busy computer too."""

import contextlib
import time
from pathlib import Path

PATIENCE = 60                # a limit ends after so many times its seconds, even if the process waits for a processor


class Clock:
    """The time that a process had: the time that passed, without the time when it or this process had no processor.

    On a busy computer a program takes longer, and so does its answer: that is not the student's fault. The time that it
    did compute counts in any case. If the system does not tell, all time counts.
    """

    def __init__(self, pid):
        self._pid, self.spent, self._told = pid, 0.0, (0.0, 0.0)

    def begin(self):
        """Begin to measure."""
        self.spent, self._began, self._before = 0.0, time.monotonic(), self._system_says()

    def look(self):
        """Return the seconds since `begin`; they are also in ``spent``."""
        passed = time.monotonic() - self._began
        computed, waited = (max(now - then, 0.0) for now, then in zip(self._system_says(), self._before, strict=True))
        self.spent = max(self.spent, computed, passed - waited, passed / PATIENCE)
        return self.spent

    def _system_says(self):
        """Return the seconds that the process has computed, and those that it and this process waited for a processor.

        If the system does not tell, as after the end of the process, they are what they were.
        """
        with contextlib.suppress(OSError, ValueError, IndexError):
            pid = str(self._pid)
            while children := Path(f"/proc/{pid}/task/{pid}/children").read_text().split():
                pid = children[0]                                # isolated: the code runs in a child of a child
            computed, waited = _schedule(Path(f"/proc/{pid}"))
            waited += sum(_schedule(thread)[1] for thread in Path("/proc/self/task").iterdir())
            self._told = computed, waited
        return self._told


def _schedule(place):
    """Return the seconds that a thread has computed, and those that it waited for a processor."""
    return [int(number) / 1e9 for number in (place / "schedstat").read_text().split()[:2]]
