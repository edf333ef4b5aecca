"""Launches of one kernel with one signature. All that does not change between two launches is prepared once.

The driver takes an address for each parameter of a kernel. Every parameter has its own 8 bytes here, so the addresses
stay as they are, and a launch writes only values.
"""

import ctypes
import functools
import struct
import threading

from cuda.bindings import driver
from numba import types

from npse.cuda.runtime.device_array import DeviceArray
from npse.cuda.runtime.driver import DriverError

SLOT = 8                                      # bytes
BYTES = 4096                                  # of all parameters of a kernel; newer GPUs take more
CODES = {types.float32: "f", types.float64: "d", types.boolean: "?",
         types.int8: "b", types.int16: "h", types.int32: "i", types.int64: "q",
         types.uint8: "B", types.uint16: "H", types.uint32: "I", types.uint64: "Q"}      # of the module struct


class Launcher:
    """Launches a kernel.

    Parameters
    ----------
    function : int
        The kernel's handle in the driver.
    signature : tuple of Numba types
    parameters : tuple of str
        The types of the parameters in PTX, see `MachineCode`.

    Raises
    ------
    RuntimeError
        The machine code has other parameters than the signature, or they are too large.
    """

    def __init__(self, function, signature, parameters):
        self._function = function
        codes = [code for kind in signature for code in _codes(kind)]
        if [struct.calcsize(code) for code in codes] != [int(kind.lstrip("bufs")) // 8 for kind in parameters]:
            raise RuntimeError(f"a kernel has parameters of the types {', '.join(parameters)}, which do not fit its "
                               f"signature {signature}: npse does not know this version of numba-cuda")
        if sum(map(struct.calcsize, codes)) > BYTES:
            raise RuntimeError(f"the parameters of a kernel have {sum(map(struct.calcsize, codes))} bytes; a GPU takes "
                               f"{BYTES}: give it fewer arrays")
        self._pack = struct.Struct("<" + "".join(f"{code}{SLOT - struct.calcsize(code)}x" for code in codes)).pack_into
        self._values = ctypes.create_string_buffer(SLOT * len(codes))
        first = ctypes.addressof(self._values)
        self._addresses = (ctypes.c_void_p * len(codes))(*range(first, first + SLOT * len(codes), SLOT))
        self._where, self._lock = ctypes.addressof(self._addresses), threading.Lock()

    def __call__(self, blocks, threads, arguments, stream):
        """Launch the kernel in a stream; DriverError if the driver refuses. The arguments are of the signature."""
        values = []
        for value in arguments:
            if type(value) is DeviceArray:
                values += value.fields
            elif isinstance(value, tuple):
                for item in value:
                    values += item.fields if type(item) is DeviceArray else (item,)
            else:
                values.append(value)
        with self._lock:                      # the driver copies the values before it returns
            self._pack(self._values, 0, *values)
            code, = driver.cuLaunchKernel(self._function, *_three(blocks), *_three(threads), 0, stream, self._where, 0)
        if code:
            raise DriverError("cuLaunchKernel", code)


def kind_of(value):
    """Return what decides the type of an argument: arguments of one kind take the same machine code."""
    if type(value) is DeviceArray:
        return value.kind
    return (type(value), *map(kind_of, value)) if isinstance(value, tuple) else type(value)


def _codes(kind):
    """Return a code of the module struct for each parameter of an argument. A tuple has those of its items."""
    if isinstance(kind, types.Array):
        return "q" * (5 + 2 * kind.ndim)
    return "".join(map(_codes, kind)) if isinstance(kind, types.BaseTuple) else CODES[kind]


@functools.lru_cache(maxsize=4096)
def _three(sizes):
    """Return the sizes along x, y and z of an int or a tuple of up to three int."""
    sizes = sizes if isinstance(sizes, tuple) else (sizes,)
    return (*map(int, sizes), 1, 1)[:3]
