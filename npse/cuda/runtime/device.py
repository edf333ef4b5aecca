"""Device arrays, launches of kernels, and the check whether kernels can run on this computer.

A runner does the work of these functions. There are three: the GPU (`npse.cuda.runtime.gpu`); Numba's simulator, which
runs a kernel thread by thread in Python (NUMBA_ENABLE_CUDASIM=1, set before Python starts); and a compiler for
computers without a GPU, which compiles kernels and does not run them (`npse.cuda.runtime.ptx`).
"""

import functools

import numpy as np
from numba import config, cuda

from npse.cuda.runtime import limits
from npse.cuda.runtime.simulator import Runner
from npse.support import nvidia_driver
from npse.support.arithmetic import ceil_div

SIMULATED = bool(config.ENABLE_CUDASIM)
BLOCK_THREADS = 16 if SIMULATED else 256  # threads of a block; the simulator runs each one in Python

kernel = cuda.jit
device_function = cuda.jit(device=True)


def _present():
    if SIMULATED:
        from npse.cuda.runtime import simulated_threads  # needs the simulator

        simulated_threads.use()
        return Runner()
    from npse.cuda.runtime.gpu import Gpu  # imports modules that the simulator does not have

    return Gpu()


_runner = _present()


def use(runner):
    """Set the runner that the functions of this file use. Return the previous one."""
    global _runner
    before, _runner = _runner, runner
    return before


def empty(shape, dtype):
    """Return an uninitialized C-contiguous device array."""
    return _runner.empty(tuple(shape), np.dtype(dtype))


def empty_like(array):
    """Return an uninitialized device array with the shape and dtype of ``array``."""
    return empty(array.shape, array.dtype)


def launch(kernel, blocks, threads, *arguments):
    """Launch ``kernel``.

    Parameters
    ----------
    kernel : kernel
    blocks, threads : int or tuple of up to three int
        Size of the grid in blocks, and of a block in threads.
    *arguments
        Arrays and numbers. Numbers should be NumPy scalars of the arrays' dtype (`scalar`): a Python float makes the
        arithmetic float64, which is much slower.

    Raises
    ------
    ValueError
        The grid or its blocks are too large for a GPU. The simulator raises this error too.
    """
    _expect_grid(kernel, blocks, threads)
    _runner.launch(kernel, blocks, threads, *arguments)


@functools.cache                           # each training step launches the same kernels in the same sizes
def _expect_grid(kernel, blocks, threads):
    limits.expect_grid(kernel.__name__.lstrip("_"), blocks, threads)


def scalar(value, array):
    """Return a number as a NumPy scalar with the dtype of ``array``, as an argument of a kernel."""
    return array.dtype.type(value)


def is_device_array(value):
    """Return whether a value is a device array."""
    return hasattr(value, "__cuda_ndarray__")


def to_device(array):
    """Copy a NumPy array to the device, C-contiguous. Return a C-contiguous device array as it is.

    A device array of Numba is seen in its own memory, without a copy, if it is C-contiguous.
    """
    if is_device_array(array):
        here = _runner.adopt(array)
        return _runner.to_device(array.copy_to_host()) if here is None else here
    return _runner.to_device(np.asarray(array))


def address(array):
    """Return the address of the first element of a device array."""
    return _runner.address(array)


def vectors(array, lanes, shape):
    """Return a view of an array as ``shape`` vectors, see `npse.cuda.runtime.vectors`; as numbers if ``lanes`` is 1."""
    return _runner.vectors(array, lanes, shape) if lanes > 1 else array.reshape(shape)


def to_host(value):
    """Wait for the kernels and copy a device array, or a tuple of them, to NumPy. Return other values as they are."""
    if isinstance(value, tuple):
        return tuple(map(to_host, value))
    return value.copy_to_host() if is_device_array(value) else value


def record(task):
    """Record the kernels that ``task()`` launches. Return a function that launches them all again in one call.

    The function returns before the kernels have run. Call ``task()`` once before you record it, so that its kernels are
    compiled: recording runs no kernel. The recorded kernels use the same arrays each time. To give them new values, or
    to keep their results, copy from and to arrays made before the recording (`copies.copy`).

    Raises
    ------
    RuntimeError
        ``task`` copies between host and device.
    """
    return _runner.record(task)


def blocks_for(numbers):
    """Return the number of blocks that have one thread for each of ``numbers`` elements."""
    return ceil_div(numbers, BLOCK_THREADS)


def synchronize():
    """Wait until all kernels and copies on the device have finished."""
    _runner.synchronize()


def memory():
    """Return the bytes of device memory in the memory pools of this process; None in the simulator."""
    return _runner.memory()


def capability():
    """Return the compute capability of the GPU, such as (9, 0); None in the simulator."""
    return _runner.capability


def stopwatch(task):
    """Return the milliseconds that the device takes for the work that ``task()`` starts, by the clock of the device."""
    return _runner.stopwatch(task)


@functools.cache
def why_unavailable():
    """Return one line that says what is missing to run kernels here and how to get it; None if nothing is missing."""
    if SIMULATED:
        return None
    if lacking := nvidia_driver.why_unavailable():
        return lacking
    try:
        cuda.current_context()
        cuda.runtime.get_version()         # loads the compiler's library
        complete = cuda.is_available()
    except Exception as error:             # errors of the driver, of Numba and of the bindings have no common base
        return (f"the cuda edition cannot run: {' '.join(str(error).split())}; nvidia-smi shows which processes use "
                f"the GPU; for the libraries that are needed, run: {nvidia_driver.install()}")
    return None if complete else f"Numba lacks a library of CUDA; run: {nvidia_driver.install()}"
