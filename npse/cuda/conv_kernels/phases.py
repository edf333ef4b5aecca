"""What the pixels of a convolution's result see along one axis.

A pixel of y sees a window of x. A pixel of dx sees a window of dy too: with stride s, the pixels h of dx fall into s
phases by the remainder r of h + p, and those of a phase all meet the same taps, r, r + s, r + 2s, ..., so that within a
phase the gradient is a convolution with stride 1 by every s-th tap, last tap first. No product with zero is taken, and
one kernel serves y and dx.
"""

import numpy as np

from npse.cuda.runtime.device import device_function


@device_function
def _narrow(first, step, taps, tap, tap_step, out, out_step):
    """Return all as 32-bit integers. Numba's default, 64 bits, would use two registers for each."""
    return (np.int32(first), np.int32(step), np.int32(taps), np.int32(tap), np.int32(tap_step), np.int32(out),
            np.int32(out_step))


@device_function
def seen_by_y(r, k, s, p):
    """Return (first, step, taps, tap, tap_step, out, out_step): what the pixels of y see along an axis of x.

    Pixel number a of phase r lies at out + a * out_step. It sees the pixels first + a * step + u, for u < taps, and
    meets them with the taps tap + u * tap_step. There is one phase, r = 0.
    """
    return _narrow(-p, s, k, 0, 1, 0, 1)


@device_function
def seen_by_dx(r, k, s, p):
    """The same for the pixels of dx, which see dy: s phases."""
    taps = max(0, (k - r + s - 1) // s)
    out = (r - p) % s
    return _narrow((out + p - r) // s - taps + 1, 1, taps, r + s * (taps - 1), -s, out, s)
