"""Elementwise ops: a function of numbers, applied to arrays on all cores in one pass.

The function is made for a dtype, because a literal such as 0.5 would turn float32 into float64:

    def square(real):                         # real is np.float32 or np.float64
        @kernel
        def square(x):
            return real(1) * x * x
        return square

    y = elementwise(square, x)
"""

import functools

from npse.cpu.runtime.arrays import RANGE
from npse.cpu.runtime.jit import kernel
from npse.cpu.runtime.memory_pool import empty_like
from npse.cpu.runtime.parallel import parallel_for


def elementwise(make, x, *more):
    """Return make(type)(x[k], ...) for all elements k of one or two arrays of one shape and dtype."""
    y, loop = empty_like(x), _loops(make, x.dtype.type)[len(more)]
    flat = [array.reshape(-1) for array in (x, *more, y)]
    parallel_for(functools.partial(loop, *flat), x.size, RANGE)
    return y


@functools.cache
def _loops(make, real):
    """Return the kernels for functions of one number and of two."""
    of = make(real)

    @kernel
    def one(x, y, first, last):
        x, y = x[first:last], y[first:last]
        for k in range(len(y)):
            y[k] = of(x[k])

    @kernel
    def two(a, b, y, first, last):
        a, b, y = a[first:last], b[first:last], y[first:last]
        for k in range(len(y)):
            y[k] = of(a[k], b[k])

    return one, two
