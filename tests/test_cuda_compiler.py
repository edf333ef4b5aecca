"""Every kernel of the cuda edition, compiled: a file of its own, so that it runs beside the simulator's tests."""

import pytest
from test_cuda import _numba_cuda, succeed  # noqa: F401  the first is a fixture


@pytest.mark.slow
def test_every_kernel_compiles_for_every_compute_capability():
    succeed("NPSE_COMPILE_CUDA", "-m", "slow or not slow")
