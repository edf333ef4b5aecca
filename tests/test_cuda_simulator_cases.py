"""The cases of the judge in the simulator: each op of the cuda edition against the book."""

import pytest
from cuda_processes import FILES, succeed

FILE, = (file for file in FILES if file.stem == "test_cuda_cases")


@pytest.mark.parametrize("mark", [pytest.param(name, marks=getattr(pytest.mark, name)) for name in ("slow", "nightly")])
def test_all_cases(mark):
    succeed("simulator", "-m", f"simulator and {mark}", FILE)
