"""A student's code can neither hang nor forge its mark: endless loops, exits, patches, forgeries, forbidden help."""

import contextlib
import io
import os
import struct
import time

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays
from shares import some

import npse
from npse.exercises import find, sandbox, worker
from npse.exercises.annotated import ANSWER
from npse.exercises.check import check
from npse.exercises.submission import Submission

SCALE = find("scale")
GOOD = SCALE.as_file(ANSWER)

FORGE = """
import json, struct, sys
def forge(frame, messages):
    while frame:
        if "outbox" in frame.f_locals:
            for message in messages:
                head = message if isinstance(message, bytes) else json.dumps(message).encode()
                frame.f_locals["outbox"].write(struct.pack("<QQ", len(head), 0) + head)
            frame.f_locals["outbox"].flush()
        frame = frame.f_back
"""

HOSTILE = {
    "endless loop": ("def scale(u, s):\n    while True: pass", "longer than"),
    "endless loop outside of any function": ("while True: pass", "longer than"),
    "a loop that catches every exception": (
        "import time\ndef scale(u, s):\n    while 1:\n        try: time.sleep(1)\n        except BaseException: pass",
        "longer than"),
    "endless printing": ("def scale(u, s):\n    while True: print('x' * 1000)", "longer than"),
    "threads that never end": (
        "import threading\ndef f():\n    while True: pass\nfor _ in range(9): threading.Thread(target=f).start()\n"
        "def scale(u, s): return 0 * u", ""),
    "10 GB of numbers": ("import numpy as np\ndef scale(u, s): return np.ones(10 * 2**27)", "MemoryError"),
    "10 GB of bytes": ("x = bytearray(10**10)", "MemoryError"),
    "os._exit": ("import os\nos._exit(0)", "ends its own process"),
    "os._exit in the function": ("import os\ndef scale(u, s): os._exit(0)", "ends its own process"),
    "exit()": ("exit()", "calls exit"),
    "sys.exit in the function": ("import sys\ndef scale(u, s): sys.exit(0)", "calls exit(0)"),
    "killed": ("import signal\nsignal.raise_signal(9)", "the process of the code died"),
    "a crash": (
        "import numpy as np\ndef scale(u, s):\n    np.lib.stride_tricks.as_strided(u, (10**9,))[:] = 1",
        "the process of the code died"),
    "all files closed": ("import os\nos.closerange(0, 99)\ndef scale(u, s): return u", "the process of the code died"),
    "recursion": ("def scale(u, s): return scale(u, s)", "RecursionError"),
    "input": ("def scale(u, s): return input()", "EOFError"),
    "NumPy patched": ("import numpy as np\nnp.allclose = lambda *a, **k: True\n" + GOOD, "changes NumPy"),
    "NumPy patched by setattr": ("import numpy as np\nsetattr(np.linalg, 'norm', 1)\n" + GOOD, "changes NumPy"),
    "NumPy patched in its dictionary": ("import numpy\nvars(numpy)['sum'] = 1\n" + GOOD, "changes numpy.sum"),
    "NumPy patched while it runs": (
        GOOD + "\ndef scale(u, s):\n    vars(np)['add'] = 1\n    return u * s[:, None, None, :]", "changes numpy.add"),
    "npse's own op": ("from npse.reference import scale, scale_backward", "imports npse.reference"),
    "npse by importlib": (
        "import importlib\nscale = importlib.import_module('npse.reference').scale", "npse is not"),
    "npse by a made-up name": ("scale = __import__('np' + 'se.reference').reference.scale", "npse is not"),
    "npse's file": (f"exec(open({str(npse.reference.__path__[0])!r} + '/se.py').read())", "npse is not"),
    "torch": ("import torch", "imports torch: this exercise is done by hand"),
    "jax, later": ("def scale(u, s):\n    import jax.numpy", "imports jax"),
    "fork": ("import os\nwhile True: os.fork()", "must use no processes"),
    "kill the judge": ("import os\nos.kill(os.getppid(), 9)", "must use no processes"),
    "a shell": ("import os\nos.system('true')", "must use no processes"),
    "C functions": ("import sys\nsys.modules['cty' + 'pes'].pythonapi.Py_IncRef", "must not call C libraries"),
    "the list of what is forbidden": (
        "try: __import__('num' + 'ba')\n"
        "except ImportError as error:\n    frame = error.__traceback__.tb_next.tb_frame\n"
        "    while frame:\n        for value in frame.f_locals.values():\n"
        "            if isinstance(value, set): value.clear()\n        frame = frame.f_back\n"
        "__import__('num' + 'ba')", "numba is not"),
    "write a file": ("open('../evil', 'w')", "must not write files"),
    "read a file": (f"open({str(__file__)!r})", "must not read files"),
    "remove a file": ("import os\nos.remove('../evil')", "must not change files"),
    "bytes in every pipe": (
        "import os\nfor f in range(3, 20):\n    try: os.write(f, b'{\"points\": 9}' * 99)\n    except OSError: pass",
        "not a result"),
    "messages in a wrong format": (
        FORGE + "forge(sys._getframe(), [b'[1]', {'a': 1}, {'dict': {}}, {'dict': {'problem': [1], 'names': 3}}] * 9)",
        ""),
    "forged results": (
        FORGE + "def scale(u, s):\n    forge(sys._getframe(), [{'dict': {'result': 1.0, 'arguments': []}}] * 99)\n"
        "    return u", ""),
    "a result too large": ("import numpy as np\ndef scale(u, s): return np.zeros(2**25)", ""),
    "objects": ("import numpy as np\ndef scale(u, s): return np.array([object()])", "dtype object"),
    "a generator": ("def scale(u, s): yield 1", "contains a generator"),
    "nothing": ("def scale(u, s): pass", "returns None"),
    "words": ("def scale(u, s): return 'right'", "not an array of numbers"),
    "a dictionary": ("def scale(u, s): return {'y': u}", "not an array of numbers"),
    "a terminal's escape codes": ("raise ValueError('\\x1b[2J\\x1b[1;1Hall right')", "ValueError:  [2J [1;1Hall right"),
    "not a function": ("scale = 3", "no function scale"),
}


