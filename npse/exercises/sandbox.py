"""Runs a student's code in a process of its own, with limits, and makes its functions look like functions here.

    with Sandbox(cells, "03_squeeze.py") as sandbox:
        squeeze = sandbox.function("squeeze", like=reference.squeeze)
        z = squeeze(u)                                    arrays travel; the code stays on its side

What goes wrong on the other side is raised here as one line. Whatever the code does, a call ends in time.
"""

import builtins
import contextlib
import functools
import os
import queue
import signal
import subprocess
import sys
import sysconfig
import tempfile
import threading
import time
from pathlib import Path

import numpy as np

from npse.exercises import worker
from npse.exercises.static_check import FORBIDDEN, TOOLS

SECONDS = 4.0                # that the code of one task may take, all calls together
COMPILING = 15.0             # where a compiler runs first
ORPHAN = 120                 # of computing, after which a process ends whose parent is gone
MEMORY = {"numpy": 2 << 30, "numba": 4 << 30, "cuda": 4 << 30}         # bytes of address space
MAX_MESSAGE = 400            # characters of a message that are passed on
PRELOAD = {"numpy": [], "numba": ["numba"], "cuda": ["numba", "numba.cuda"]}
PACKAGE = Path(__file__).parents[1]
VARIABLES = ("PATH", "SYSTEMROOT", "LANG", "LC_ALL", "PYTHONPATH")     # no secrets of whoever grades
ONE_THREAD = ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS")


class Sandbox:
    """A student's code at work.

    Parameters
    ----------
    cells : sequence of str
        Python code, run one after the other.
    file : str
        The name that errors give.
    tools : str
        ``"numpy"``, ``"numba"`` or ``"cuda"`` (in Numba's simulator).
    seconds : float
        That loading and all calls may take together; whoever sets ``left`` anew grants them again.

    Attributes
    ----------
    problem : str
        What went wrong while the code was loaded; empty if nothing did.
    printed : str
        The first characters of what the code printed.
    ended : str
        Why the process has stopped or was stopped; empty while it runs.
    tampering : str
        What the code changed in NumPy: nothing that it computed counts then; empty if it left NumPy alone.
    """

    def __init__(self, cells, file, tools="numpy", seconds=None):
        self.seconds = seconds or (SECONDS if tools == "numpy" else COMPILING)
        self.left, self.printed, self.problem, self.tampering, self.ended = self.seconds, "", "", "", ""
        self._folder = tempfile.TemporaryDirectory(prefix="npse-exercise-")
        self._process = subprocess.Popen(
            [sys.executable, "-P", "-B", worker.__file__], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL, env=_environment(tools), cwd=self._folder.name,
            start_new_session=os.name == "posix")
        self._replies = queue.Queue(maxsize=4)                   # more than one waits only where replies are forged
        self._listener = threading.Thread(target=self._listen, daemon=True)
        self._listener.start()
        loaded = self._ask({"cells": list(cells), "file": str(file), "memory": MEMORY[tools], "seconds": ORPHAN,
                            "forbidden": list(FORBIDDEN[tools]), "tools": TOOLS[tools], "private": _folders([PACKAGE]),
                            "readable": _readable(), "preload": PRELOAD[tools]})
        self.names = () if loaded is None else tuple(map(str, loaded.get("names") or ()))
        problem = loaded and loaded.get("problem")
        self.problem = self.ended or (_line("{type}: {text}".format(**problem)) if _is_raised(problem) else "")

    def function(self, name, like):
        """The student's function ``name``, to be called here; with the signature and docstring of ``like``."""
        @functools.wraps(like)
        def call(*arguments, **options):
            if self.problem and name not in self.names:
                raise RuntimeError(self.problem)
            if name not in self.names:
                raise NameError(f"there is no function {name} in the file")
            reply = self._ask({"function": name, "arguments": arguments, "options": options})
            if self.ended:
                raise (TimeoutError if "longer" in self.ended else ChildProcessError)(self.ended)
            if _is_raised(reply.get("raised")):
                raise _exception(**reply["raised"])
            if reply.get("result") is None:
                raise TypeError("it returns None: is a `return` missing?")
            _write_back(arguments, reply.get("arguments"))
            _write_back(tuple(options.values()), tuple((reply.get("options") or {}).values()))
            return reply["result"]
        return call

    def _ask(self, message):
        """Send a message and wait for the reply; None, and `ended` set, if the process has stopped or is stopped."""
        if self.ended:
            return None
        began, left = time.monotonic(), max(self.left, 0.01)
        watchdog = threading.Timer(left, self._kill)             # even sending waits, if nobody reads
        watchdog.start()
        try:
            worker.send(self._process.stdin, message)
            reply = self._replies.get(timeout=left + 1)
        except (OSError, queue.Empty) as error:
            reply = error
        finally:
            watchdog.cancel()
        spent = time.monotonic() - began
        self.left -= spent
        if not isinstance(reply, dict):
            code = self._stop()
            self.ended = f"it takes longer than {self.seconds:g} s: does a loop never end?" if spent >= left else \
                _last_words(reply, code)
            return None
        self.printed = str(reply.get("printed", ""))[:worker.MAX_PRINTED]
        if changed := reply.get("changed"):
            self.tampering = f"the code changes {_line(', '.join(map(str, changed)))}: leave NumPy as it is"
        return reply

    def _listen(self):
        try:
            while True:
                self._replies.put(worker.receive(self._process.stdout))
        except Exception as error:                               # the pipe is closed, or what came is no message
            self._replies.put(error)

    def _stop(self):
        """Give the process a moment to end by itself, then end it; return its exit code."""
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(0.5)
        self._kill()
        return self._process.wait()

    def _kill(self):
        with contextlib.suppress(ProcessLookupError, PermissionError):       # it has ended already
            if os.name == "posix":
                os.killpg(self._process.pid, signal.SIGKILL)
            else:
                self._process.kill()

    def __enter__(self):
        return self

    def __exit__(self, *exception):
        if not self.ended:
            self._kill()
            self._process.wait()
        patience = time.monotonic() + 2
        while self._listener.is_alive() and time.monotonic() < patience:
            with contextlib.suppress(queue.Empty):
                self._replies.get(timeout=0.01)
        with contextlib.suppress(OSError):                       # what was not sent cannot be flushed any more
            self._process.stdin.close()
        if not self._listener.is_alive():                        # else somebody else holds the pipe: let it be
            self._process.stdout.close()
        self._folder.cleanup()


