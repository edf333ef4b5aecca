"""How much arithmetic and traffic an op call is. A multiply-add counts as two operations, a comparison as one.

The operations of a call are declared with the op (`npse.reference.contract.op`): it is the arithmetic of the formula;
an algorithm that needs less of it (Winograd) comes out faster, not smaller.
"""

import numpy as np

from npse import reference

PASSES = ("conv2d", "conv2d_backward_x", "conv2d_backward_w")


def pass_of(op):
    """Name the pass of a convolution that an op is, whatever it adds; None for an op that does not convolve."""
    return max((name for name in PASSES if op.startswith(name)), key=len, default=None)


def flops(op, arguments, result):
    """Return the floating-point operations of a call, or None for an op whose operations are not declared."""
    return getattr(reference, op).contract.flops(arguments, result) if op in reference.OPS else None


def traffic(arguments, result):
    """Return the bytes of all arrays that go in and come out, each counted once."""
    return sum(array.nbytes for array in {id(array): array for array in arrays(arguments, result)}.values())


def arrays(arguments, result):
    """The arrays among the arguments and results of an op."""
    results = result if isinstance(result, tuple) else (result,)
    return [value for value in (*arguments, *results) if is_array(value)]


def is_array(value):
    """Whether a value is an array, on the host or on a device."""
    return isinstance(value, np.ndarray) or hasattr(value, "copy_to_host")
