"""The process in which a student's code runs. It receives calls and sends back arrays; it does not judge them.

The parent process starts this file as a script. The two processes send messages through two pipes. The parent trusts no
message: messages are JSON and raw numbers, never pickles, and a forged result earns points only if its numbers are
right. The guard in this process refuses some operations. It gives the student a clear message, and it protects the
files of the person who runs the code.
"""

import ast
import builtins
import contextlib
import importlib.machinery
import importlib.util
import inspect
import io
import json
import os
import re
import shutil
import struct
import sys
import tempfile
import traceback
import types

import numpy as np

LARGEST = 1 << 27            # bytes in one message
MOST_FILES, FILE_BYTES = 20, 4 << 20     # that the code may write into its own folder, and bytes in each
MAX_PRINTED = 2000           # the first characters that the code prints, which are kept
SHOWING = ("matplotlib", "mpl_toolkits", "pylab", "seaborn", "plotly", "IPython", "ipywidgets", "google")
DTYPE = re.compile(r"^[<>|=]?[biufc][0-9]{1,2}$")


def send(stream, message):
    """Write a message: plain values, tuples and arrays, nested in lists and dicts. Raise TypeError for other values."""
    blob = []
    head = json.dumps(_plain(message, blob)).encode()
    body = b"".join(blob)
    stream.write(struct.pack("<QQ", len(head), len(body)) + head + body)
    stream.flush()


def receive(stream):
    """Read a message. Raise EOFError if the other process has ended, ValueError if the message is not valid."""
    head, body = struct.unpack("<QQ", _exactly(stream, 16))
    if head + body > LARGEST:
        raise ValueError(f"a result of {head + body} bytes, expected at most {LARGEST}")
    return _rich(json.loads(_exactly(stream, head)), _exactly(stream, body))


def _exactly(stream, count):
    data = stream.read(count)
    if len(data) < count:
        raise EOFError
    return data


def _plain(value, blob):
    if isinstance(value, (np.ndarray, np.generic)):
        array = np.asarray(value)
        if not DTYPE.match(array.dtype.str):
            raise TypeError(f"the result contains an array of dtype {array.dtype}; return floating-point numbers")
        layout = "F" if array.flags.f_contiguous else "gaps"
        if array.flags.c_contiguous:
            layout = "C"
        offset = sum(map(len, blob))
        blob.append(array.tobytes())
        return {"array": [array.dtype.str, list(array.shape), offset, layout, array.flags.writeable]}
    if isinstance(value, tuple):
        return {"tuple": [_plain(item, blob) for item in value]}
    if isinstance(value, list):
        return [_plain(item, blob) for item in value]
    if isinstance(value, dict):
        return {"dict": {str(key): _plain(item, blob) for key, item in value.items()}}
    if value is None or isinstance(value, (bool, int, float, str)):
        return value
    raise TypeError(f"the result contains a {type(value).__name__}; return arrays")


def _rich(value, blob):
    if isinstance(value, list):
        return [_rich(item, blob) for item in value]
    if not isinstance(value, dict):
        return value
    (kind, inner), = value.items()
    if kind == "tuple":
        return tuple(_rich(item, blob) for item in inner)
    if kind == "dict":
        return {key: _rich(item, blob) for key, item in inner.items()}
    dtype, shape, offset, layout, writeable = inner
    if not DTYPE.match(dtype):
        raise ValueError(f"an array of dtype {dtype!r}")
    count = int(np.prod(shape, dtype=np.int64))
    array = np.frombuffer(blob, dtype, count, offset).reshape(shape).copy(order="F" if layout == "F" else "C")
    if layout == "gaps" and array.ndim:
        gap = np.nan if array.dtype.kind in "fc" else 0
        wide = np.full((*array.shape[:-1], 2 * array.shape[-1]), gap, array.dtype)
        wide[..., ::2] = array
        array = wide[..., ::2]
    array.flags.writeable = bool(writeable)
    return array


# Audit events, which the interpreter itself raises (PEP 578). Changing names or sys.modules does not avoid them.
PROCESSES = ("subprocess.", "os.system", "os.exec", "os.spawn", "os.posix_spawn", "os.fork", "os.kill", "pty.",
             "socket.connect", "socket.bind", "socket.getaddrinfo", "resource.setrlimit", "resource.prlimit",
             "gc.get_objects", "gc.get_referrers", "signal.pthread_kill")
FILES = ("os.remove", "os.rename", "os.rmdir", "os.mkdir", "os.link", "os.symlink", "os.truncate", "os.chmod",
         "os.chown", "shutil.")
OWN_FILES = ("os.remove", "os.rename", "os.rmdir", "os.mkdir", "shutil.rmtree")        # allowed in the code's own folder


