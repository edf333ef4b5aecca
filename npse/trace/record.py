"""Run a kernel, or an op and all kernels that it launches, and record every memory access of its threads."""

import inspect

import numpy as np
from numba import cuda

import npse.cuda
from npse.cuda.conv import VARIANTS
from npse.cuda.runtime import device
from npse.cuda.runtime.limits import expect_grid
from npse.cuda.runtime.vector_array import VectorArray
from npse.support import nvidia_driver
from npse.trace.access_log import AccessLog, CountedVectors
from npse.trace.examples import example
from npse.trace.report import Trace


class KernelError(ValueError):
    """Raised if a kernel raises an error while it is traced. The message contains that error."""


def trace(kernel, blocks, threads, *arguments, name=None):
    """Run a kernel in the simulator and record every read and write of its threads.

    Parameters
    ----------
    kernel : function
        With or without the decorator ``cuda.jit``.
    blocks, threads : int or tuple of up to three int
        The grid, as in ``kernel[blocks, threads]``.
    *arguments
        NumPy arrays or device arrays, which the kernel may change, and scalars. Use small arrays: the simulator runs
        every thread in Python.
    name : str, optional
        Name of the trace; by default the name of the function.

    Returns
    -------
    Trace

    Raises
    ------
    ImportError
        numba-cuda or greenlet is not installed. (The simulator in Numba itself is too old.)
    RuntimeError
        Python was not started with NUMBA_ENABLE_CUDASIM=1.
    ValueError
        The kernel takes another number of arguments, or the grid is larger than a GPU allows.
    KernelError
        The kernel raises an error. A `KernelError` is a ValueError.

    Examples
    --------
    >>> @cuda.jit
    ... def double(x, y):
    ...     i = cuda.grid(1)
    ...     y[i] = 2 * x[i]
    >>> record = trace(double, 1, 8, np.ones(8), np.zeros(8))
    >>> record.reads("x")
    array([1, 1, 1, 1, 1, 1, 1, 1])
    """
    if lacking := nvidia_driver.without_numba_cuda("npse.trace"):
        raise ImportError(lacking)
    if not device.SIMULATED:
        raise RuntimeError("tracing needs the simulator: start Python with NUMBA_ENABLE_CUDASIM=1 in its environment")
    function = getattr(kernel, "py_func", kernel)
    name = name or function.__name__
    parameters = list(inspect.signature(function).parameters)
    if len(parameters) != len(arguments):
        raise ValueError(f"{name} takes {len(parameters)} arguments ({', '.join(parameters)}), "
                         f"but {len(arguments)} are given")
    log = AccessLog(function.__code__.co_filename)
    watched = [_watched(log, parameter, argument) for parameter, argument in zip(parameters, arguments, strict=True)]
    grid = _three(name, "blocks", blocks), _three(name, "threads", threads)
    expect_grid(name, *grid)
    with log.replacing_the_simulators():
        try:
            cuda.jit(function)[grid](*watched)
        except Exception as error:
            raise KernelError(f"{name} raises {type(error).__name__}: {error}") from error
    return Trace(name, *grid, log)


def trace_op(op, *arguments, **options):
    """Call an op of the cuda edition and record each kernel that it launches.

    Parameters
    ----------
    op : function or str
        A function of the edition, or its name.
    *arguments, **options
        Arguments of the op. If ``op`` is a name and there are none, they come from `npse.trace.examples`.

    Returns
    -------
    list of Trace
        Empty if the op has no kernel and runs on the host.
    """
    if isinstance(op, str):
        options = options if arguments or options else example(op)
        op = getattr(npse.cuda, op)
    recorder = _Recorder()
    before = device.use(recorder)
    try:
        op(*arguments, **options)
    finally:
        device.use(before)
    return recorder.traces


def trace_variants(op):
    """Record an op of the cuda edition in each variant up to the limit, the slowest first. Most ops have one variant.

    Parameters
    ----------
    op : str
        Name of the op. Its arguments come from `npse.trace.examples`.

    Returns
    -------
    list of Trace
        Empty if the op has no kernel and runs on the host.
    """
    arguments = example(op)
    variants = {name: getattr(VARIANTS[name], op) for name in VARIANTS.up_to_limit() if hasattr(VARIANTS[name], op)}
    traces = []
    for name, variant in variants.items():
        found = trace_op(variant, **arguments)
        for one in found:
            one.name = f"{op}, {name}" + (f": {one.name}" if len(found) > 1 else "")
        traces += found
    return traces or trace_op(op)


class _Recorder(device.Runner):
    """Runs kernels in the simulator and records them."""

    def __init__(self):
        self.traces = []

    def launch(self, kernel, blocks, threads, *arguments):
        self.traces.append(trace(kernel, blocks, threads, *arguments, name=kernel.__name__.lstrip("_")))


def _watched(log, name, argument):
    """Return what a kernel gets in place of an argument: an array that logs each access, or a number as it is."""
    if isinstance(argument, VectorArray):
        return CountedVectors(log.watch(name, "global", argument.numbers), argument.dtype)
    values = argument if isinstance(argument, np.ndarray) else getattr(argument, "_ary", None)
    return argument if values is None else log.watch(name, "global", values)


def _three(name, what, sizes):
    sizes = tuple(map(int, np.atleast_1d(sizes)))
    limit = 1024 if what == "threads" else 2**31 - 1
    if not 1 <= len(sizes) <= 3 or min(sizes) < 1 or np.prod(sizes) > limit:
        raise ValueError(f"{name}: {what} must be one to three numbers from 1, {limit} in all at most, but are {sizes}")
    return sizes + (1,) * (3 - len(sizes))