@pytest.fixture(autouse=True)
def _short(monkeypatch):
    monkeypatch.setattr(sandbox, "SECONDS", 1.0)


@pytest.mark.skipif(os.name != "posix", reason="limits of memory and of files are the system's")
@pytest.mark.parametrize("name", some(HOSTILE, 3))
def test_a_hostile_file_gets_nothing_and_one_clear_line(name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    code, words = HOSTILE[name]
    began = time.monotonic()
    mark = check(Submission(SCALE, (code,), "05_scale.py"), hidden=True)
    assert mark.earned == 0, str(mark)
    assert words in mark.note or words in mark.parts[0].message, str(mark)
    assert (mark.note + mark.parts[0].message).isprintable()
    assert time.monotonic() - began < 8
    assert not list(tmp_path.iterdir())


def test_an_endless_loop_fails_its_own_function_only():
    mark = check(Submission(SCALE, (GOOD + "\ndef scale(u, s):\n    while True: pass\n",), "05_scale.py"))
    assert [part.ok for part in mark.parts] == [False, False, True, True, True]


def test_arguments_arrive_unchanged():
    code = ("def look(x, y, shape):\n"
            "    flags = x.flags\n"
            "    flags = flags.c_contiguous, flags.f_contiguous, flags.writeable\n"
            "    return x.copy(), *flags, str(x.dtype), shape == (1, 2)")
    x = np.arange(6.0).reshape(2, 3)
    x.flags.writeable = False
    with sandbox.Sandbox([code], "look.py") as box:
        look = box.function("look", lambda x, y, shape: None)
        for array in (x, np.asfortranarray(x), np.arange(12.0, dtype=np.float32).reshape(2, 6)[:, ::2]):
            copy, c, f, writeable, dtype, is_tuple = look(array, y=None, shape=(1, 2))
            assert np.array_equal(copy, array)
            assert (c, f, writeable, dtype) == (array.flags.c_contiguous, array.flags.f_contiguous,
                                                array.flags.writeable, str(array.dtype))
            assert is_tuple


ARRAYS = arrays(st.sampled_from([np.float64, np.float32, np.int64, np.bool_, np.complex128]),
                array_shapes(min_dims=0, max_dims=4, min_side=0, max_side=3))
VALUES = st.recursive(ARRAYS | st.none() | st.booleans() | st.integers() | st.text(), lambda inner: st.lists(
    inner, max_size=3) | st.tuples(inner, inner) | st.dictionaries(st.text(), inner, max_size=3), max_leaves=6)


@settings(deadline=None)
@given(VALUES)
def test_a_message_arrives_as_it_was_sent(message):
    pipe = io.BytesIO()
    worker.send(pipe, message)
    pipe.seek(0)
    assert identical(worker.receive(pipe), message)


@settings(deadline=None)
@given(st.binary(max_size=200), st.integers(0, 60), st.integers(0, 60))
def test_a_wrong_message_raises_the_error_that_the_reader_expects(noise, head, body):
    with contextlib.suppress(Exception):
        worker.receive(io.BytesIO(struct.pack("<QQ", head, body) + noise))


def identical(a, b):
    if isinstance(b, (list, tuple)):
        return type(a) is type(b) and len(a) == len(b) and all(map(identical, a, b))
    if isinstance(b, dict):
        return a.keys() == b.keys() and all(identical(a[key], b[key]) for key in b)
    if isinstance(b, np.ndarray):
        return a.dtype == b.dtype and a.shape == b.shape and a.tobytes() == b.tobytes()
    return type(a) is type(b) and a == b


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(100))
def test_a_solution_with_pieces_cut_out_is_marked_without_a_crash(seed):
    rng, lines = np.random.default_rng(seed), GOOD.splitlines()
    for _ in range(3):
        line = rng.integers(len(lines))
        cut = rng.integers(0, len(lines[line]) + 1, 2)
        lines[line] = lines[line][:cut.min()] + lines[line][cut.max():]
    mark = check(Submission(SCALE, ("\n".join(lines),), "05_scale.py"), hidden=True)
    assert 0 <= mark.earned <= mark.points == 7
    assert "cannot be judged" not in str(mark)


