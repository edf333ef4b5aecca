"""Muon's update: the book's own, its products by the BLAS library on one thread, so that no bit depends on how many."""

from npse import reference as book
from npse.cpu.arrays import replaces
from npse.cpu.threads import blas_on_one_thread


@replaces(book.orthogonalise)
def orthogonalise(u):
    with blas_on_one_thread():
        return book.orthogonalise(u)


@replaces(book.muon)
def muon(w, dw, v, lr, momentum=0.9, scale=1.0):
    with blas_on_one_thread():
        return book.muon(w, dw, v, lr, momentum, scale)
