"""The rest of the cuda edition's tests, in a file of its own, so that it runs beside `test_cuda`."""

import pytest
from test_cuda import _numba_cuda, succeed  # noqa: F401  the first is a fixture


@pytest.mark.slow
def test_every_kernel_compiles_for_every_compute_capability():
    succeed("NPSE_COMPILE_CUDA", "-m", "slow or not slow")


@pytest.mark.slow
def test_the_ladder_of_the_convolution_and_traces_in_the_simulator():
    succeed("NUMBA_ENABLE_CUDASIM", "-m", "slow or not slow", "-k", "test_cuda_conv or test_cuda_trace")
