"""Ops that are matrix products and little else: the book's own, on one thread of the BLAS library.

They work on few elements, or are large enough for the library to be as fast as a kernel. More than one BLAS thread
would cost time: an idle one polls for work for milliseconds afterwards, on the core that the kernels need by then.
"""

import functools

from npse.cpu.runtime.arrays import replaces
from npse.cpu.runtime.parallel import blas_on_one_thread


def on_one_blas_thread(op):
    """Return the op of the book, run on one thread of the BLAS library."""
    @replaces(op)
    @functools.wraps(op)
    def chosen(*arguments, **options):
        with blas_on_one_thread():
            return op(*arguments, **options)
    return chosen
