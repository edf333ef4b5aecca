"""A dense layer for each group of channels, on the device: a thread computes one element. Letters: as in the book."""

from npse import reference as book
from npse.cuda.runtime.arrays import flat, replaces
from npse.cuda.runtime.device import empty, empty_like, kernel, launch
from npse.cuda.runtime.grid_stride import grid_for_elements, grid_stride
from npse.cuda.runtime.partial_sums import add_rows


@replaces(book.grouped_dense)
def grouped_dense(z, w, b=None):
    a = empty((z.shape[0], w.shape[0], w.shape[1]), z.dtype)
    launch(_forward, *grid_for_elements(a), z, w, flat(w if b is None else b), b is not None, flat(a))
    return a


@kernel
def _forward(z, w, b, biased, a):
    G, M, D = w.shape
    i, end, step = grid_stride(a.size)
    while i < end:
        n, g, m = i // (G * M), i // M % G, i % M
        total = b[i % (G * M)] if biased else z.dtype.type(0)
        for d in range(D):
            total += z[n, g, d] * w[g, m, d]
        a[i] = total
        i += step


@replaces(book.grouped_dense_backward)
def grouped_dense_backward(da, z, w):
    G, M, _ = w.shape
    dz, dw = empty_like(z), empty_like(w)
    launch(_backward_z, *grid_for_elements(dz), da, w, flat(dz))
    launch(_backward_w, *grid_for_elements(dw), da, z, flat(dw))
    return dz, dw, add_rows(da.reshape(da.shape[0], G * M)).reshape(G, M)


@kernel
def _backward_z(da, w, dz):
    G, M, D = w.shape
    i, end, step = grid_stride(dz.size)
    while i < end:
        n, g, d = i // (G * D), i // D % G, i % D
        total = da.dtype.type(0)
        for m in range(M):
            total += da[n, g, m] * w[g, m, d]
        dz[i] = total
        i += step


@kernel
def _backward_w(da, z, dw):
    N, M, D = da.shape[0], da.shape[2], z.shape[2]
    i, end, step = grid_stride(dw.size)
    while i < end:
        g, m, d = i // (M * D), i // D % M, i % D
        total = da.dtype.type(0)
        for n in range(N):
            total += da[n, g, m] * z[n, g, d]
        dw[i] = total
        i += step