def test_changes_of_arguments_are_copied_back():
    x = np.ones(3)
    with sandbox.Sandbox(["def f(x):\n    x[1] = 5\n    return x"], "f.py") as box:
        box.function("f", lambda x: None)(x)
    assert x.tolist() == [1, 5, 1]


def test_forged_replies_to_a_call_that_is_not_read_end_in_time():
    code = FORGE + ("def f(x):\n"
                    "    forge(sys._getframe(), [{'dict': {'result': 1.0, 'arguments': {'tuple': [1]}}}] * 99)\n"
                    "    while True: pass")
    began = time.monotonic()
    with sandbox.Sandbox([code], "f.py") as box:
        f = box.function("f", lambda x: None)
        with contextlib.suppress(TimeoutError):
            for _ in range(99):
                f(np.ones(10**5))                                 # more than a pipe holds
        assert "longer than 1 s" in box.ended
    assert time.monotonic() - began < 4


def test_endless_forged_replies_do_not_fill_the_memory_of_the_judge():
    flood = "import os\nwhile True:\n    for f in range(3, 9):\n        try: os.write(f, (b'%s' + b' ' * 10**6))\n" \
            "        except OSError: pass"
    flood = flood.replace("%s", (r"\x02" + r"\0" * 7 + r"\x3e\x42\x0f" + r"\0" * 5 + "{}"))
    with sandbox.Sandbox([flood], "f.py") as box:
        assert box.problem
        assert box._replies.qsize() <= 4
    assert not box._listener.is_alive()


def test_secrets_of_the_grader_are_not_in_the_environment(monkeypatch):
    monkeypatch.setenv("SECRET_TOKEN", "s3cret")
    with sandbox.Sandbox(["import os\ndef f(): return os.environ.get('SECRET_TOKEN', 'unknown')"], "f.py") as box:
        assert box.function("f", lambda: None)() == "unknown"


def test_what_the_code_prints_is_kept_and_cut():
    with sandbox.Sandbox(["print('hello')\ndef f():\n    print('x' * 10**6)\n    return 1.0"], "f.py") as box:
        assert box.printed == "hello\n"
        box.function("f", lambda: None)()
        assert len(box.printed) <= 2000


def test_the_error_of_a_forbidden_module_says_what_to_do():
    mark = check(Submission(SCALE, ("import numpy as np\nimport torch.nn\n" + GOOD,), "05_scale.py"))
    assert mark.note == "line 2 imports torch.nn: this exercise is done by hand, with NumPy alone; remove the import"
