"""Count the arithmetic and the memory traffic of an op call.

A multiply-add counts as two operations, a comparison as one. Each op declares its number of operations
(`npse.reference.contract.op`): it is that of the formula. The count is the same for an algorithm that needs fewer
operations (Winograd); its rate is then higher.
"""

import numpy as np

from npse import reference

PASSES = ("conv2d", "conv2d_backward_x", "conv2d_backward_w")


def pass_of(op):
    """Return the name of the convolution pass in an op, fused or not; None if the op has no convolution."""
    return max((name for name in PASSES if op.startswith(name)), key=len, default=None)


def flops(op, arguments, result):
    """Return the floating-point operations of a call, or None for an op whose operations are not declared."""
    return getattr(reference, op).contract.flops(arguments, result) if op in reference.OPS else None


def traffic(arguments, result):
    """Return the bytes of all arrays among arguments and results; each array is counted once."""
    return sum(array.nbytes for array in {id(array): array for array in arrays(arguments, result)}.values())


def arrays(arguments, result):
    """Return the arrays among the arguments and results of an op."""
    results = result if isinstance(result, tuple) else (result,)
    return [value for value in (*arguments, *results) if is_array(value)]


def is_array(value):
    """Whether a value is an array, on the host or on a device."""
    return isinstance(value, np.ndarray) or hasattr(value, "copy_to_host")
