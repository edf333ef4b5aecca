"""The tests of the cuda edition that need no GPU, each kind in a process of its own.

In the simulator every op is judged against the book; in a process that only compiles, every kernel is. Where numba-cuda
is not installed they skip, or fail if NPSE_REQUIRE_CUDA=1 asks for them.
"""

import importlib.util
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

HERE = Path(__file__).parent
PROCESSES = pytest.mark.parametrize("setting", ["NUMBA_ENABLE_CUDASIM", "NPSE_COMPILE_CUDA"],
                                    ids=["simulator", "compiler"])


@pytest.fixture(autouse=True)
def _numba_cuda():
    if importlib.util.find_spec("numba_cuda") is None:
        refuse = pytest.fail if os.environ.get("NPSE_REQUIRE_CUDA") == "1" else pytest.skip
        refuse('numba-cuda is not installed; run: pip install -e ".[cuda]"')


def run(setting, *words):
    """Run pytest on tests/cuda in a process with one of the two settings; return how it ended and what it said."""
    environment = {name: value for name, value in os.environ.items()
                   if name not in ("NUMBA_ENABLE_CUDASIM", "NPSE_COMPILE_CUDA") and not name.startswith("PYTEST_")}
    environment |= {setting: "1", "PYTHONPATH": os.pathsep.join([str(HERE.parent), *filter(None, sys.path)])}
    command = [sys.executable, "-m", "pytest", "-q", "-n0", "--tb=short", *words, HERE / "cuda"]
    ran = subprocess.run(command, cwd=HERE.parent, env=environment, capture_output=True, text=True)
    return ran.returncode, ran.stdout + ran.stderr


def succeed(setting, *words):
    """What such a run says; if a test of it fails, so does this one, and shows it."""
    code, output = run(setting, *words)
    if code:
        pytest.fail(output, pytrace=False)
    return output


@PROCESSES
def test_one_case_of_each_op(setting):
    succeed(setting, "-k", "test_cuda_cases or test_cuda_ptx")


@pytest.mark.slow
def test_every_case_in_the_simulator():
    elsewhere = "test_cuda_conv or test_cuda_trace or test_cuda_maps or test_cuda_training or test_cuda_bench"
    succeed("NUMBA_ENABLE_CUDASIM", "-m", "slow or not slow", "-k", f"not ({elsewhere})")


@pytest.mark.slow
@PROCESSES
def test_the_processes_have_tests_of_their_own(setting):
    output = succeed(setting, "--collect-only", "-m", "slow or not slow")
    files = set(re.findall(r"^tests/cuda/test_cuda_(\w+)\.py::", output, re.MULTILINE))
    assert "gpu" not in files
    assert files == {"ptx"} if setting == "NPSE_COMPILE_CUDA" else files >= {"cases"} and "ptx" not in files


@pytest.mark.slow
def test_a_plain_process_collects_the_tests_for_a_gpu_alone():
    output = succeed("PLAIN", "--collect-only", "-m", "gpu or not gpu")
    assert set(re.findall(r"^tests/cuda/(\w+)\.py::", output, re.MULTILINE)) == {"test_cuda_gpu"}
    assert run("PLAIN")[0] == pytest.ExitCode.NO_TESTS_COLLECTED


@pytest.mark.slow
def test_what_was_asked_for_and_cannot_run_fails(monkeypatch):
    from npse.cuda import why_unavailable

    if why_unavailable() is None:
        pytest.skip("there is a GPU here, so nothing is missing")
    one = ("-m", "gpu", "-k", "squeeze and NumPy")
    monkeypatch.delenv("NPSE_REQUIRE_CUDA", raising=False)
    assert why_unavailable() in succeed("PLAIN", "-rs", *one)
    monkeypatch.setenv("NPSE_REQUIRE_CUDA", "1")
    assert run("PLAIN", *one)[0] == pytest.ExitCode.TESTS_FAILED
