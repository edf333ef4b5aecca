"""Vectors: a thread loads, computes and stores 16 bytes at a time, four float32 or two float64.

The elements of a vector are neighbouring channels, or neighbouring elements of a list. A kernel is written as for
numbers. Whether an element is a number or a vector, the type of its arrays says:

    launch_over_maps(_scale, grid_for_pixels, u, area(u), s, y)        C / 4 vectors, or C numbers

Sums, products and comparisons of vectors are those of their numbers. Functions of numbers become functions of vectors
by `lanewise`. A condition on a vector has several answers, so kernels say ``where(y[k] > zero, dy[k], zero)``.
Vectors need a number of channels that is a multiple of their lanes, and arrays whose addresses are multiples of 16;
otherwise the same kernel takes numbers.
"""

import functools
import math

from npse.cuda.runtime import device
from npse.cuda.runtime.device import SIMULATED, device_function, is_device_array, launch
from npse.cuda.runtime.grid_stride import grid_for_elements
from npse.cuda.runtime.vector_array import Vector, by_lanes

BYTES = 16                       # of a vector: what one instruction loads or stores


def in_vectors(*lists):
    """Return the numbers of a vector, 1 if a list of pixels (M, C) allows no vectors, and the lists as such vectors."""
    lanes = _lanes(lists)
    return lanes, *(device.vectors(pixels, lanes, (pixels.shape[0], pixels.shape[1] // lanes)) for pixels in lists)


def launch_over_maps(kernel, grid, *arguments):
    """Launch a kernel over maps, with vectors of channels if all arrays allow it.

    Parameters
    ----------
    kernel : kernel
        Takes maps as flat arrays; see `npse.cuda.runtime.grid_stride.thread_map`.
    grid : function
        `grid_for_maps` or `grid_for_pixels`.
    *arguments
        Arrays whose last axis is that of the channels, at least one of them maps (N, H, W, C); and numbers.
    """
    _launch(kernel, grid, arguments, flat=True)


def launch_over_rows(kernel, grid, *arguments):
    """Launch a kernel that finds pixels by row and column, with vectors of channels if all arrays allow it.

    Parameters
    ----------
    kernel : kernel
        Takes arrays in their shapes; see `npse.cuda.runtime.grid_stride.thread_map_in_row`.
    grid : function
        `grid_for_rows` or `grid_for_columns`. The grid is that of the last maps (N, H, W, C) among the arguments.
    *arguments
        Arrays whose last axis is that of the channels, at least one of them maps; and numbers.
    """
    _launch(kernel, grid, arguments, flat=False)


def _launch(kernel, grid, arguments, flat):
    """Launch a kernel over the last maps among the arguments; if ``flat``, it takes maps as flat arrays."""
    lanes, arguments, maps = _lanes(arguments), list(arguments), None
    for place, value in enumerate(arguments):
        if is_device_array(value):
            *outer, last = value.shape
            if value.ndim == 4:
                maps = value
                if flat:
                    outer, last = (), value.size
            arguments[place] = device.vectors(value, lanes, (*outer, last // lanes))
    launch(kernel, *grid(maps, lanes), *arguments)


def launch_over_elements(kernel, *arguments):
    """Launch a kernel over all elements of arrays of one size, with vectors if all arrays allow it.

    The kernel takes flat arrays, see `npse.cuda.runtime.grid_stride.grid_stride`. Further arguments are numbers.
    """
    lanes = _lanes(arguments, flat=True)
    arguments = [device.vectors(value, lanes, (value.size // lanes,)) if is_device_array(value) else value
                 for value in arguments]
    launch(kernel, *grid_for_elements(next(filter(is_device_array, arguments))), *arguments)


def _lanes(arguments, flat=False):
    """Return how many numbers a vector of these arrays has: 1 if they do not allow vectors."""
    arrays = list(filter(is_device_array, arguments))
    dtype = arrays[0].dtype
    lanes = BYTES // dtype.itemsize
    fit = dtype.itemsize >= 4 and all(
        array.dtype == dtype and (array.size if flat else array.shape[array.ndim - 1]) % lanes == 0
        and device.address(array) % BYTES == 0 for array in arrays)
    return lanes if fit else 1


def lanewise(function):
    """Return a function for kernels that takes vectors too. ``function`` is a device function of numbers."""
    if SIMULATED:
        return functools.wraps(function)(by_lanes(function))
    from numba.cuda import types

    from npse.cuda.runtime.vector_type import extend

    def apply(*arguments):
        raise TypeError(f"only a kernel can call {function.__name__}")

    apply.py_func = function.py_func                   # by which machine code on disk is recognised
    extend(apply, function, (types.VarArg(types.Any),))
    return apply


def lane(value, place):
    """Return number ``place`` of a vector, in a kernel; a number is its own only lane."""
    if not SIMULATED:
        raise TypeError("only a kernel can call lane")
    return value.numbers[place] if isinstance(value, Vector) else value


def join(*numbers):
    """Return some numbers as a vector, in a kernel."""
    if not SIMULATED:
        raise TypeError("only a kernel can call join")
    return Vector(numbers)


if not SIMULATED:
    from npse.cuda.runtime.vector_type import extend_join, extend_lane  # import modules that the simulator lacks

    extend_lane(lane)
    extend_join(join)


@functools.cache
def gatherer(lanes):
    """Make the device function that returns a vector of the numbers j, j + 1, ... of row i; for one lane, a number."""
    if lanes == 4:
        return device_function(lambda row, i, j: join(row[i, j], row[i, j + 1], row[i, j + 2], row[i, j + 3]))
    if lanes == 2:
        return device_function(lambda row, i, j: join(row[i, j], row[i, j + 1]))
    return device_function(lambda row, i, j: row[i, j])


@lanewise
@device_function
def where(condition, a, b):
    """Return ``a`` if the condition holds, else ``b``."""
    return a if condition else b


@lanewise
@device_function
def sqrt(x):
    return math.sqrt(x)
