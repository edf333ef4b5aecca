"""Trains runs in processes of their own. They save and end when the sweep is stopped, and when it was killed."""

import json
import os
import subprocess
import sys
import threading
from collections.abc import Sequence

from npse.bench.process import POOLS
from npse.lab.sweep import Run
from npse.training import Interrupted

WORKER = (sys.executable, "-m", "npse.lab.worker")


class Processes:
    """A callable that trains a `Run` in a process (`npse.lab.worker`); several threads may call it at once.

    A process trains as long as its standard input is open. So it ends if this process does, however that happens.

    Parameters
    ----------
    threads : int
        Of each process.
    command : sequence of str
        Starts the process.
    """

    def __init__(self, threads: int, command: Sequence[str] = WORKER) -> None:
        self._threads, self._command = threads, command
        self._lock, self._stopped = threading.Lock(), False
        self._running: set[subprocess.Popen[bytes]] = set()

    def __call__(self, run: Run) -> None:
        """Train a run until it is finished.

        Raises
        ------
        Interrupted
            `stop` was called, and the run is saved; or `kill`.
        ChildProcessError
            The run failed, or its process ended without an answer.
        """
        process = self._start(run)
        try:
            printed, _ = process.stdout.read(), process.wait()    # type: ignore[union-attr]  # it is a pipe
        finally:
            with self._lock:
                self._running.discard(process)
            process.stdin.close()                                 # type: ignore[union-attr]
        try:
            answer = json.loads(printed.splitlines()[-1])
        except (IndexError, ValueError):
            if self._stopped:                                     # it was killed
                raise Interrupted from None
            raise ChildProcessError(f"its process ended with code {process.returncode} and without an answer; set "
                                    "NPSE_TRACEBACK=1 to see what it printed") from None
        if "error" in answer:
            raise ChildProcessError(answer["error"])
        if answer["stopped"]:
            raise Interrupted

    def _start(self, run: Run) -> "subprocess.Popen[bytes]":
        job = json.dumps({"folder": str(run.folder), "settings": run.config.as_dict(), "threads": self._threads})
        with self._lock:
            if self._stopped:
                raise Interrupted
            process = subprocess.Popen(
                [*self._command, job], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                stderr=None if os.environ.get("NPSE_TRACEBACK") else subprocess.DEVNULL,
                env=os.environ | dict.fromkeys(POOLS, str(self._threads)))
            self._running.add(process)
            return process

    def stop(self) -> None:
        """Ask all processes to finish their step, save and end. No new one starts."""
        with self._lock:
            self._stopped = True
            for process in self._running:
                process.stdin.close()                             # type: ignore[union-attr]

    def kill(self) -> None:
        """End all processes at once. Their runs go on from the last save."""
        self.stop()
        with self._lock:
            for process in self._running:
                process.kill()
