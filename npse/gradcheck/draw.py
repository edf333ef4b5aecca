"""Random numbers of a check: each purpose has a generator of its own, so that no draw depends on another one."""

import zlib

import numpy as np
from numpy.typing import DTypeLike

from npse.gradcheck.cases.case import Case
from npse.types import Arguments, Array


def generator(seed: int, purpose: str) -> np.random.Generator:
    """A generator for one purpose: the same for the same seed and purpose, independent of all others.

    It is not ``default_rng(seed)``: a user may have drawn the arguments from that, and then dy would repeat them. A
    scale-invariant function, for example, has no derivative along its own argument.
    """
    return np.random.default_rng([seed, zlib.crc32(purpose.encode())])


def draw_arguments(case: Case, seed: int, dtype: DTypeLike = np.float64) -> Arguments:
    """The arguments of a case, in a dtype: a dict by name."""
    purpose = str(case) if dtype == np.float64 else f"{case}: {np.dtype(dtype)}"
    return case.arguments(generator(seed, purpose), dtype)


def upstream(rng: np.random.Generator, y: Array) -> Array:
    """A random upstream gradient: shaped like y, of the same dtype. If y has no axes it is a NumPy scalar."""
    return np.asarray(rng.standard_normal(y.shape), y.dtype)[()]
