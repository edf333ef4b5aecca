"""Views of device arrays as arrays of vectors, and vectors in the simulator. The type of vectors in kernels is in
vector_type.py; what kernels do with them in vectors.py.
"""

import functools
import operator

import numpy as np


class VectorDtype:
    """The dtype of an array of vectors, as `vector_dtype` makes it; each exists once.

    ``type`` makes one number. NumPy sees Python objects here, so that an array of NumPy can hold a `Vector`.
    """

    dtype = np.dtype(object)

    def __init__(self, number, lanes):
        self.number, self.lanes, self.type = number, lanes, number.type
        self.itemsize, self.str = lanes * number.itemsize, f"{number.str} x {lanes}"


@functools.cache
def vector_dtype(number, lanes):
    """Return the dtype of vectors of ``lanes`` neighbouring numbers of the NumPy dtype ``number``."""
    return VectorDtype(number, lanes)


class VectorArray:
    """A view of a NumPy array ``numbers`` (..., C) as vectors (..., C / lanes), for kernels in the simulator."""

    __cuda_ndarray__ = True

    def __init__(self, numbers, lanes):
        *outer, C = numbers.shape
        self.numbers, self._rows = numbers, numbers.reshape(*outer, C // lanes, lanes)
        self.shape, self.ndim, self.size = (*outer, C // lanes), numbers.ndim, numbers.size // lanes
        self.dtype = vector_dtype(numbers.dtype, lanes)

    def __getitem__(self, index):
        return Vector(self._rows[index])

    def __setitem__(self, index, value):
        self._rows[index] = lanes_in(value, self.dtype.lanes)


class Vector:
    """Some numbers that a thread of the simulator computes with as with one. A vector never changes."""

    __array_ufunc__ = None                             # NumPy's numbers leave arithmetic with a vector to the vector

    def __init__(self, numbers):
        self.numbers = tuple(numbers)


def lanes_in(value, count):
    """Return the numbers of a vector, or a number ``count`` times."""
    return value.numbers if isinstance(value, Vector) else (value,) * count


def by_lanes(function):
    """Return a function that calls ``function`` for each lane if an argument is a `Vector`, otherwise once."""
    def each(*arguments):
        count = next((len(value.numbers) for value in arguments if isinstance(value, Vector)), None)
        if count is None:
            return function(*arguments)
        return Vector(map(function, *(lanes_in(value, count) for value in arguments)))
    return each


def _reflected(function):
    return lambda a, b: function(b, a)


for _name in ("add", "sub", "mul", "truediv"):
    setattr(Vector, f"__{_name}__", by_lanes(getattr(operator, _name)))
    setattr(Vector, f"__r{_name}__", by_lanes(_reflected(getattr(operator, _name))))
for _name in ("lt", "gt"):
    setattr(Vector, f"__{_name}__", by_lanes(getattr(operator, _name)))
