"""The update step of Muon: the matrix products of the book, on one thread of the BLAS library."""

from npse import reference as book
from npse.cpu.runtime.blas import on_one_blas_thread

orthogonalize, muon = map(on_one_blas_thread, (book.orthogonalize, book.muon))
