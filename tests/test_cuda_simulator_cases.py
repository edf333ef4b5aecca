"""The cases of the judge in the simulator: each op of the cuda edition against the book."""

import pytest
from cuda_processes import FILES, succeed


@pytest.mark.slow
@pytest.mark.parametrize("file", [file for file in FILES if file.stem == "test_cuda_cases"],
                         ids=lambda file: file.stem)
def test_all_of(file):
    succeed("simulator", "-m", "simulator", file)
