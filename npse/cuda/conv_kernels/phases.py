"""The window of each pixel in the result of a convolution, along one axis.

A pixel of y has a window in x. A pixel of dx has a window in dy. With stride s, the pixels h of dx are divided into s
phases by the remainder r of (h + p) / s. All pixels of a phase use the same taps, r, r + s, r + 2s, ... So within a
phase, the gradient is a convolution with stride 1 and every s-th tap, the last tap first. It has no products with zero,
and one kernel can compute y and dx.
"""

import numpy as np

from npse.cuda.runtime.device import device_function


@device_function
def _narrow(first, step, taps, tap, tap_step, out, out_step):
    """Return all arguments as 32-bit integers. Numba's default, 64 bits, needs two registers for each."""
    return (np.int32(first), np.int32(step), np.int32(taps), np.int32(tap), np.int32(tap_step), np.int32(out),
            np.int32(out_step))


@device_function
def seen_by_y(r, k, s, p):
    """Return (first, step, taps, tap, tap_step, out, out_step): the windows of the pixels of y along an axis of x.

    The pixel with number a in phase r is at out + a * out_step. Its window has the pixels first + a * step + u, for
    u < taps. Pixel u of the window is multiplied with the tap tap + u * tap_step. There is one phase, r = 0.
    """
    return _narrow(-p, s, k, 0, 1, 0, 1)


@device_function
def seen_by_dx(r, k, s, p):
    """Return the same for the pixels of dx, whose windows are in dy. There are s phases, r = 0 .. s - 1."""
    taps = max(0, (k - r + s - 1) // s)
    out = (r - p) % s
    return _narrow((out + p - r) // s - taps + 1, 1, taps, r + s * (taps - 1), -s, out, s)
