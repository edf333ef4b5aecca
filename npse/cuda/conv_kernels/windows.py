"""The windows of a block: which pixels it takes, and where their windows are in the patch in shared memory.

The kernels of the variants "register" and "tensor" share it: `finder` is for y and dx, `find_for_dw` for dw.
"""

import functools

import numpy as np
from numba import cuda

from npse.cuda.conv_kernels.patches import locate, place_in
from npse.cuda.conv_kernels.phases import seen_by_dx, seen_by_y
from npse.cuda.runtime.device import device_function


@device_function
def side(windows, taps, step):
    """Return one side of the patch of so many windows: from a window to the next, between two pixels, and all pixels.

    With one tap, the pixels between two windows are not used, so they are left out of the patch.
    """
    stride, between = (step, 1) if taps > 1 else (1, step)
    return stride, between, np.int32((windows - 1) * stride + max(taps, 1))


@device_function
def start_of(m, box, stride_h, stride_w, patch_h, patch_w):
    """Return where in the patch the window of pixel m of the box begins; 0 beyond the box."""
    n, h, w = place_in(m, box.h, box.w)
    return (n * patch_h + h * stride_h) * patch_w + w * stride_w if n < box.n else 0


@device_function
def find_for_dw(number, g, box, between_h, between_w, patch_h, patch_w, source, target):
    """Fill the tables ``source`` and ``target`` for the box of this number of dy; see `finder`."""
    n0, h0, w0 = place_in(number, box.down, box.across)
    n0, h0, w0 = n0 * box.n, h0 * box.h, w0 * box.w
    locate(target, box.n * box.h * box.w, box.h, box.w, (n0, h0, w0), (1, 1), (g.N, g.Ho, g.Wo))
    locate(source, box.n * patch_h * patch_w, patch_h, patch_w,
           (n0, h0 * g.stride - g.padding, w0 * g.stride - g.padding), (between_h, between_w), (g.N, g.H, g.W))


@functools.cache
def finder(backward):
    """Make the device function that finds the windows of a block in y or, if ``backward``, in dx.

    All threads of the block must call it; a barrier must follow. It fills two tables in shared memory: ``source``, the
    pixel of the input that each pixel of the patch is, and ``target``, the pixel of the result that each pixel of the
    box is; -1 for none. It returns 32-bit integers:

        tap_h, tap_w, tap_step      the first tap in the filter, and from a tap to the next
        taps_w, taps                taps in a row of a window, and in all
        stride_h, stride_w          from a window to the next, in pixels of the patch
        patch_h, patch_w, pixels    size of the patch of an image, and pixels of the patches of all images of the box
    """
    seen = seen_by_dx if backward else seen_by_y

    @device_function
    def find(g, box, source, target):
        if backward:
            H, W, Hy, Wy = g.Ho, g.Wo, g.H, g.W
        else:
            H, W, Hy, Wy = g.H, g.W, g.Ho, g.Wo
        s, phase = g.stride, cuda.blockIdx.z
        first_h, step, taps_h, tap_h, tap_step, out_h, out_step = seen(phase // s, g.kh, s, g.padding)
        first_w, step, taps_w, tap_w, tap_step, out_w, out_step = seen(phase % s, g.kw, s, g.padding)
        n0, h0, w0 = place_in(cuda.blockIdx.x, box.down, box.across)
        n0, h0, w0 = n0 * box.n, h0 * box.h, w0 * box.w

        stride_h, between_h, patch_h = side(box.h, taps_h, step)
        stride_w, between_w, patch_w = side(box.w, taps_w, step)
        taps = np.int32(taps_h * taps_w)
        pixels = np.int32(box.n * patch_h * patch_w if taps > 0 else 0)
        locate(target, box.n * box.h * box.w, box.h, box.w,
               (n0, out_h + h0 * out_step, out_w + w0 * out_step), (out_step, out_step), (g.N, Hy, Wy))
        locate(source, pixels, patch_h, patch_w,
               (n0, first_h + h0 * step, first_w + w0 * step), (between_h, between_w), (g.N, H, W))
        return tap_h, tap_w, tap_step, taps_w, taps, stride_h, stride_w, patch_h, patch_w, pixels
    return find
