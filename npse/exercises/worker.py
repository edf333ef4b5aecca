"""The process in which a student's code runs. It receives calls and sends back arrays; it does not judge them.

The parent process starts this file as a script. The two processes send messages through two pipes. The parent trusts no
message: messages are JSON and raw numbers, never pickles, and a forged result earns points only if its numbers are
right. The guard in this process refuses some operations. It gives the student a clear message, and it protects the
files of the person who runs the code.
"""

import builtins
import contextlib
import io
import json
import os
import re
import struct
import sys
import traceback

import numpy as np

LARGEST = 1 << 27            # bytes in one message
MAX_PRINTED = 2000           # the first characters that the code prints, which are kept
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
             "socket.connect", "socket.bind", "socket.getaddrinfo", "resource.setrlimit", "gc.get_objects",
             "gc.get_referrers", "signal.pthread_kill")
FILES = ("os.remove", "os.rename", "os.rmdir", "os.mkdir", "os.link", "os.symlink", "os.truncate", "os.chmod",
         "os.chown", "shutil.")


def guard(forbidden, private, readable, tools):
    """Refuse imports of ``forbidden``, reading outside of ``readable`` or inside ``private``, writing, and processes.

    Opening the files of a forbidden library is refused too: a file is refused if a folder on its path, below the
    innermost readable folder (such as site-packages), has the name of a forbidden library.
    """
    processes, files, by_hand = PROCESSES, FILES, tools == "NumPy alone"       # copies: the code may change this module

    def hook(event, arguments):
        if event == "import" and arguments[0].split(".")[0] in forbidden:
            _refuse_import(arguments[0].split(".")[0])
        if event == "open" and isinstance(arguments[0], (str, bytes)):
            _refuse_opening(os.path.abspath(os.fsdecode(arguments[0])), arguments[1], arguments[2])
        elif event.startswith(processes):
            raise PermissionError(f"the code must not use processes or connections ({event})")
        elif event.startswith(files):
            raise PermissionError(f"the code must not change files ({event})")
        elif by_hand and event.startswith("ctypes."):
            raise PermissionError("the code must not call C libraries")

    def _refuse_import(name):
        raise ImportError(f"{name} is not allowed in this exercise, neither imported here nor by a library: "
                          f"do it by hand, with {tools}")

    def _refuse_opening(path, mode, flags):
        if path == os.devnull:
            return
        if (mode and set(str(mode)) & set("wax+")) or (flags or 0) & (os.O_WRONLY | os.O_RDWR | os.O_CREAT):
            raise PermissionError(f"the code must not write files ({os.path.basename(path)})")
        if path.startswith(private):
            _refuse_import("npse")
        homes = [folder for folder in readable if path.startswith(folder)]
        if not homes:
            raise PermissionError(f"the code must not read files ({os.path.basename(path)})")
        inside = path.removeprefix(max(homes, key=len))           # folders above may have any name
        if found := forbidden.intersection(inside.split(os.sep)):
            _refuse_import(min(found))

    sys.addaudithook(hook)


def limit(memory, seconds):
    """Limit memory (bytes), computing time (seconds) and the writing of files, if the system supports it."""
    try:
        import resource
    except ImportError:
        return
    for what, most in ((resource.RLIMIT_AS, memory), (resource.RLIMIT_CPU, seconds),
                       (resource.RLIMIT_FSIZE, 0), (resource.RLIMIT_CORE, 0)):
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


def load(cells, file, namespace):
    """Run the cells and return the first error. The other cells of a notebook run after an error too."""
    problem = None
    for cell in cells:
        try:
            exec(compile(cell, file, "exec", dont_inherit=True), namespace)
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


def main():
    inbox, outbox = os.fdopen(os.dup(0), "rb"), os.fdopen(os.dup(1), "wb")
    silence = os.open(os.devnull, os.O_RDWR)
    for stream in range(3):
        os.dup2(silence, stream)
    job = receive(inbox)
    for module in job["preload"]:
        __import__(module)
    limit(job["memory"], job["seconds"])
    printed = sys.stdout = sys.stderr = Tail()
    watch, file = Watch(), job["file"]
    guard(frozenset(job["forbidden"]), tuple(job["private"]), tuple(job["readable"]), job["tools"])
    namespace = {"__name__": "exercise", "__builtins__": builtins}
    problem = load(job["cells"], file, namespace)
    names = [name for name, value in namespace.items() if callable(value)]
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
