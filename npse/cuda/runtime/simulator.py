"""What gives memory and runs kernels behind device.py: here Numba's simulator; gpu.py does it for a GPU."""

import time

import numpy as np
from numba import cuda


class Runner:
    """The simulator: what is started has run when the call returns."""

    def empty(self, shape, dtype):
        """Return an uninitialised C-contiguous device array."""
        return cuda.device_array(shape, dtype)

    def to_device(self, array):
        """Return a C-contiguous copy of a NumPy array on the device."""
        return cuda.to_device(np.asarray(array, order="C"))

    def to_host(self, array):
        """Return a device array as a NumPy array, once the kernels that write it have run."""
        return array.copy_to_host()

    def launch(self, kernel, blocks, threads, *arguments):
        """Start a kernel."""
        kernel[blocks, threads](*arguments)

    def record(self, task):
        """Return a function that does again what ``task()`` starts; see `npse.cuda.runtime.device.record`."""
        return task

    def synchronize(self):
        """Wait until everything started has run."""
        cuda.synchronize()

    def memory(self):
        """Return the bytes of the device that this process holds for arrays; None if they are not counted."""
        return None

    def stopwatch(self, task):
        """Return the milliseconds that ``task()`` takes."""
        began = time.perf_counter()
        task()
        return 1e3 * (time.perf_counter() - began)
