"""`npse warmup`: it compiles all kernels, and prints how many."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("numba")

from npse import cpu
from npse.cli import precompile
from npse.cli.warmup import warmup

WARM = "from npse.cli.warmup import warmup; warmup()"
RUN = """
from npse.bench.workload import prepare
work = prepare("se_resnet20", 32, "cpu", 2)
work.make_batch(), work.train(), work.evaluate()"""


def python(code, **environment):
    return subprocess.run([sys.executable, "-c", code], env=os.environ | environment, text=True, capture_output=True,
                          check=True)


def test_a_run_after_it_compiles_nothing():
    python(WARM)
    assert python(RUN).stderr == ""                               # the edition announces a compilation


@pytest.mark.slow
def test_from_an_empty_folder(tmp_path):
    cold = python(WARM, NPSE_CACHE_DIR=str(tmp_path))
    warm = python(WARM, NPSE_CACHE_DIR=str(tmp_path))
    assert int(re.match(r"compiled (\d+) kernels in ", cold.stdout)[1]) > 50
    assert warm.stdout.startswith("all kernels were compiled already")
    assert python(RUN, NPSE_CACHE_DIR=str(tmp_path)).stderr == ""


def test_compiled_kernels_are_counted(tmp_path):
    code = """
import numpy as np, numba
from npse import cpu
from npse.cpu.runtime.jit import on_compile
with on_compile(print):
    numba.njit(lambda x: x + 1)(1)
    cpu.relu(np.ones(3, np.float32)), cpu.relu(np.ones(3))
    cpu.relu(np.broadcast_to(1.0, 3)), cpu.relu(np.frombuffer(bytes(24)))       # another layout, or read-only"""
    result = python(code, NPSE_CACHE_DIR=str(tmp_path))
    assert result.stdout.splitlines() == ["1 _relu", "2 _relu"]
    assert result.stderr == ""                                    # no line for the user


@pytest.mark.parametrize(("count", "line"), [
    (0, "all kernels were compiled already, in kept"),
    (1, "compiled 1 kernel in 0.0 s, kept in kept"),
    (7, "compiled 7 kernels in 0.0 s, kept in kept"),
])
def test_its_message(monkeypatch, capsys, count, line):
    monkeypatch.setattr(precompile, "warm_up", lambda *works, say: count)
    monkeypatch.setattr(cpu, "cache_folder", lambda: Path("kept"))
    warmup()
    assert capsys.readouterr().out.startswith(line)


def test_without_a_folder_the_error_says_how_to_name_one(monkeypatch):
    monkeypatch.setattr(cpu, "cache_folder", lambda: None)
    with pytest.raises(OSError, match=r"no folder for compiled kernels can be written.* NPSE_CACHE_DIR"):
        warmup()


def test_an_unknown_model_is_reported():
    with pytest.raises(ValueError, match="unknown model 'nope'; all are in docs"):
        warmup(model="nope")


class TestCuda:
    """Kernels for a GPU that is not there."""

    @pytest.fixture(autouse=True)
    def _no_simulator(self, monkeypatch):
        pytest.importorskip("numba_cuda", reason="numba-cuda is not installed")
        monkeypatch.delenv("NUMBA_ENABLE_CUDASIM", raising=False)

    @pytest.mark.parametrize(("options", "words"), [
        ({"capability": "9.0"}, "for the cuda edition; add --edition cuda"),
        ({"edition": "cdua"}, "unknown edition 'cdua'; did you mean cuda"),
        ({"edition": "cuda", "capability": "9"}, "must be two numbers such as 9.0, but is '9'"),
        ({"edition": "cuda", "capability": "99.9"}, "there is no compute capability 99.9; the compiler knows 7.5, "),
    ])
    def test_a_wrong_capability_is_one_line(self, options, words):
        with pytest.raises(ValueError, match=words):
            warmup(**options)

    def test_without_a_gpu_its_capability_can_be_named(self, monkeypatch):
        monkeypatch.setattr("npse.backend.why_unavailable", lambda name: "no GPU here")
        with pytest.raises(ImportError, match=r"no GPU here; or name the GPU: --capability 9\.0"):
            warmup(edition="cuda")

    @pytest.mark.slow
    def test_the_kernels_of_a_model_for_a_named_capability(self, tmp_path):
        code = ("from npse.cli.warmup import warmup; "
                "warmup('se_resnet8', edition='cuda', capability='9.0')")
        cold, warm = (python(code, NPSE_CACHE_DIR=str(tmp_path)) for _ in range(2))
        assert int(re.match(r"compiled (\d+) kernels in ", cold.stdout)[1]) > 40
        assert warm.stdout.startswith("all kernels were compiled already")
