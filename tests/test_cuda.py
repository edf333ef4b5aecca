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
from cuda_processes import FILES, KINDS, VARIABLES, kind_of

ROOT = Path(__file__).parents[1]


@pytest.fixture(autouse=True)
def _numba_cuda():
    if importlib.util.find_spec("numba_cuda") is None:
        refuse = pytest.fail if os.environ.get("NPSE_REQUIRE_CUDA") == "1" else pytest.skip
        refuse('numba-cuda is not installed; run: pip install -e ".[cuda]"')


def run(kind, *words):
    """Run pytest on tests/cuda in a process of that kind; return how it ended and what it said."""
    environment = {name: value for name, value in os.environ.items()
                   if name not in VARIABLES.values() and not name.startswith("PYTEST_")}
    environment |= {"PYTHONPATH": os.pathsep.join([str(ROOT), *filter(None, sys.path)])}
    if kind in VARIABLES:
        environment[VARIABLES[kind]] = "1"
    command = [sys.executable, "-m", "pytest", "-q", "-n0", "--tb=short", *words]
    ran = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True)
    return ran.returncode, ran.stdout + ran.stderr


def succeed(kind, *words):
    """What such a run says; if a test of it fails, so does this one, and shows it."""
    code, output = run(kind, *words)
    if code:
        pytest.fail(output, pytrace=False)
    return output


@pytest.mark.parametrize("kind", VARIABLES)
def test_one_case_of_each_op(kind):
    succeed(kind, "-m", f"{kind} and not slow", "tests/cuda")


@pytest.mark.slow
@pytest.mark.parametrize("file", [file for file in FILES if kind_of(file) in VARIABLES], ids=lambda file: file.stem)
def test_all_of(file):
    kind = kind_of(file)
    succeed(kind, "-m", kind, file)


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
def test_a_process_collects_the_files_of_its_kind(kind):
    output = succeed(kind, "--collect-only", "-m", kind, "tests/cuda")
    collected = set(re.findall(r"^tests/cuda/(\w+)\.py::", output, re.MULTILINE))
    assert collected == {file.stem for file in FILES if kind_of(file) == kind}


@pytest.mark.slow
def test_without_a_word_a_plain_process_runs_none_of_them():
    assert run("gpu", "tests/cuda")[0] == pytest.ExitCode.NO_TESTS_COLLECTED


@pytest.mark.parametrize("text", ["", "pytestmark = pytest.mark.slow\n", "def test():\n    pytest.mark.gpu\n"])
def test_a_file_that_names_no_kind_is_refused(text, tmp_path):
    file = tmp_path / "test_lost.py"
    file.write_text(text)
    with pytest.raises(pytest.UsageError, match=r"test_lost\.py must say once which process it needs: pytestmark = "):
        kind_of(file)


@pytest.mark.slow
def test_what_was_asked_for_and_cannot_run_fails(monkeypatch):
    from npse.cuda import why_unavailable

    if why_unavailable() is None:
        pytest.skip("there is a GPU here, so nothing is missing")
    one = ("-m", "gpu", "-k", "squeeze and NumPy", "tests/cuda")
    monkeypatch.delenv("NPSE_REQUIRE_CUDA", raising=False)
    assert why_unavailable() in succeed("gpu", "-rs", *one)
    monkeypatch.setenv("NPSE_REQUIRE_CUDA", "1")
    assert run("gpu", *one)[0] == pytest.ExitCode.TESTS_FAILED
