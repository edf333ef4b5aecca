"""The slow tests of the cuda edition in the simulator, except the cases of the judge; a process for each file."""

import pytest
from cuda_processes import marked, succeed

CASES = "test_cuda_cases"        # in test_cuda_simulator_cases.py


@pytest.mark.slow
@pytest.mark.parametrize("file", [file for file in marked("simulator", "slow") if file.stem != CASES],
                         ids=lambda file: file.stem)
def test_all_of(file):
    succeed("simulator", "-m", "simulator and slow", file)
