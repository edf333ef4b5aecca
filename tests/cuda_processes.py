"""The kinds of processes that tests of the cuda edition run in; the mark of each file in tests/cuda names its kind.

    simulator   NUMBA_ENABLE_CUDASIM=1: Numba's simulator runs every thread in Python
    ptx         NPSE_COMPILE_CUDA=1: kernels are compiled, none is run
    gpu         neither of them
"""

import os
import re
from pathlib import Path

import pytest

VARIABLES = {"simulator": "NUMBA_ENABLE_CUDASIM", "ptx": "NPSE_COMPILE_CUDA"}
KINDS = (*VARIABLES, "gpu")
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