def guard(forbidden, private, readable, tools, own):
    """Refuse imports of ``forbidden``, reading outside of ``readable`` or inside ``private``, writing, and processes.

    Opening the files of a forbidden library is refused too: a file is refused if a folder on its path, below the
    innermost readable folder (such as site-packages), has the name of a forbidden library. In the folder ``own`` the
    code may write a few files.

    This explains to a student what is not allowed. It is no wall: `npse.exercises.isolation` is.
    """
    processes, files, own_files, by_hand = PROCESSES, FILES, OWN_FILES, tools == "NumPy alone"
    own, written, most = os.path.join(os.path.realpath(own), ""), [], MOST_FILES
    # The code may replace names of modules that it can reach, so the hook keeps its own.
    is_a, text_of, absolute, resolved, null = isinstance, os.fsdecode, os.path.abspath, os.path.realpath, os.devnull

    def hook(event, arguments):
        if event == "import" and arguments[0].split(".")[0] in forbidden:
            _refuse_import(arguments[0].split(".")[0])
        if event == "open":
            if type(arguments[0]) in (str, bytes):
                _refuse_opening(absolute(text_of(arguments[0])), arguments[1], arguments[2])
            elif arguments[0] is not None and not is_a(arguments[0], int):
                raise PermissionError("the code must name a file by a text")
        elif event.startswith(processes):
            raise PermissionError(f"the code must use no processes and no connections ({event})")
        elif event.startswith(files) and not _inside_own(event, arguments):
            raise PermissionError(f"the code must not change files ({event})")
        elif by_hand and event.startswith("ctypes."):
            raise PermissionError("the code must not call C libraries")

    def _refuse_import(name):
        raise ImportError(f"{name} is not allowed in this exercise, neither imported here nor by a library: "
                          f"do it by hand, with {tools}")

    def _inside_own(event, arguments):
        paths = arguments[:2] if event == "os.rename" else arguments[:1]
        return (event in own_files and arguments[-1] in (-1, None) and (event != "os.rename" or arguments[-2] == -1)
                and all(type(path) is str and resolved(path).startswith(own) for path in paths))

    def _refuse_opening(path, mode, flags):
        if path == null:
            return
        writes = (mode and set(str(mode)) & set("wax+")) or (flags or 0) & (os.O_WRONLY | os.O_RDWR | os.O_CREAT)
        if os.path.join(resolved(path), "").startswith(own):
            written.extend([path] * bool(writes))
            if len(written) > most:
                raise PermissionError(f"the code must not write more than {most} files")
            return
        if writes:
            raise PermissionError(f"the code must not write files ({os.path.basename(path)})")
        if path.startswith(private):
            _refuse_import("npse")
        homes = [folder for folder in readable if path.startswith(folder)]
        if not homes:
            raise PermissionError(f"the code must not read files ({os.path.basename(path)})")
        inside = path.removeprefix(max(homes, key=len))           # folders above may have any name
        if found := forbidden.intersection(inside.split(os.sep)):
            _refuse_import(min(found))

    class Refusing:
        """A finder: `importlib.import_module` raises no audit event."""

        @staticmethod
        def find_spec(name, path=None, target=None):
            if name.split(".")[0] in forbidden:
                _refuse_import(name.split(".")[0])

    sys.meta_path.insert(0, Refusing)
    sys.addaudithook(hook)


def limit(memory, seconds):
    """Limit memory (bytes), computing time (seconds) and the size of files, if the system supports it."""
    try:
        import resource
    except ImportError:
        return
    for what, most in ((resource.RLIMIT_AS, memory), (resource.RLIMIT_CPU, seconds),
                       (resource.RLIMIT_FSIZE, FILE_BYTES), (resource.RLIMIT_CORE, 0)):
        with contextlib.suppress(ValueError, OSError):           # macOS cannot limit memory
            resource.setrlimit(what, (most, most))


class Tail(io.TextIOBase):
    """A stream that keeps the first characters written to it."""

    def __init__(self):
        self.text = ""

    def write(self, text):
        self.text += text[:max(MAX_PRINTED - len(self.text), 0)]
        return len(text)


class Watch:
    """Finds the functions of NumPy that the code has replaced."""

    def __init__(self):
        modules = [np, np.linalg, np.random, np.lib, np.fft]
        self.before = [(module, dict(vars(module))) for module in modules]

    def changed(self):
        return [f"{module.__name__}.{name}" for module, names in self.before for name, value in names.items()
                if vars(module).get(name) is not value]


def describe(error, file):
    """Return an exception as a dict for the parent: its type, and its message with the line number, in one line."""
    lines = [line for frame, line in traceback.walk_tb(error.__traceback__) if frame.f_code.co_filename == file]
    line = lines[-1] if lines else getattr(error, "lineno", None)
    text = " ".join(str(error).split())[:300]
    if isinstance(error, SystemExit):
        text = f"the code calls exit({error.code!r})"[:100]
    elif isinstance(error, MemoryError):
        text = text or "the code needs more memory than an exercise may use"
    where = f" (line {line})" if line else ""
    return {"type": type(error).__name__, "text": f"{text}{where}"}


