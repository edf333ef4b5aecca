"""The residual join (arXiv 1512.03385): y = f + x, the branch plus the shortcut.

    f  (N, H, W, C)  residual branch      x  (N, H, W, C)  shortcut      y  their sum
"""

from npse.reference.contract import op
from npse.types import Array


@op("f: N H W C, x: N H W C -> y: N H W C", flops=1)
def add(f: Array, x: Array) -> Array:
    """y = f + x;  two arrays of one shape -> the same shape."""
    return f + x


@op("dy: N H W C -> df: N H W C, dx: N H W C")
def add_backward(dy: Array) -> tuple[Array, Array]:
    """df = dx = dy: both terms of a sum have its gradient. No op changes its arguments, so both can be one array."""
    return dy, dy
