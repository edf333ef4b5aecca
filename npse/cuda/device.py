"""The one place that knows numba.cuda: whether it can run here, memory for results, and the launch of a kernel.

Three things can stand behind these functions: a GPU; Numba's simulator, which runs a kernel thread by thread in Python
(NUMBA_ENABLE_CUDASIM=1, set before Python starts); and, for computers without a GPU, a compiler that runs nothing
(`npse.cuda.ptx`).
"""

import functools
import math
import time

import numpy as np
from numba import config, cuda

from npse import gpu
from npse.cuda.buffers import Shelf

SIMULATED = bool(config.ENABLE_CUDASIM)
if not SIMULATED:                         # the simulator has no memory of its own
    from numba.cuda.cudadrv.devicearray import DeviceNDArray
    from numba.cuda.cudadrv.driver import CudaAPIError

config.CUDA_LOW_OCCUPANCY_WARNINGS = 0    # a gate of a few numbers needs no hundred blocks
BLOCK = 16 if SIMULATED else 256          # threads of a block; the simulator makes a Python thread of each

kernel = cuda.jit
device_function = cuda.jit(device=True)


class Runner:
    """What gives memory and runs kernels; this one is the simulator."""

    def empty(self, shape, dtype):
        """Return an uninitialised C-contiguous device array."""
        return cuda.device_array(shape, dtype)

    def to_device(self, array):
        """Return a C-contiguous copy of a NumPy array on the device."""
        return cuda.to_device(np.asarray(array, order="C"))

    def launch(self, kernel, blocks, threads, *arguments):
        """Start a kernel; on a GPU the call returns before it has run."""
        kernel[blocks, threads](*arguments)

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


class Gpu(Runner):
    """The GPU: one queue for kernels and copies, and memory that is asked of the driver only once."""

    def __init__(self):
        self._shelf = Shelf(self._memory)

    def empty(self, shape, dtype):
        size = math.prod(shape) * dtype.itemsize
        block, give_back = self._shelf.take(size)
        # Numba's own array, on borrowed memory: the loan ends with the last array that refers to it
        loan = cuda.MemoryPointer(self._context, block.device_pointer, size, finalizer=give_back)
        return DeviceNDArray(shape, _strides(shape, dtype.itemsize), dtype, gpu_data=loan)

    def to_device(self, array):
        copy = self.empty(array.shape, array.dtype)
        # with a stream the copy takes its place in the queue; without, the call would wait for every kernel before it
        copy.copy_to_device(np.asarray(array, order="C"), stream=self._queue)
        return copy

    def launch(self, kernel, blocks, threads, *arguments):
        _configured(kernel, blocks, threads)(*arguments)

    def memory(self):
        return self._shelf.size

    def stopwatch(self, task):
        begin, end = cuda.event(), cuda.event()
        begin.record()
        task()
        end.record()
        end.synchronize()
        return begin.elapsed_time(end)

    @functools.cached_property
    def _context(self):
        return cuda.current_context()

    @functools.cached_property
    def _queue(self):
        return cuda.default_stream()

    def _memory(self, size):
        try:
            return self._context.memalloc(size)
        except CudaAPIError as error:
            if "OUT_OF_MEMORY" not in str(error):
                raise
            free, total = self._context.get_memory_info()
            raise MemoryError(
                f"the GPU's memory is full: {size / 1e6:.0f} MB more are needed, {free / 1e6:.0f} of "
                f"{total / 1e6:.0f} MB are free; lower --batch-size, or end what else runs on it") from error


@functools.cache
def _strides(shape, itemsize):
    return tuple(itemsize * math.prod(shape[axis + 1:]) for axis in range(len(shape)))


@functools.cache
def _configured(kernel, blocks, threads):
    return kernel[blocks, threads]         # Numba keeps these too, but forgets them after 128


_runner = Runner() if SIMULATED else Gpu()


def use(runner):
    """Let another runner stand behind `empty`, `to_device` and `launch`; return the one before."""
    global _runner
    before, _runner = _runner, runner
    return before


def empty(shape, dtype):
    """Return an uninitialised C-contiguous device array."""
    return _runner.empty(tuple(shape), np.dtype(dtype))


def empty_like(array):
    """Return an uninitialised device array of the shape and dtype of another."""
    return empty(array.shape, array.dtype)


def launch(kernel, blocks, threads, *arguments):
    """Start ``kernel`` on a grid of ``blocks`` of ``threads``, each an int or a tuple of up to three.

    Scalars should be NumPy scalars of the arrays' dtype (`scalar`): a Python float is a float64, and arithmetic with it
    is too, at a small fraction of the speed.
    """
    _runner.launch(kernel, blocks, threads, *arguments)


def scalar(value, array):
    """Return a number as a scalar of the array's dtype, for a kernel."""
    return array.dtype.type(value)


def is_device_array(value):
    """Whether a value is an array that lies on the device."""
    return hasattr(value, "__cuda_ndarray__")


def to_device(array):
    """Return a NumPy array's copy on the device, C-contiguous; a device array as it is, if it is C-contiguous."""
    if is_device_array(array):
        return array if array.flags["C_CONTIGUOUS"] else _runner.to_device(to_host(array))
    return _runner.to_device(np.asarray(array))


def to_host(value):
    """Return a device array as a NumPy array, a tuple of them as a tuple; anything else as it is. Waits for kernels."""
    if isinstance(value, tuple):
        return tuple(map(to_host, value))
    return value.copy_to_host() if is_device_array(value) else value


def blocks_for(numbers):
    """Number of blocks that give every element of a list a thread of its own."""
    return -(-numbers // BLOCK)


def synchronize():
    """Wait until everything started on the device has run."""
    _runner.synchronize()


def memory():
    """Return the bytes of the device that this process holds for arrays; None in the simulator."""
    return _runner.memory()


def stopwatch(task):
    """Return the milliseconds that the device takes for what ``task()`` starts, from its own clock."""
    return _runner.stopwatch(task)


@functools.cache
def missing():
    """Say in one line what is missing to run kernels here and how to get it; None if nothing is."""
    if SIMULATED:
        return None
    if lacking := gpu.missing():
        return lacking
    try:
        cuda.current_context()
        cuda.runtime.get_version()         # loads the compiler's library
    except Exception as error:             # of the driver, of Numba, of the bindings: they share no base
        return (f"{gpu.name()} cannot be used: {' '.join(str(error).split())}; nvidia-smi shows what holds it, and "
                f"{gpu.EXTRAS} brings the libraries that are needed")
    return None if cuda.is_available() else f"Numba lacks a library of CUDA; run: {gpu.EXTRAS}"
