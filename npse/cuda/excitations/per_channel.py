"""One weight for each channel, on the device. Letters: as in the book."""

from npse import reference as book
from npse.cuda.runtime.arrays import flat, replaces
from npse.cuda.runtime.device import empty_like, kernel, launch
from npse.cuda.runtime.grid_stride import grid_for_elements, grid_stride
from npse.cuda.runtime.partial_sums import add_rows


@replaces(book.per_channel)
def per_channel(z, w, b=None):
    a = empty_like(z)
    launch(_per_channel, *grid_for_elements(z), flat(z), w, w if b is None else b, b is not None, flat(a))
    return a


@kernel
def _per_channel(z, w, b, biased, a):
    k, end, step = grid_stride(z.size)
    while k < end:
        c = k % w.size
        a[k] = w[c] * z[k] + b[c] if biased else w[c] * z[k]
        k += step


@replaces(book.per_channel_backward)
def per_channel_backward(da, z, w):
    dz, dw_parts = empty_like(z), empty_like(z)
    launch(_per_channel_backward, *grid_for_elements(z), flat(da), flat(z), w, flat(dz), flat(dw_parts))
    return dz, add_rows(dw_parts), add_rows(da)


@kernel
def _per_channel_backward(da, z, w, dz, dw_parts):
    k, end, step = grid_stride(z.size)
    while k < end:
        dz[k] = da[k] * w[k % w.size]
        dw_parts[k] = da[k] * z[k]
        k += step