def _last_words(reply, code):
    if isinstance(reply, ValueError):
        return f"the process sends what is no result ({_line(reply)})"
    if code == 0:
        return "the code ends its own process (os._exit?)"
    return f"the process of the code died (exit code {code}); memory exhausted, or a crash in compiled code?"


def _is_raised(found):
    return isinstance(found, dict) and set(found) == {"type", "text"}


def _line(text):
    """A text from the other side as one line that is safe to print."""
    return "".join(character if character.isprintable() else " " for character in str(text)[:MAX_MESSAGE])


def _exception(type, text):
    type, text = _line(type), _line(text)
    if type == "SystemExit":
        return RuntimeError(text)
    known = getattr(builtins, type, None)
    if isinstance(known, builtins.type) and issubclass(known, Exception):
        try:
            return known(text)
        except TypeError:                                        # one that wants more arguments
            pass
    return RuntimeError(f"{type}: {text}")


def _write_back(given, after):
    """Let what the code did to its arguments happen here too, so that the judge sees it."""
    if not isinstance(after, tuple) or len(after) != len(given):
        raise ValueError("the process sends what is no result")
    for mine, theirs in zip(given, after, strict=True):
        if isinstance(mine, np.ndarray) and isinstance(theirs, np.ndarray) and mine.flags.writeable:
            if mine.shape == theirs.shape:
                mine[...] = theirs
            else:
                mine.fill(0)


def _environment(tools):
    found = {name: os.environ[name] for name in VARIABLES if name in os.environ}
    found |= dict.fromkeys(ONE_THREAD, "1")
    return found | ({"NUMBA_ENABLE_CUDASIM": "1"} if tools == "cuda" else {})


def _readable():
    """Where Python and its packages lie."""
    folders = {sys.prefix, sys.base_prefix, *sysconfig.get_paths().values(), "/sys/devices", "/usr/lib", "/lib"}
    folders |= {path for path in sys.path if "packages" in path}
    return ["/proc/cpuinfo", "/etc/ld.so.cache", *_folders(folders)]


def _folders(paths):
    """The beginnings of all paths inside, as they are spelled and with symbolic links resolved."""
    return sorted({os.path.join(spelled, "") for path in paths
                   for spelled in (os.path.abspath(path), os.path.realpath(path))})
