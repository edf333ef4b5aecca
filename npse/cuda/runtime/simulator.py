"""The runner for Numba's simulator: device arrays and launches of kernels. The one for a GPU is in gpu.py."""

import time

import numpy as np
from numba import cuda

from npse.cuda.runtime.vector_array import VectorArray


class Runner:
    """Runs kernels in the simulator. A kernel has finished when `launch` returns."""

    capability = None

    def empty(self, shape, dtype):
        """Return an uninitialized C-contiguous device array."""
        return cuda.device_array(shape, dtype)

    def to_device(self, array):
        """Copy a NumPy array to the device, C-contiguous."""
        return cuda.to_device(np.asarray(array, order="C"))

    def adopt(self, array):
        """Return a device array as kernels take it; None if it is not C-contiguous and must be copied."""
        return array if array.flags["C_CONTIGUOUS"] else None

    def address(self, array):
        """Return the address of the first element of an array."""
        return array.ctypes.data

    def vectors(self, array, lanes, shape):
        """Return a view of an array as an array of vectors; see `npse.cuda.runtime.device.vectors`."""
        numbers = getattr(array, "_ary", array)                   # the simulator's arrays have one of NumPy inside
        return VectorArray(numbers.reshape(*shape[:-1], shape[-1] * lanes), lanes)

    def launch(self, kernel, blocks, threads, *arguments):
        """Launch a kernel; see `npse.cuda.runtime.device.launch`."""
        kernel[blocks, threads](*arguments)

    def record(self, task):
        """Return a function that repeats ``task()``; see `npse.cuda.runtime.device.record`."""
        return task

    def synchronize(self):
        """Wait until all kernels and copies have finished."""
        cuda.synchronize()

    def memory(self):
        """Return the bytes of device memory in the memory pool; None if there is no pool."""
        return None

    def stopwatch(self, task):
        """Return the milliseconds that ``task()`` takes."""
        began = time.perf_counter()
        task()
        return 1e3 * (time.perf_counter() - began)
