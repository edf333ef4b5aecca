"""The process in which a student's code runs. It receives calls and sends back arrays; it does not judge them.

The parent process starts this file as a script. The two processes send messages through two pipes. The parent trusts no
message: messages are JSON and raw numbers, never pickles, and a forged result earns points only if its numbers are
right. `isolation` keeps the process away from the rest of the system, where the system offers it. `guard` refuses some
operations with a clear message, everywhere.
"""

import ast
import builtins
import contextlib
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
FILE_BYTES = 4 << 20         # in a file that the code writes
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
    isolation, landlock = sibling("isolation"), sibling("landlock")
    for module in job["preload"]:
        __import__(module)
    if "numba" in job["preload"]:
        from numba.core.dispatcher import Dispatcher

        Dispatcher.enable_caching = lambda self: None            # @njit(cache=True) has no folder for a cache here
    folder = os.getcwd()
    missing = isolation.enter(job["readable"], job["private"], folder) if job["isolated"] else job["reason"]
    if missing:
        isolation.end_with_parent()
        less = landlock.restrict(job["readable"], job["private"], folder) if job["confined"] else "Landlock is not used"
        missing = less and f"{missing}; {less}"
    else:
        folder = isolation.SCRATCH
    tempfile.tempdir, shutil._use_fd_functions = folder, False   # the guard cannot see the folder of an open file
    limit(job["memory"], job["seconds"])
    return [reason for reason in (missing, isolation.refuse_system_calls()) if reason], folder


def sibling(name):
    """Load a module that lies beside this one. This process does not import npse."""
    spec = importlib.util.spec_from_file_location(name, os.path.join(os.path.dirname(__file__), f"{name}.py"))
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def main():
    inbox, outbox = os.fdopen(os.dup(0), "rb"), os.fdopen(os.dup(1), "wb")
    silence = os.open(os.devnull, os.O_RDWR)
    for stream in range(3):
        os.dup2(silence, stream)
    job = receive(inbox)
    guard, shown = sibling("guard").guard, sibling("shown")       # before their files are out of sight
    try:
        missing, folder = prepare(job)
    except OSError as error:
        send(outbox, {"broken": str(error)})
        return
    send(outbox, {"missing": missing})
    code = receive(inbox)
    printed = sys.stdout = sys.stderr = Tail()
    watch, file = Watch(), code["file"]
    sys.meta_path.insert(0, shown.Finder)
    program = sys.modules["exercise"] = types.ModuleType("exercise")           # where dataclasses look for names
    namespace = vars(program)
    namespace |= {"__builtins__": builtins, "get_ipython": shown.Nothing(), "display": shown.Nothing()}
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
