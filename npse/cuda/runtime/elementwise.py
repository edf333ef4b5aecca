"""Elementwise ops: a function of numbers, applied to all elements in a grid-stride loop.

The function is made for a dtype, because a literal such as 0.5 would make the arithmetic float64:

    def half(real):                           # real is np.float32 or np.float64
        @device_function
        def half(x):
            return real(0.5) * x
        return half

    y = elementwise(half, x)
"""

import functools

from npse.cuda.runtime.device import empty_like, kernel
from npse.cuda.runtime.grid_stride import grid_stride
from npse.cuda.runtime.vectors import lanewise, launch_over_elements


def elementwise(make, x, *more):
    """Return make(type)(x[k], ...) for all elements k of one or two device arrays of one shape and dtype."""
    y = empty_like(x)
    launch_over_elements(_loops(make, x.dtype.type)[len(more)], x, *more, y)
    return y


@functools.cache
def _loops(make, real):
    """Return the kernels for functions of one number and of two."""
    of = lanewise(make(real))

    @kernel
    def one(x, y):
        k, end, step = grid_stride(y.size)
        while k < end:
            y[k] = of(x[k])
            k += step

    @kernel
    def two(a, b, y):
        k, end, step = grid_stride(y.size)
        while k < end:
            y[k] = of(a[k], b[k])
            k += step

    return one, two
