"""The dense layer: the matrix products of the book, on one thread of the BLAS library."""

from npse import reference as book
from npse.cpu.runtime.blas import on_one_blas_thread

dense, dense_backward = map(on_one_blas_thread, (book.dense, book.dense_backward))
