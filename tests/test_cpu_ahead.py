"""Kernels that other processes compile ahead: which are needed, which are compiled, and what happens if one fails."""

import os
import re
import subprocess
import sys
from functools import partial

import numpy as np
import pytest

pytest.importorskip("numba")

from npse import cpu
from npse.cpu.runtime import compile_ahead
from npse.editions import compile_ahead as processes

X = np.ones((64, 2, 2, 16), np.float32)
SQUEEZE = partial(cpu.squeeze, X)


@pytest.fixture
def two_threads():
    before = cpu.get_threads()
    cpu.set_threads(2)
    yield
    cpu.set_threads(before)


def needed_by(work):
    return compile_ahead.Kernels(cpu.get_threads()).needed_by(work)


def names(needed):
    """Return the names of kernels without the constants at their end."""
    return sorted(re.sub(r"(_\d+)+$", "", name.rpartition(".")[2]) for name, _ in needed)


def test_the_kernels_of_a_call_are_found_without_running_them(two_threads, monkeypatch):
    monkeypatch.setattr("npse.cpu.runtime.parallel._pool", None)           # no thread is used
    monkeypatch.setattr("npse.cpu.runtime.memory_pool.fresh", lambda size: np.full(size, 7, np.uint8))
    assert names(needed_by(SQUEEZE)) == ["_divided", "image_sums", "submit", "worker_loop"]
    assert names(needed_by(partial(cpu.relu, X))) == ["_relu"]                      # too small to share


def test_each_signature_has_its_own_name():
    both = needed_by(lambda: (cpu.relu(X), cpu.relu(X.astype(np.float64)), cpu.relu(X)))
    assert names(both) == ["_relu", "_relu"]


def python(code, folder):
    return subprocess.run([sys.executable, "-c", code], env=os.environ | {"NPSE_CACHE_DIR": str(folder)}, text=True,
                          capture_output=True, check=True)


AHEAD = """
from functools import partial
import numpy as np
from npse import cpu
from npse.cpu.runtime.compile_ahead import compile_ahead
x = np.ones((64, 2, 2, 16), np.float32)
cpu.set_threads(2)
print(compile_ahead(partial(cpu.squeeze, x), print))
"""
CALL = """
import numpy as np
from npse import cpu
cpu.set_threads(2)
print(cpu.squeeze(np.ones((64, 2, 2, 16), np.float32)).sum())
"""


def test_a_kernel_that_was_compiled_ahead_is_loaded(tmp_path):
    assert python(AHEAD, tmp_path).stdout.split("\n")[:-1] == ["0 4", "1 4", "2 4", "3 4", "4 4", "4"]
    assert python(AHEAD, tmp_path).stdout == "0\n"                # at once, without another process
    called = python(CALL, tmp_path)
    assert (called.stdout, called.stderr) == ("1024.0\n", "")     # a compilation would be announced


@pytest.mark.slow
def test_only_kernels_that_no_work_before_needed_are_compiled(tmp_path):
    python(AHEAD, tmp_path)
    more = AHEAD.replace("partial(cpu.squeeze, x)", "partial(cpu.se, x, np.ones((4, 16), np.float32), "
                                                    "np.ones((16, 4), np.float32))")
    said = python(more, tmp_path).stdout.splitlines()
    missing = int(said[-1])
    assert missing > 0
    assert (said[0], said[-2]) == (f"0 {missing}", f"{missing} {missing}")
    assert python(AHEAD, tmp_path).stdout == "0\n"
    assert python(more, tmp_path).stdout == "0\n"


@pytest.mark.slow
def test_kernels_that_a_worker_did_not_compile_are_compiled_when_called(tmp_path):
    code = f"from npse.editions import compile_ahead; compile_ahead._WORKER = 'raise SystemExit'\n{AHEAD}{CALL}"
    ran = python(code, tmp_path)
    assert ran.stdout.splitlines()[-2:] == ["0", "1024.0"]
    assert "compiling kernels" in ran.stderr


def test_without_a_folder_nothing_is_compiled_ahead(monkeypatch):
    monkeypatch.setattr(compile_ahead, "cache_folder", lambda: None)
    monkeypatch.setattr(processes, "_Worker", None)
    assert compile_ahead.compile_ahead(SQUEEZE) == 0
