"""Helpers that all chapters of this edition use: which arrays an op takes, and what becomes of the others."""

import numpy as np

from npse.cuda.runtime.device import is_device_array, to_device, to_host
from npse.editions.dispatch import COMPILED, Dispatcher
from npse.reference.checks import is_plain


def area(maps):
    """Number of pixels of a map (N, H, W, C)."""
    return maps.shape[1] * maps.shape[2]


def flat(array):
    """View an array (...) as one axis (size,)."""
    return array.reshape(array.size)


def _placed(value):
    """Return an array of float32 or float64 on the device, C-contiguous, anything else as it is.

    Arrays that hold no floating-point elements (labels, images) are placed by the op.
    """
    return to_device(value) if getattr(value, "dtype", None) in COMPILED and is_plain(type(value)) else value


def _seen(value):
    """What the checks of elements may look at: zeros in place of an array on the device, which takes time to arrive."""
    return np.zeros(value.shape, value.dtype) if is_device_array(value) else value


# Results stay on the device: `to_host` brings them back.
replaces = Dispatcher(place=_placed, fetch=to_host, seen=_seen).replaces
