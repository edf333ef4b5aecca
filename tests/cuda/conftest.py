"""Which process a CUDA test belongs to: a file of another one is not collected.

    the simulator's, NUMBA_ENABLE_CUDASIM=1           all files but these two:
    one that only compiles, NPSE_COMPILE_CUDA=1       test_cuda_ptx.py
    any other                                         test_cuda_gpu.py, with -m gpu

tests/test_cuda.py starts the first two.
"""

import os

if os.environ.get("NUMBA_ENABLE_CUDASIM") == "1":
    HERE = "simulator"
elif os.environ.get("NPSE_COMPILE_CUDA") == "1":
    HERE = "ptx"
else:
    HERE = "gpu"


def pytest_ignore_collect(collection_path, config):
    name = collection_path.stem.removeprefix("test_cuda_")
    belongs = name if name in ("gpu", "ptx") else "simulator"
    return True if collection_path.suffix == ".py" and belongs != HERE else None
