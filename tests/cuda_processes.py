"""The kinds of processes that tests of the cuda edition run in; the mark of each file in tests/cuda names its kind.

    simulator   NUMBA_ENABLE_CUDASIM=1: Numba's simulator runs every thread in Python
    ptx         NPSE_COMPILE_CUDA=1: kernels are compiled, none is run
    gpu         neither of them
"""

import importlib.util
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

VARIABLES = {"simulator": "NUMBA_ENABLE_CUDASIM", "ptx": "NPSE_COMPILE_CUDA"}
KINDS = (*VARIABLES, "gpu")
ROOT = Path(__file__).parents[1]
FILES = tuple(sorted((Path(__file__).parent / "cuda").glob("test_*.py")))
_MARK = re.compile(rf"^pytestmark = .*pytest\.mark\.({'|'.join(KINDS)})\b", re.MULTILINE)


def this_process():
    """Return the kind of this process."""
    return next((kind for kind, variable in VARIABLES.items() if os.environ.get(variable) == "1"), "gpu")


def kind_of(file):
    """Return the kind of process that a test file needs, from its text: other processes may not import the file."""
    found = _MARK.findall(file.read_text(encoding="utf-8"))
    if len(found) != 1:
        raise pytest.UsageError(f"{file} must say once which process it needs: pytestmark = pytest.mark.KIND, "
                                 f"where KIND is one of {', '.join(KINDS)}")
    return found[0]


def marked(kind, mark):
    """Return the test files of a kind of process that have tests with a mark, such as slow."""
    return [file for file in FILES if kind_of(file) == kind and f"pytest.mark.{mark}" in file.read_text("utf-8")]


def run(kind, *words):
    """Run pytest on tests/cuda in a process of a kind; return its exit code and its output.

    Where numba-cuda is not installed the test that calls this skips, or fails if NPSE_REQUIRE_CUDA=1.
    """
    if importlib.util.find_spec("numba_cuda") is None:
        refuse = pytest.fail if os.environ.get("NPSE_REQUIRE_CUDA") == "1" else pytest.skip
        refuse('numba-cuda is not installed; run: pip install -e ".[cuda]"')
    environment = {name: value for name, value in os.environ.items()
                   if name not in VARIABLES.values() and not name.startswith("PYTEST_")}
    environment |= {"PYTHONPATH": os.pathsep.join([str(ROOT), *filter(None, sys.path)])}
    if kind in VARIABLES:
        environment[VARIABLES[kind]] = "1"
    command = [sys.executable, "-m", "pytest", "-q", "-n0", "--tb=short", *words]
    ran = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True)
    return ran.returncode, ran.stdout + ran.stderr


def succeed(kind, *words):
    """Return the output of such a run; if a test of it fails, the test that calls this fails and shows the output."""
    code, output = run(kind, *words)
    if code:
        pytest.fail(output, pytrace=False)
    return output
