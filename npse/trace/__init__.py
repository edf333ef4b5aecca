"""Memory accesses of the threads of a CUDA kernel, recorded in Numba's simulator.

    record = trace(kernel, blocks, threads, x, y)      any kernel, with NumPy arrays for its arguments
    print(record)                                      counts, and one line for each finding
    draw(record)                                       a figure of threads and the cells they access
    trace_op("squeeze")                                every kernel that an op of the cuda edition launches
    draw(*trace_variants("conv2d"))                      ... in each of its variants

Python must have been started with NUMBA_ENABLE_CUDASIM=1; `npse trace` sees to that itself.
"""

from npse.trace.findings import Finding
from npse.trace.picture import draw
from npse.trace.record import KernelError, trace, trace_op, trace_variants
from npse.trace.report import Trace

__all__ = ["Finding", "KernelError", "Trace", "draw", "trace", "trace_op", "trace_variants"]
