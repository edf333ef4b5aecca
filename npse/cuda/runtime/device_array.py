"""Arrays in the memory of a GPU. They are always C-contiguous, so a kernel needs no other strides than these.

Numba's device arrays can do more, and each takes longer to make than most kernels run.
"""

import functools
import math
from types import MappingProxyType

import numpy as np


class DeviceArray:
    """An array on the device, without its own way to read or write elements: kernels do that.

    Parameters
    ----------
    shape : tuple of int
    dtype : np.dtype or VectorDtype
    pointer : int
        Address of the first element.
    memory : object
        Keeps the memory alive as long as the array and all views of it.
    runner : Gpu
        Copies the array to the host.

    Attributes
    ----------
    size, ndim, nbytes : int
    kind : str
        The dtype and the number of axes; arrays of one kind take the same machine code.
    fields : tuple of int
        What a kernel gets for this array, in the order of Numba: two words without meaning here, the number of
        elements, the bytes of each, the pointer, the shape and the strides in bytes.
    """

    __slots__ = "_runner", "dtype", "fields", "kind", "memory", "ndim", "pointer", "shape", "size"
    __cuda_ndarray__ = True
    flags = MappingProxyType({"C_CONTIGUOUS": True})

    def __init__(self, shape, dtype, pointer, memory, runner):
        self.size, self.ndim, self.kind, first, last = _layout(shape, dtype)
        self.shape, self.dtype, self.pointer, self.memory, self._runner = shape, dtype, pointer, memory, runner
        self.fields = (*first, pointer, *last)

    @property
    def nbytes(self):
        return self.size * self.dtype.itemsize

    @property
    def strides(self):
        return self.fields[5 + self.ndim:]

    @property
    def __cuda_array_interface__(self):
        """The array for other libraries. They see its data after `npse.cuda.synchronize`."""
        return {"shape": self.shape, "typestr": self.dtype.str, "data": (self.pointer, False), "version": 3,
                "strides": None, "stream": None}

    def __len__(self):
        if not self.shape:
            raise TypeError("an array without axes has no length")
        return self.shape[0]

    def __getitem__(self, chosen):
        """Return a view of one row, or of a range of rows, along the first axis."""
        if isinstance(chosen, slice) and chosen.step in (None, 1):
            first, last, _ = chosen.indices(len(self))
            shape = (max(last - first, 0), *self.shape[1:])
        elif isinstance(chosen, int | np.integer) and -len(self) <= chosen < len(self):
            first, shape = chosen % len(self), self.shape[1:]
        elif isinstance(chosen, int | np.integer):
            raise IndexError(f"there is no row {chosen} in an array of shape {self.shape}")
        else:
            raise TypeError(f"of an array on the device, rows can be taken: array[n] or array[first:last], "
                            f"not array[{chosen!r}]; copy it with to_host first")
        return DeviceArray(shape, self.dtype, self.pointer + first * self.strides[0], self.memory, self._runner)

    def reshape(self, *shape):
        """Return a view with another shape, of as many elements. One size may be -1: it follows from the others."""
        shape = shape[0] if len(shape) == 1 and isinstance(shape[0], tuple | list) else shape
        if -1 in shape:
            known = math.prod(size for size in shape if size != -1)
            shape = tuple(self.size // known if size == -1 and known else size for size in shape)
        if math.prod(shape) != self.size or min(shape, default=0) < 0:
            raise ValueError(f"an array of shape {self.shape} cannot have the shape {tuple(shape)}")
        return DeviceArray(tuple(shape), self.dtype, self.pointer, self.memory, self._runner)

    def __array__(self, dtype=None, copy=None):
        """Return the array as a NumPy array, always a copy, when NumPy asks for one."""
        return self.copy_to_host().astype(dtype or self.dtype, copy=False)

    def copy_to_host(self):
        """Wait for the kernels and return the array as a NumPy array."""
        return self._runner.to_host(self)


@functools.lru_cache(maxsize=4096)
def _layout(shape, dtype):
    """Return the size, the number of axes, the kind, and the fields before and after the pointer."""
    size, ndim = math.prod(shape), len(shape)
    strides = (dtype.itemsize * math.prod(shape[axis + 1:]) for axis in range(ndim))
    return size, ndim, f"{dtype.str} {ndim}", (0, 0, size, dtype.itemsize), (*shape, *strides)
