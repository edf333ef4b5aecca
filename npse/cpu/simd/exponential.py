"""The exponential, in a form that a compiler can vectorize: `math.exp` is a call for each element.

    x = n * log(2) + r, |r| <= log(2) / 2       exp(x) = 2^n * exp(r)       exp(r) - 1 = r + r^2/2! + r^3/3! + ...

The number n + 1.5 * 2^m, for m bits of mantissa, has n in the last bits of its mantissa. So n is rounded and converted
to an integer by one addition. The result is within two units in the last place in float32, four in float64.
"""

import functools
import math

import numpy as np

from npse.cpu.runtime.jit import kernel

_TAYLOR = tuple(1 / math.factorial(k) for k in range(13, 0, -1))
_SKIPPED = 6                     # terms of them that are below a rounding error in float32
_UPPER, _LOWER = 0.693359375, -2.1219444005469058e-4              # log(2) in two parts; n * _UPPER is exact


@functools.cache
def exponential(real):
    """Return two kernels for a NumPy type, float32 or float64: exp(x) and exp(x) - 1, for x <= 0.

    The second keeps all digits near zero. A NaN stays a NaN.
    """
    single, power = real is np.float32, _power32 if real is np.float32 else _power64

    @kernel
    def parts(x):
        """Return exp(r) - 1 and two factors of 2^n, which alone may be too small for a float."""
        least, shift = real(-105 if single else -746), real(1.5 * 2**23 if single else 1.5 * 2**52)
        x = least if x < least else x                             # where exp(x) is zero to all digits
        n = (x * real(1 / math.log(2)) + shift) - shift
        r = (x - n * real(_UPPER)) - n * real(_LOWER)
        q = real(0)
        for k in range(_SKIPPED if single else 0, len(_TAYLOR)):
            q = (q + real(_TAYLOR[k])) * r
        half = n * real(0.5) + shift
        return q, power(half), power(n - (half - shift) + shift)

    @kernel
    def exp(x):
        q, a, b = parts(x)
        return (real(1) + q) * a * b

    @kernel
    def exp_minus_1(x):
        q, a, b = parts(x)
        return q * (a * b) + (a * b - real(1))

    return exp, exp_minus_1


@kernel
def _power32(shifted):
    """Return 2^n for the number n + 1.5 * 2^23: n becomes the exponent of a float."""
    return np.int32((np.float32(shifted).view(np.int32) + np.int32(127)) << np.int32(23)).view(np.float32)


@kernel
def _power64(shifted):
    return np.int64((np.float64(shifted).view(np.int64) + np.int64(1023)) << np.int64(52)).view(np.float64)
