"""Ops that are matrix products and little else: the book's own, on one thread of the BLAS library.

They work on few numbers, or are large enough for the library to be as fast as a kernel. But a second BLAS thread that
helped looks out for more work for milliseconds afterwards, on the core that the kernels need by then.
"""

import functools

from npse import reference as book
from npse.cpu.arrays import replaces
from npse.cpu.threads import blas_on_one_thread


def on_one_blas_thread(op):
    """The op as it is, but for the threads."""
    @replaces(op)
    @functools.wraps(op)
    def chosen(*arguments, **options):
        with blas_on_one_thread():
            return op(*arguments, **options)
    return chosen


dense, dense_backward = map(on_one_blas_thread, (book.dense, book.dense_backward))
orthogonalise, muon = map(on_one_blas_thread, (book.orthogonalise, book.muon))
