"""Functions that npse does not know, with correct gradients: material for mutants, and a test of the blind rules.

Each function stands with its backward pass and a maker of arguments, ``make(rng) -> dict``, which draws the sizes too.
They are written as people write them in NumPy, in many styles: with loops, with closed forms, step by step.
"""

from npse.zoo.mutation.foreign import (  # they enter their functions
    losses,
    normalizations,
    pairs,
    pointwise,
    sequences,
)
from npse.zoo.mutation.foreign.table import FOREIGN, Foreign

__all__ = ["FOREIGN", "Foreign"]
