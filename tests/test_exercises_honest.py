"""Honest work gets its points, whatever editor, notebook or platform it comes from."""

import json
import time

import numpy as np
import pytest

from npse.exercises import find
from npse.exercises.check import check
from npse.exercises.collect import collect, student_of_file
from npse.exercises.ipython import without_magics
from npse.exercises.submission import Submission, decoded, read

SQUEEZE, KERNEL = find("squeeze"), find("numba_kernel")
CODE = SQUEEZE.solution_code()


def notebook(*cells, **extra):
    made = [{"cell_type": "code", "metadata": {}, "outputs": [], "source": cell} for cell in cells]
    return json.dumps({"cells": made, "metadata": {}, "nbformat": 4, "nbformat_minor": 5} | extra)


PICTURE = [{"output_type": "display_data", "metadata": {}, "data": {"image/png": "A" * 6_000_000}}]
FILES = {
    "a magic": (".ipynb", notebook("%matplotlib inline\n" + CODE)),
    "a cell magic": (".ipynb", notebook("%%time\n" + CODE)),
    "a cell for a shell": (".ipynb", notebook("%%bash\nls | grep x\n", CODE)),
    "assigned magics": (".ipynb", notebook(CODE + "\nt = %timeit -o 1\nfiles = !ls\nlen(files)\n")),
    "a magic in two lines": (".ipynb", notebook("!pip install \\\n  numpy\n" + CODE)),
    "% at the begin of a line, in brackets": (".ipynb", notebook("%time\n" + CODE + "\nx = ('%d'\n  % 5)\n")),
    "% and ! in a long text": (".ipynb", notebook('%time\n"""\n%time\n!ls\n"""\n' + CODE)),
    "a question in a comment": (".ipynb", notebook("%time\n" + CODE + "\nx = (1  # why?\n     )\n")),
    "help": (".ipynb", notebook("np.mean?\n??np.mean\n" + CODE)),
    "await": (".ipynb", notebook(CODE + "\nimport asyncio\nawait asyncio.sleep(0.01)\n")),
    "display and get_ipython": (".ipynb", notebook("display(1)\nget_ipython().run_line_magic('a', 'b')\n" + CODE)),
    "Colab": (".ipynb", notebook("from google.colab import drive\ndrive.mount('/content')\n" + CODE)),
    "a forbidden import in a cell of its own": (".ipynb", notebook("from npse.gradcheck import check_op\n", CODE)),
    "a plot of 6 MB": (".ipynb", json.dumps({"cells": [
        {"cell_type": "code", "metadata": {}, "outputs": PICTURE, "source": CODE}], "metadata": {}})),
    "nbformat 3": (".ipynb", json.dumps({"worksheets": [
        {"cells": [{"cell_type": "code", "input": CODE.splitlines(keepends=True), "outputs": []}]}]})),
    "a script of nbconvert": (".py", "# coding: utf-8\n# In[1]:\nget_ipython().system('ls')\n" + CODE),
    "a script with magics": (".py", "# %%\n%matplotlib inline\n!pip install numpy\n" + CODE),
    "Latin-1 with a coding line": (".py", ("# -*- coding: latin-1 -*-\n# Ren\xe9\n" + CODE).encode("latin-1")),
    "Latin-1 without one": (".py", ("# Ren\xe9\n" + CODE).encode("latin-1")),
    "UTF-16": (".py", CODE.encode("utf-16")),
    "UTF-8 with a mark": (".py", CODE.encode("utf-8-sig")),
    "old line ends": (".py", CODE.replace("\n", "\r").encode()),
}

LINES = {
    "matplotlib": "import matplotlib.pyplot as plt\nfig, ax = plt.subplots()\nn, bins, bars = plt.hist([1])\n"
                  "with plt.style.context('x'):\n    ax.plot([1], [2])\nplt.show()",
    "seaborn": "import seaborn as sns\nsns.set_theme()",
    "IPython": "from IPython.display import display, HTML\ndisplay(HTML('x'))",
    "np.testing": "import numpy as np\nnp.testing.assert_allclose(np.ones(2), 1)\nimport numpy.testing as npt",
    "np.ma, np.polynomial, np.random": "import numpy as np\nnp.ma.masked_array([1]), np.polynomial.Polynomial([1]), "
                                       "np.random.default_rng(0).normal()",
    "dataclass": "from dataclasses import dataclass\n@dataclass\nclass A:\n    b: 'int' = 1",
    "type hints": "import typing\ndef f(x: 'int') -> typing.Any: ...\ntyping.get_type_hints(f)",
    "named tuple, enum, pickle": "import typing, enum, pickle\nclass A(typing.NamedTuple):\n    x: int\n"
                                 "class B(enum.Enum):\n    C = 1\npickle.loads(pickle.dumps(A(1)))",
    "tempfile": "import tempfile\nwith tempfile.NamedTemporaryFile() as f:\n    f.write(b'x')",
    "a folder of its own": "import tempfile\nwith tempfile.TemporaryDirectory() as f:\n    open(f + '/x', 'w').close()",
    "asyncio": "import asyncio\nasync def f(): await asyncio.sleep(0)\nasyncio.run(f())",
    "unittest": "import unittest\nclass T(unittest.TestCase):\n    def test(self): pass",
    "torch under main": "if __name__ == '__main__':\n    import torch",
    "torch if it is there": "try:\n    import torch\nexcept ImportError:\n    torch = None",
    "warnings": "import numpy as np, warnings\nnp.seterr(all='raise')\nwarnings.simplefilter('error')",
    "threads": "import threading\nt = threading.Thread(target=print)\nt.start()\nt.join()",
}


