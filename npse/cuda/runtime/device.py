"""The one place that knows numba.cuda: whether it can run here, memory for results, and the launch of a kernel.

Three things can stand behind these functions: a GPU; Numba's simulator, which runs a kernel thread by thread in Python
(NUMBA_ENABLE_CUDASIM=1, set before Python starts); and, for computers without a GPU, a compiler that runs nothing
(`npse.cuda.runtime.ptx`).
"""

import functools

import numpy as np
from numba import config, cuda

from npse.cuda.runtime import limits
from npse.cuda.runtime.simulator import Runner
from npse.support import nvidia_driver
from npse.support.arithmetic import ceil_div

SIMULATED = bool(config.ENABLE_CUDASIM)
BLOCK_THREADS = 16 if SIMULATED else 256  # threads of a block; the simulator makes a Python thread of each

kernel = cuda.jit
device_function = cuda.jit(device=True)


def _present():
    if SIMULATED:
        return Runner()
    from npse.cuda.runtime.gpu import Gpu  # imports what the simulator lacks

    return Gpu()


_runner = _present()


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
    is too, at a small fraction of the speed. ValueError if the grid or the blocks are too large for a GPU, whatever
    runs here.
    """
    _expect_grid(kernel, blocks, threads)
    _runner.launch(kernel, blocks, threads, *arguments)


@functools.cache                           # a step launches the same kernels in the same sizes, over and over
def _expect_grid(kernel, blocks, threads):
    limits.expect_grid(kernel.__name__.lstrip("_"), blocks, threads)


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
    return _runner.to_host(value) if is_device_array(value) else value


def record(task):
    """Return a function that does again what ``task()`` starts on the device, in one call and without waiting.

    Recording runs nothing, so ``task`` must have run before, when its kernels were compiled. The kernels recorded read
    and write the same arrays each time: what is to come or to stay is copied (`copies.copy`) from and to arrays made
    before. RuntimeError if ``task`` needs the host on its way.
    """
    return _runner.record(task)


def blocks_for(numbers):
    """Number of blocks that give every element of a list a thread of its own."""
    return ceil_div(numbers, BLOCK_THREADS)


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
def why_unavailable():
    """Say in one line what is missing to run kernels here and how to get it; None if nothing is."""
    if SIMULATED:
        return None
    if lacking := nvidia_driver.why_unavailable():
        return lacking
    try:
        cuda.current_context()
        cuda.runtime.get_version()         # loads the compiler's library
        complete = cuda.is_available()
    except Exception as error:             # of the driver, of Numba, of the bindings: they share no base
        return (f"the cuda edition cannot run: {' '.join(str(error).split())}; nvidia-smi shows what holds it; "
                f"for the libraries that are needed, run: {nvidia_driver.install()}")
    return None if complete else f"Numba lacks a library of CUDA; run: {nvidia_driver.install()}"