class Nothing:
    """Stands for what a program shows: plots, widgets, displays. It can be called and used like them, and does nothing.
    """

    def __init__(self, parts=2):
        self._parts = parts

    def __getattr__(self, name):
        if name.startswith("__"):
            raise AttributeError(name)
        return Nothing(3 if name == "hist" else 2)

    def __call__(self, *arguments, **options):
        return Nothing(self._parts)

    def __getitem__(self, place):
        return Nothing()

    def __setitem__(self, place, value):
        pass

    def __iter__(self):                                          # as in: fig, ax = plt.subplots()
        return iter([Nothing() for _ in range(self._parts)])

    def __enter__(self):
        return Nothing()

    def __exit__(self, *exception):
        pass


class Shown(types.ModuleType):
    """A module of `SHOWING`: all that it contains is `Nothing`."""

    def __getattr__(self, name):
        if name.startswith("__"):
            raise AttributeError(name)
        return Nothing(3 if name == "hist" else 2)


class ShownFinder:
    """Finds the modules that only show something. They are not loaded, because a check shows nothing."""

    @staticmethod
    def find_spec(name, path=None, target=None):
        if name.split(".")[0] in SHOWING:
            return importlib.machinery.ModuleSpec(name, ShownFinder, is_package=True)
        return None

    @staticmethod
    def create_module(spec):
        return Shown(spec.name)

    @staticmethod
    def exec_module(module):
        pass


def load(cells, file, namespace):
    """Run the cells and return the first error. The other cells of a notebook run after an error too."""
    problem = None
    for cell in cells:
        try:
            code = compile(cell, file, "exec", ast.PyCF_ALLOW_TOP_LEVEL_AWAIT, dont_inherit=True)
            waiting = eval(code, namespace)
            if code.co_flags & inspect.CO_COROUTINE:
                import asyncio

                asyncio.run(waiting)
        except BaseException as error:
            problem = problem or describe(error, file)
    return problem


def answer(request, namespace, file):
    """Call one function of the student. Return its result, and the arguments as they are after the call."""
    arguments, options = request["arguments"], request["options"]
    try:
        result = namespace[request["function"]](*arguments, **options)
        return {"result": result, "arguments": arguments, "options": options}
    except BaseException as error:
        return {"raised": describe(error, file)}


def prepare(job):
    """Load libraries, isolate and limit this process. Return what the system does not offer, and the code's folder."""
    isolation = _isolation()
    for module in job["preload"]:
        __import__(module)
    if "numba" in job["preload"]:
        from numba.core.dispatcher import Dispatcher

        Dispatcher.enable_caching = lambda self: None            # @njit(cache=True) has no folder for a cache here
    folder = os.getcwd()
    missing = isolation.enter(job["readable"], job["private"], folder) if job["isolated"] else job["reason"]
    if missing:
        isolation.end_with_parent()
    else:
        folder = isolation.SCRATCH
    tempfile.tempdir, shutil._use_fd_functions = folder, False   # the guard cannot see the folder of an open file
    limit(job["memory"], job["seconds"])
    return [reason for reason in (missing, isolation.refuse_system_calls()) if reason], folder


def _isolation():
    spec = importlib.util.spec_from_file_location("isolation", os.path.join(os.path.dirname(__file__), "isolation.py"))
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def main():
    inbox, outbox = os.fdopen(os.dup(0), "rb"), os.fdopen(os.dup(1), "wb")
    silence = os.open(os.devnull, os.O_RDWR)
    for stream in range(3):
        os.dup2(silence, stream)
    job = receive(inbox)
    try:
        missing, folder = prepare(job)
    except OSError as error:
        send(outbox, {"broken": str(error)})
        return
    send(outbox, {"missing": missing})
    code = receive(inbox)
    printed = sys.stdout = sys.stderr = Tail()
    watch, file = Watch(), code["file"]
    sys.meta_path.insert(0, ShownFinder)
    program = sys.modules["exercise"] = types.ModuleType("exercise")           # where dataclasses look for names
    namespace = vars(program)
    namespace |= {"__builtins__": builtins, "get_ipython": Nothing(), "display": Nothing()}
    given = set(namespace)
    guard(frozenset(job["forbidden"]), tuple(job["private"]), tuple(job["readable"]), job["tools"], folder)
    problem = load(code["cells"], file, namespace)
    names = [name for name, value in namespace.items() if callable(value) and name not in given]
    send(outbox, {"problem": problem, "names": names, "changed": watch.changed(), "printed": printed.text})
    while True:
        request = receive(inbox)
        reply = answer(request, namespace, file)
        reply |= {"changed": watch.changed(), "printed": printed.text}
        try:
            send(outbox, reply)
        except (TypeError, ValueError, MemoryError) as error:
            send(outbox, {"raised": describe(error, file), "changed": [], "printed": printed.text})


if __name__ == "__main__":
    try:
        main()
    except EOFError:                                              # the parent has closed the pipe
        os._exit(0)
