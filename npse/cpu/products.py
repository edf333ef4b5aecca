"""Ops that are matrix products and little else: the book's own, on one thread of the BLAS library.

They work on (N, C) numbers, a thousandth of the maps, where NumPy is as fast as a kernel. But a second BLAS thread that
helped looks out for more work for milliseconds afterwards, on the core that the kernels need by then.
"""

import functools

from npse import reference as book
from npse.cpu.arrays import replaces
from npse.cpu.threads import blas_on_one_thread


def _on_one_thread(op):
    @replaces(op)
    @functools.wraps(op)
    def chosen(*arguments, **options):
        with blas_on_one_thread():
            return op(*arguments, **options)
    return chosen


dense, dense_backward = map(_on_one_thread, (book.dense, book.dense_backward))
excite, excite_backward = map(_on_one_thread, (book.excite, book.excite_backward))
orthogonalise, muon = map(_on_one_thread, (book.orthogonalise, book.muon))
