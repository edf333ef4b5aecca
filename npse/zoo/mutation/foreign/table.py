"""The table of the functions that npse does not know. A function enters it in the file where it stands."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Foreign:
    """A function outside the book: ``forward(**arguments)``, ``backward(dy, **arguments)``, ``make(rng)``.

    ``kinks`` is as in `npse.gradcheck.check_gradient`.
    """

    forward: Callable
    backward: Callable
    make: Callable
    kinks: Callable | None = None

    @property
    def name(self):
        """The name of the backward pass."""
        return self.backward.__name__


FOREIGN: dict[str, Foreign] = {}                 # by the name of the backward pass


def enter(forward, backward, make, kinks=None):
    """Add a function and its backward pass to the table."""
    FOREIGN[backward.__name__] = Foreign(forward, backward, make, kinks)


def sizes(rng, count, least=2, most=6):
    """Return sizes that differ from each other."""
    return tuple(int(size) for size in rng.permutation(np.arange(least, most + 1))[:count])