@pytest.mark.parametrize("name", FILES)
def test_a_right_file_gets_all_points(name, tmp_path):
    suffix, content = FILES[name]
    path = tmp_path / f"03_squeeze{suffix}"
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    mark = check(read(path), hidden=True)
    assert mark.ok, str(mark)


@pytest.mark.parametrize("name", LINES)
@pytest.mark.parametrize("place", ["before", pytest.param("after", marks=pytest.mark.slow)])
def test_what_else_is_in_the_file_costs_nothing(name, place):
    code = f"{LINES[name]}\n{CODE}" if place == "before" else f"{CODE}\n{LINES[name]}\n"
    mark = check(Submission(SQUEEZE, (code,), "03_squeeze.py"))
    assert mark.ok, str(mark)


def test_a_future_import_stays_at_the_top():
    code = ("from __future__ import annotations\nfrom dataclasses import dataclass\n"
            "@dataclass\nclass A:\n    b: int = 1\n")
    assert check(Submission(SQUEEZE, (code + CODE,), "03_squeeze.py")).ok


@pytest.mark.parametrize("decorator", ["@njit(cache=True)", *(pytest.param(other, marks=pytest.mark.slow) for other in (
    "@njit(parallel=True, fastmath=True)", "@numba.njit", "@numba.jit(nopython=True)", "@compiled"))])
def test_a_kernel_may_be_compiled_in_other_ways(decorator):
    pytest.importorskip("numba")
    code = "import numba\nfrom numba import njit as compiled\n" + KERNEL.solution_code().replace("@njit", decorator)
    mark = check(Submission(KERNEL, (code,), "12_numba_kernel.py"))
    assert mark.ok, str(mark)


@pytest.mark.slow
def test_a_kernel_may_be_written_in_other_ways():
    pytest.importorskip("numba")
    code = """
import numpy as np
from numba import njit, prange

@njit
def add(total, value):
    return total + value

@njit(parallel=True)
def squeeze_kernel(u, z):
    flat = u.reshape(u.shape[0], -1, u.shape[3])
    for n in prange(flat.shape[0]):
        total = np.zeros(u.shape[3], u.dtype)
        p = 0
        while p < flat.shape[1]:
            for c in range(flat.shape[2]):
                total[c] = add(total[c], flat[n, p, c])
            p += 1
        for c in range(u.shape[3]):
            z[n, c] = total[c] / flat.shape[1]
"""
    mark = check(Submission(KERNEL, (code,), "12_numba_kernel.py"))
    assert mark.ok, str(mark)


@pytest.mark.parametrize(("name", "student"), [
    ("doejane_12345_67890_03_squeeze.py", "doejane_12345"),
    ("doejane_LATE_12345_67891_03_squeeze-2.ipynb", "doejane_12345"),
    ("Jane Doe_1234567_assignsubmission_file_03_squeeze.py", "Jane Doe_1234567"),
    ("Homework 1_jdoe2_attempt_2026-11-28-10-00-00_03_squeeze.py", "jdoe2"),
    ("jane_03_squeeze.py", "jane"), ("jane doe-03_squeeze.py", "jane doe"), ("jane.py", "jane")])
def test_the_names_of_platforms_are_understood(name, student):
    assert student_of_file(name) == student


def test_archives_of_macs_and_folders_of_platforms(tmp_path):
    apple = b"\0\5\x16\7\0Mac OS X"
    for place in ("ann", "Ben Li_77_assignsubmission_file_", "cem/hw"):
        (tmp_path / place).mkdir(parents=True)
        (tmp_path / place / "03_squeeze.py").write_text(CODE)
        (tmp_path / place / "._03_squeeze.py").write_bytes(apple)
        (tmp_path / place / "__MACOSX").mkdir()
        (tmp_path / place / "__MACOSX" / "03_squeeze.py").write_bytes(apple)
    (tmp_path / "__MACOSX" / "ann").mkdir(parents=True)
    (tmp_path / "__MACOSX" / "ann" / "._03_squeeze.py").write_bytes(apple)
    (tmp_path / "._dan_03_squeeze.py").write_bytes(apple)
    found = collect(tmp_path).files
    assert {student: [path.read_text() for path in files.values()] for student, files in found.items()} == {
        "ann": [CODE], "Ben Li_77": [CODE], "cem": [CODE]}


def test_python_stays_as_it_is_and_lines_keep_their_numbers():
    assert without_magics(CODE) == CODE
    source = "%time\nx = 1\n  \ny = !ls\n"
    assert without_magics(source).split("\n") == ["pass", "x = 1", "  ", "y = []", ""]


@pytest.mark.parametrize("source", ["x = (\n" + " " * 10**6 + "x", "?" * 10**6, "'" * 10**6 + "(", "%" + "a?" * 10**6,
                                    "(" * 10**6, "a" * 10**6 + "??" + " " * 10**6 + "?", "x = \\\n" * 10**5])
def test_the_time_to_read_a_cell_grows_with_its_length(source):
    began = time.process_time()
    without_magics(source)
    assert time.process_time() - began < 5


def test_bytes_that_are_no_text_are_refused():
    for data in (b"\x7fELF\0\1", b"\x89PNG\r\n\x1a\n\0", np.arange(9.0).tobytes()):
        with pytest.raises(ValueError, match="control characters"):
            decoded(data)
