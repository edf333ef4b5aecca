"""Dropout: in training a random part of the activations is set to zero (JMLR 15:1929, 2014).

    x     any shape   input                 mask  like x, booleans: which elements are kept
    y     like x      output                rate  the part that is not kept on average, 0 <= rate < 1

The mask is an argument, so the same arguments always give the same result.
"""

import numpy as np

from npse.reference.contract import op
from npse.types import Array


def _expect_rate(op: str, letters: dict[str, int], rate: float) -> None:
    """Raise ValueError unless 0 <= rate < 1."""
    if not 0 <= rate < 1:
        raise ValueError(f"{op}: rate must lie in 0 <= rate < 1, but is {rate!r}")


@op("x: *, mask: * bool -> y: *", sizes=_expect_rate, flops=1)
def dropout(x: Array, mask: Array, rate: float) -> Array:
    """y = x / (1 - rate) where the mask is true, else 0. The divisor keeps the mean of y that of x."""
    return np.where(mask, x / float(1 - rate), 0)


@op("dy: *, mask: * bool -> dx: *", sizes=_expect_rate, flops=1)
def dropout_backward(dy: Array, mask: Array, rate: float) -> Array:
    """dx = dy / (1 - rate) where the mask is true, else 0; with the mask of the forward pass."""
    return np.where(mask, dy / float(1 - rate), 0)
