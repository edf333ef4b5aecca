"""Records the memory accesses of the threads of a CUDA kernel in Numba's simulator.

    record = trace(kernel, blocks, threads, x, y)      records any kernel, with NumPy arrays as arguments
    print(record)                                      prints counts, and one line for each finding
    draw(record)                                       draws the threads and the cells that they access
    trace_op("squeeze")                                records every kernel that an op of the cuda edition launches
    trace_variants("conv2d")                           does this for each variant of the op

Start Python with NUMBA_ENABLE_CUDASIM=1 in its environment. `npse trace` does that itself.
"""

from npse.trace.findings import Finding
from npse.trace.picture import draw
from npse.trace.record import KernelError, trace, trace_op, trace_variants
from npse.trace.report import Trace

__all__ = ["Finding", "KernelError", "Trace", "draw", "trace", "trace_op", "trace_variants"]
