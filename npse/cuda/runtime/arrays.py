"""What every chapter of this edition leans on: which arrays an op takes, and what becomes of the others."""

import functools

import numpy as np

from npse.cuda.runtime.device import to_device, to_host
from npse.reference.arrays import is_plain

COMPILED = frozenset({np.dtype(np.float32), np.dtype(np.float64)})


def replaces(op):
    """Decorate the device version of an op of the book: its floating-point arrays are C-contiguous device arrays.

    NumPy arrays are copied to the device, so an op takes either; results stay on the device (`to_host` brings them
    back). Arrays of another floating-point type than float32 and float64 go to the book, on the host. Shapes are
    checked by the op, with `expect`; arrays that hold no floating-point numbers (labels, images) are its own business.
    """
    def decorate(fast):
        @functools.wraps(fast)
        def chosen(*arguments, **options):
            values = [*arguments, *options.values()]
            if any(_is_floating(value) and value.dtype not in COMPILED for value in values):
                return op(*map(to_host, arguments), **{name: to_host(value) for name, value in options.items()})
            return fast(*map(_placed, arguments), **{name: _placed(value) for name, value in options.items()})

        chosen.__doc__ = op.__doc__
        return chosen
    return decorate


def area(maps):
    """Number of pixels of a map (N, H, W, C)."""
    return maps.shape[1] * maps.shape[2]


def flat(array):
    """View an array as one row of numbers."""
    return array.reshape(array.size)


def _is_floating(value):
    return getattr(getattr(value, "dtype", None), "kind", "") in ("f", "c")


def _placed(value):
    if _is_floating(value) and value.dtype in COMPILED and is_plain(type(value)):
        return to_device(value)
    return value
