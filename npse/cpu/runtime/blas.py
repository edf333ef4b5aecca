"""Ops that consist mainly of matrix products: the ops of the book, on one thread of the BLAS library.

They work on few elements, or on so many that the library is as fast as a kernel. More BLAS threads would cost time:
after its work a BLAS thread polls for milliseconds, on a core that the kernels need.
"""

import functools

from npse.cpu.runtime.arrays import replaces
from npse.cpu.runtime.parallel import blas_on_one_thread


def on_one_blas_thread(op):
    """Return an op that runs the book's op on one thread of the BLAS library."""
    @replaces(op)
    @functools.wraps(op)
    def chosen(*arguments, **options):
        with blas_on_one_thread():
            return op(*arguments, **options)
    return chosen
