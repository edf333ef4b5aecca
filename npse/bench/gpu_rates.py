"""The best rates of this device, and the time that it takes for a task.

The rate of copying (every number is read once and written once) limits ops that are bound by memory. The rate of
multiply-adds in registers limits ops that are bound by arithmetic without tensor cores. Both use float32.
"""

from numba import cuda

from npse.cuda.runtime.copies import copy
from npse.cuda.runtime.device import (
    BLOCK_THREADS,
    SIMULATED,
    device_function,
    empty,
    is_device_array,
    kernel,
    launch,
    record,
    stopwatch,
)

COPIES = 4                                # numbers that a thread copies; their reads overlap
ROUNDS = 1 if SIMULATED else 512
ADDS = 128                                # multiply-adds of a thread in a round
COPIED = 2**7 if SIMULATED else 2**26     # numbers: 256 MiB, more than the caches of any device hold
ADDERS = 2 if SIMULATED else 4096         # blocks of the multiply-adds
REPEATS = 20
CALLS = 1 if SIMULATED else 10            # of an op in a recording, at least
CACHES = 1 if SIMULATED else 2**28        # bytes, more than the caches of any device hold
COPIES_OF_ARGUMENTS = 64                  # at most


def copy_rate():
    """Return the rate in GB/s of the fastest of a few copies of 256 MiB; bytes read and bytes written both count."""
    x, y = _field(), _field()
    return 2e-9 * x.nbytes / _least(lambda: launch(_copy, _blocks(x), BLOCK_THREADS, x, y))


def multiply_add_rate():
    """Return the rate in GFLOP/s of the fastest of a few runs; a multiply-add counts as two operations."""
    y = empty((ADDERS * BLOCK_THREADS,), "float32")
    operations = 2 * y.size * ADDS * ROUNDS
    return 1e-9 * operations / _least(lambda: launch(_multiply_add, ADDERS, BLOCK_THREADS, y))


def seconds(task):
    """Return how many seconds the device takes for the kernels that ``task()`` starts; no argument is in its caches.

    First a kernel fills the caches with other data. While it runs, the host already starts the kernels of the task, so
    the time to start them is not counted. If the task has many kernels, a part of that time may be counted.
    """
    field = _field()
    launch(_zero, _blocks(field), BLOCK_THREADS, field)
    return 1e-3 * stopwatch(task)


def repeated(op, arguments):
    """Return a function that calls an op again and again without waiting for the host, and the number of its calls.

    The calls are recorded once, so that the device is timed and not the host. They take turns over several copies of
    the arrays, which together are larger than the device's caches. An op that cannot be recorded, because it copies to
    the host, is called once.
    """
    size = sum(value.nbytes for value in arguments if is_device_array(value))
    copies = [tuple(map(_copy_of, arguments)) for _ in range(max(1, min(COPIES_OF_ARGUMENTS, CACHES // max(size, 1))))]
    calls = [copies[k % len(copies)] for k in range(max(CALLS, len(copies)))]
    if not SIMULATED:
        op(*arguments)                        # compiles
    try:
        return record(lambda: [op(*call) for call in calls]), len(calls)
    except RuntimeError:
        return lambda: op(*arguments), 1


def _copy_of(value):
    if not is_device_array(value):
        return value
    copied = empty(value.shape, value.dtype)
    copy(value, copied)
    return copied


def _least(task):
    return min(seconds(task) for _ in range(REPEATS))


def _field():
    return empty((COPIED,), "float32")


def _blocks(x):
    return x.size // (COPIES * BLOCK_THREADS)


@kernel
def _copy(x, y):
    width = cuda.blockDim.x
    i = cuda.blockIdx.x * COPIES * width + cuda.threadIdx.x      # the grid is exactly as large as x: no bounds check
    a, b, c, d = x[i], x[i + width], x[i + 2 * width], x[i + 3 * width]
    y[i], y[i + width], y[i + 2 * width], y[i + 3 * width] = a, b, c, d


@kernel
def _zero(y):
    width = cuda.blockDim.x
    i = cuda.blockIdx.x * COPIES * width + cuda.threadIdx.x
    for k in range(COPIES):
        y[i + k * width] = y.dtype.type(0)


@kernel
def _multiply_add(y):
    i = cuda.blockIdx.x * cuda.blockDim.x + cuda.threadIdx.x
    factor, term = y.dtype.type(0.5), y.dtype.type(i)
    a, b, c, d = term, term + factor, term - factor, -term       # four sums that are independent of each other
    for _ in range(ROUNDS):
        for _ in range(8):                # the body is unrolled, because a loop counter takes time too
            a, b, c, d = _step(a, b, c, d, factor, term)
            a, b, c, d = _step(a, b, c, d, factor, term)
            a, b, c, d = _step(a, b, c, d, factor, term)
            a, b, c, d = _step(a, b, c, d, factor, term)
    y[i] = a + b + c + d


@device_function
def _step(a, b, c, d, factor, term):
    return a * factor + term, b * factor + term, c * factor + term, d * factor + term
