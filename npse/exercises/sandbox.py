"""Runs a student's code in a separate process with limits. Its functions can be called here like other functions.

    with Sandbox(cells, "03_squeeze.py") as sandbox:
        squeeze = sandbox.function("squeeze", like=reference.squeeze)
        z = squeeze(u)                                    sends u to the process and receives z

An error in the process is raised here with a message of one line. A time limit ends each call.
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
from npse.exercises.clock import PATIENCE, Clock
from npse.exercises.static_check import FORBIDDEN, TOOLS

SECONDS = 4.0                # time limit for the code of one task, all calls together
COMPILING = 15.0             # the same, with a compiler
STARTING = 60.0              # seconds for Python to start
ORPHAN = 120                 # seconds of computing; then a process whose parent has ended stops too
MEMORY = {"numpy": 2 << 30, "numba": 4 << 30, "cuda": 4 << 30}         # bytes of address space
CONFINED = True              # whether Landlock is used where namespaces cannot be had
MAX_MESSAGE = 400            # characters of a message that are shown
PRELOAD = {"numpy": [], "numba": ["numba"], "cuda": ["numba", "numba.cuda"]}
PACKAGE = Path(__file__).parents[1]
LIBRARIES = ("/lib", "/lib64", "/usr/lib", "/usr/lib64")               # of the system
VARIABLES = ("PATH", "SYSTEMROOT", "LANG", "LC_ALL", "PYTHONPATH")     # the code gets no others: they may be secret
_refusals = []               # why this process cannot isolate others, once it was tried
ONE_THREAD = ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS")


class Sandbox:
    """A process that runs a student's code.

    Parameters
    ----------
    cells : sequence of str
        Python code, run one after the other.
    file : str
        The file name in error messages.
    tools : str
        ``"numpy"``, ``"numba"`` or ``"cuda"`` (in Numba's simulator).
    seconds : float
        Time limit for loading the code and all calls together, without the time that it waits for a processor. To start
        a new limit, set ``left``.

    Attributes
    ----------
    left : float
        Seconds of the limit that are left.
    names : tuple of str
        The functions of the code.
    problem : str
        The error while the code was loaded; empty if there was none.
    printed : str
        The first characters that the code printed.
    ended : str
        Why the process has stopped or was stopped; empty while it runs.
    tampering : str
        Says what the code changed in NumPy; then none of its results count. Empty if it changed nothing.
    missing : tuple of str
        Why the system does not offer a protection, a line for each; empty if the process is isolated.
    """

    def __init__(self, cells, file, tools="numpy", seconds=None):
        self.seconds = seconds or (SECONDS if tools == "numpy" else COMPILING)
        self.printed, self.problem, self.tampering, self.ended, self.missing = "", "", "", "", ()
        self._start(tools)
        self.left = self.seconds
        loaded = self._ask({"cells": list(cells), "file": str(file)})
        self.names = () if loaded is None else tuple(map(str, loaded.get("names") or ()))
        problem = loaded and loaded.get("problem")
        self.problem = self.ended or (_line("{type}: {text}".format(**problem)) if _is_raised(problem) else "")

    def _start(self, tools):
        """Start the process, isolated if the system offers it. The time that Python needs to start does not count."""
        self._folder = tempfile.TemporaryDirectory(prefix="npse-exercise-")
        self._process = subprocess.Popen(
            [sys.executable, "-P", "-B", worker.__file__], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL, env=_environment(tools), cwd=self._folder.name,
            start_new_session=os.name == "posix")
        self._clock = Clock(self._process.pid)
        self._replies = queue.Queue(maxsize=4)                   # more than one waits only if the code forges replies
        self._listener = threading.Thread(target=self._listen, daemon=True)
        self._listener.start()
        self.left = STARTING
        ready = self._ask({"memory": MEMORY[tools], "seconds": ORPHAN, "forbidden": list(FORBIDDEN[tools]),
                           "tools": TOOLS[tools], "private": _folders([PACKAGE]), "readable": _readable(),
                           "preload": PRELOAD[tools], "isolated": not _refusals, "reason": "".join(_refusals),
                           "confined": CONFINED})
        if ready and "broken" in ready:                          # namespaces are offered, but they cannot be used
            _refusals[:] = [f"namespaces cannot be used ({_line(ready['broken'])})"]
            self._end()
            self._start(tools)
        elif ready:
            self.missing = tuple(map(str, ready["missing"]))
        else:                                                    # not the student's fault: nothing of theirs has run
            self._end()
            raise ChildProcessError(f"the process for a student's code did not start within {STARTING:g} s")

    def function(self, name, like):
        """Return a function that calls the student's function ``name``. It has the signature and docstring of ``like``.

        A call raises RuntimeError if the code could not be loaded, NameError if it has no such function, TimeoutError
        if it takes too long, ChildProcessError if the process has ended, TypeError if the function returns None, and
        otherwise the exception that the function raises.
        """
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
        """Send a message and wait for the reply. If the process has stopped or is stopped, set `ended`, return None."""
        if self.ended:
            return None
        left, self._finished = max(self.left, 0.01), threading.Event()
        self._clock.begin()
        watchdog = threading.Thread(target=self._watch, args=(left,), daemon=True)      # sending may wait too
        watchdog.start()
        try:
            worker.send(self._process.stdin, message)
            reply = self._replies.get(timeout=left * PATIENCE + 5)
        except (OSError, queue.Empty) as error:
            reply = error
        finally:
            self._finished.set()
        watchdog.join()
        spent = self._clock.spent
        self.left -= spent
        if not isinstance(reply, dict):
            code = self._stop()
            is_late = spent >= left or isinstance(reply, queue.Empty)
            self.ended = f"it takes longer than {self.seconds:g} s: does a loop never end?" if is_late else \
                _last_words(reply, code)
            return None
        self.printed = str(reply.get("printed", ""))[:worker.MAX_PRINTED]
        if changed := reply.get("changed"):
            self.tampering = f"the code changes {_line(', '.join(map(str, changed)))}: leave NumPy as it is"
        return reply

    def _watch(self, left):
        """Kill the process when its time is over, unless the reply arrives before."""
        while not self._finished.wait(0.05):
            if self._clock.look() >= left:
                self._kill()
                return
        self._clock.look()

    def _listen(self):
        try:
            while True:
                self._replies.put(worker.receive(self._process.stdout))
        except Exception as error:                               # the pipe is closed, or the message is not valid
            self._replies.put(error)

    def _stop(self):
        """Wait half a second for the process to end, then kill it. Return its exit code."""
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
        self._end()

    def _end(self):
        if not self.ended:
            self._kill()
            self._process.wait()
        latest = time.monotonic() + 2
        while self._listener.is_alive() and time.monotonic() < latest:
            with contextlib.suppress(queue.Empty):
                self._replies.get(timeout=0.01)
        with contextlib.suppress(OSError):                       # the rest of a message cannot be flushed any more
            self._process.stdin.close()
        if not self._listener.is_alive():                        # otherwise another process still uses the pipe
            self._process.stdout.close()
        self._folder.cleanup()


def missing_protections():
    """Return what this system does not offer to isolate a student's code, as a tuple of reasons; () if all is there."""
    with Sandbox((), "") as box:
        return box.missing


def _last_words(reply, code):
    if isinstance(reply, ValueError):
        return f"the process sends something that is not a result ({_line(reply)})"
    if code == 0:
        return "the code ends its own process (os._exit?)"
    return f"the process of the code died (exit code {code}): too little memory, or a crash in compiled code?"


def _is_raised(found):
    return isinstance(found, dict) and set(found) == {"type", "text"}


def _line(text):
    """Return a text of the student's process as one line without control characters, safe to print."""
    return "".join(character if character.isprintable() else " " for character in str(text)[:MAX_MESSAGE])


def _exception(type, text):
    type, text = _line(type), _line(text)
    if type == "SystemExit":
        return RuntimeError(text)
    known = getattr(builtins, type, None)
    if isinstance(known, builtins.type) and issubclass(known, Exception):
        try:
            return known(text)
        except TypeError:                                        # it needs more arguments
            pass
    return RuntimeError(f"{type}: {text}")


def _write_back(given, after):
    """Change the arguments here as the code changed them in its process, so that the judge can compare them."""
    if not isinstance(after, tuple) or len(after) != len(given):
        raise ValueError("the process sends something that is not a result")
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
    """Return the folders and files that the code may read: Python and its packages."""
    folders = {sys.prefix, sys.base_prefix, *sysconfig.get_paths().values(), "/sys/devices", *LIBRARIES}
    folders |= {path for path in sys.path if "packages" in path}
    folders |= {os.path.realpath(link) for folder in folders if "packages" in folder for link in _links(folder)}
    return ["/proc/cpuinfo", "/etc/ld.so.cache", *_folders(folders)]


def _links(folder):
    """Return the links in a folder of packages, without those to npse."""
    with contextlib.suppress(OSError):
        return [entry.path for entry in os.scandir(folder) if entry.is_symlink() and "npse" not in entry.name]
    return []


def _folders(paths):
    """Return the prefixes of all paths inside these folders, as given and with symbolic links resolved."""
    return sorted({os.path.join(spelled, "") for path in paths
                   for spelled in (os.path.abspath(path), os.path.realpath(path))})
