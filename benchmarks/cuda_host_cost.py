"""What the host does for the cuda edition, without a GPU: with a driver that does nothing, compiled from tests/.

    python benchmarks/cuda_host_cost.py [--model se_resnet20] [--batch-size 512]

It prints the time from the start of Python to the end of the first step, without and with kernels on disk, the launches
of a step, and the time of the host for each. It needs Linux, a C compiler, and the extra cuda.
"""

import argparse
import ctypes
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
STEPS, LAUNCHES = 10, 20_000


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", default="se_resnet20")
    parser.add_argument("--batch-size", type=int, default=512)
    parser.add_argument("--began", type=float, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.began:
        print(json.dumps(measure(options)))
        return
    with tempfile.TemporaryDirectory() as folder:
        subprocess.run(["cc", "-shared", "-fPIC", "-w", "-o", f"{folder}/libcuda.so.1",
                        ROOT / "tests" / "cuda_driver_stub.c", "-ldl"], check=True)
        variables = os.environ | {"LD_LIBRARY_PATH": folder, "NPSE_CACHE_DIR": folder, "PYTHONPATH": str(ROOT)}
        for kernels in ("none", "all"):
            ran = subprocess.run([sys.executable, __file__, "--began", str(time.time()), "--model", options.model,
                                  "--batch-size", str(options.batch_size)], env=variables, capture_output=True,
                                 text=True, check=True)
            print(f"{kernels} of the kernels on disk:")
            for what, number in json.loads(ran.stdout).items():
                print(f"  {what:<52}{number:>8.1f}")


def measure(options):
    """Return the numbers of one process, by their names."""
    import numpy as np

    from npse import backend, cuda, models
    from npse.cuda.runtime.copies import _copy
    from npse.cuda.runtime.device import launch
    from npse.training import SGD, Step

    launches = ctypes.c_int.in_dll(ctypes.CDLL("libcuda.so.1"), "stub_launches")
    with backend.using_edition(cuda):
        network = models.build(options.model, input_gradient=False).to_device()
        optimizer = SGD(network)
        optimizer.to_device()
        step = Step(network, optimizer, 0.1)
        x = cuda.to_device(np.zeros((options.batch_size, 32, 32, 3), np.float32))
        labels = np.zeros(options.batch_size, int)
        step.plain(x, labels, 0.1)
        found = {"first step, s after the start of Python": time.time() - options.began}
        launches.value, began = 0, time.perf_counter()
        for _ in range(STEPS):
            step.plain(x, labels, 0.1)
        microseconds = 1e6 * (time.perf_counter() - began)
        found |= {"launches of a step": launches.value / STEPS,
                  "us of a step for each launch, with layers and ops": microseconds / launches.value}
        few = cuda.to_device(np.zeros(16, np.float32))
        launch(_copy, 1, 256, few, few)
        began = time.perf_counter()
        for _ in range(LAUNCHES):
            launch(_copy, 1, 256, few, few)
        return found | {"us of a launch": 1e6 * (time.perf_counter() - began) / LAUNCHES}


if __name__ == "__main__":
    main()
