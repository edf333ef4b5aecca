"""The slow tests of the cuda edition in the simulator; a process for each file."""

import pytest
from cuda_processes import marked, succeed


@pytest.mark.slow
@pytest.mark.parametrize("file", marked("simulator", "slow"), ids=lambda file: file.stem)
def test_all_of(file):
    succeed("simulator", "-m", "simulator and slow", file)
