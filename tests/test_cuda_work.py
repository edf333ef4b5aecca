"""The cuda edition at work in the simulator: awkward maps, training, the bench; it runs beside `test_cuda`."""

import pytest
from test_cuda import _numba_cuda, succeed  # noqa: F401  the first is a fixture


@pytest.mark.slow
def test_maps_training_and_the_bench_in_the_simulator():
    succeed("NUMBA_ENABLE_CUDASIM", "-m", "slow or not slow", "-k",
            "test_cuda_maps or test_cuda_training or test_cuda_bench")
