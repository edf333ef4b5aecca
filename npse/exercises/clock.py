"""Measures the time that a student's process had, on a busy computer too."""

import contextlib
import itertools
import os
import time
from pathlib import Path

PATIENCE = 60                # a limit ends after so many times its seconds, even if the process waits for a processor
THREADS = 64                 # of the process that are looked at


class Clock:
    """The time that a process had, without the time when it or this process waited for a processor.

    On a busy computer a program takes longer, and so does its answer: that is not the student's fault. While a thread
    of the process runs or could run, its computing counts. While all of them sleep, the time that passes counts. If the
    system does not tell, all time counts.
    """

    def __init__(self, pid):
        self._pid, self.spent, self._told = pid, 0.0, (0.0, 0.0, False)

    def begin(self):
        """Begin to measure."""
        self.spent, self._began = 0.0, time.monotonic()
        self._latest, self._before = self._began, self._system_says()

    def look(self):
        """Return the seconds since `begin`; they are also in ``spent``. Call it often."""
        now, told = time.monotonic(), self._system_says()
        computed, waited = (max(after - before, 0.0) for after, before in zip(told[:2], self._before[:2], strict=True))
        slept = 0.0 if told[2] else now - self._latest - waited
        self.spent = max(self.spent + max(computed, slept), (now - self._began) / PATIENCE)
        self._latest, self._before = now, told
        return self.spent

    def _system_says(self):
        """Return the seconds that the process has computed, those that its first thread and this process waited for a
        processor, and whether a thread of it runs or could run.

        If the system does not tell, as after the end of the process, they are what they were, and nothing runs.
        """
        self._told = (*self._told[:2], False)
        with contextlib.suppress(OSError, ValueError, IndexError):
            pid = str(self._pid)
            while children := Path(f"/proc/{pid}/task/{pid}/children").read_text().split():
                pid = children[0]                                # isolated: the code runs in a child of a child
            place = Path(f"/proc/{pid}")
            computed = sum(map(int, _facts(place)[11:13])) / os.sysconf("SC_CLK_TCK")
            waited = _waited(place) + sum(map(_waited, Path("/proc/self/task").iterdir()))
            runs = any(_facts(thread)[0] == "R" for thread in itertools.islice((place / "task").iterdir(), THREADS))
            self._told = computed, waited, runs
        return self._told


def _facts(place):
    """Return what the system says of a process or thread, beginning with its state."""
    return (place / "stat").read_text().rpartition(")")[2].split()


def _waited(thread):
    """Return the seconds that a thread waited for a processor."""
    return int((thread / "schedstat").read_text().split()[1]) / 1e9
