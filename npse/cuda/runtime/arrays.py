"""Helpers for all chapters of this edition: views of arrays, and `replaces`, which connects a kernel with its op."""

import numpy as np

from npse.cuda.runtime.device import is_device_array, to_device, to_host
from npse.editions.dispatch import COMPILED, Dispatcher
from npse.reference.checks import is_plain


def area(maps):
    """Return the number of pixels of a map, H * W, of maps (N, H, W, C)."""
    return maps.shape[1] * maps.shape[2]


def flat(array):
    """Return a view of an array of any shape as an array of one axis (size,)."""
    return array.reshape(array.size)


def _placed(value):
    """Copy an array of float32 or float64 to the device, C-contiguous. Return any other value as it is.

    The op itself copies arrays of integers, such as labels and images.
    """
    return to_device(value) if getattr(value, "dtype", None) in COMPILED and is_plain(type(value)) else value


def _seen(value):
    """Return the array for the checks of elements. For a device array return zeros: a copy to the host would wait."""
    return np.zeros(value.shape, value.dtype) if is_device_array(value) else value


# Results stay on the device: `to_host` copies them to the host.
replaces = Dispatcher(place=_placed, fetch=to_host, seen=_seen).replaces
