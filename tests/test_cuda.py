"""The tests of the cuda edition that need no GPU. Each kind runs in its own process.

In the simulator every op is compared with the book. Another process only compiles, and compiles every kernel. If
numba-cuda is not installed, the tests are skipped, or fail if NPSE_REQUIRE_CUDA=1.

This file has every case of the judge in float32, one kernel of each op for the compiler, and tests of the processes
themselves. The slow tests are in test_cuda_simulator.py and test_cuda_compiled.py: two files, because the tests of one
file do not run in parallel.
"""

import re

import pytest
from cuda_processes import FILES, KINDS, VARIABLES, kind_of, run, succeed


@pytest.mark.parametrize("kind", VARIABLES)
def test_what_is_quick(kind):
    succeed(kind, "-m", f"{kind} and not slow and not nightly", "tests/cuda")


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
def test_a_process_collects_the_files_of_its_kind(kind):
    output = succeed(kind, "--collect-only", "-m", kind, "tests/cuda")
    collected = set(re.findall(r"^tests/cuda/(\w+)\.py::", output, re.MULTILINE))
    assert collected == {file.stem for file in FILES if kind_of(file) == kind}


@pytest.mark.slow
def test_by_default_a_plain_process_runs_none_of_them():
    assert run("gpu", "tests/cuda")[0] == pytest.ExitCode.NO_TESTS_COLLECTED


@pytest.mark.parametrize("text", ["", "pytestmark = pytest.mark.slow\n", "def test():\n    pytest.mark.gpu\n"])
def test_a_file_that_names_no_kind_is_refused(text, tmp_path):
    file = tmp_path / "test_lost.py"
    file.write_text(text)
    with pytest.raises(pytest.UsageError, match=r"test_lost\.py must say once which process it needs: pytestmark = "):
        kind_of(file)


@pytest.mark.slow
def test_requested_tests_that_cannot_run_fail(monkeypatch):
    from npse.cuda import why_unavailable

    if why_unavailable() is None:
        pytest.skip("there is a GPU here, so nothing is missing")
    one = ("-m", "gpu", "-k", "squeeze and NumPy", "tests/cuda")
    monkeypatch.delenv("NPSE_REQUIRE_CUDA", raising=False)
    assert why_unavailable() in succeed("gpu", "-rs", *one)
    monkeypatch.setenv("NPSE_REQUIRE_CUDA", "1")
    assert run("gpu", *one)[0] == pytest.ExitCode.TESTS_FAILED
