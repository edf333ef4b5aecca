"""Calls of the CUDA driver, by way of NVIDIA's bindings for Python. An error becomes an exception.

    pointer = call("cuMemAlloc", 1024)
"""

from cuda.bindings import driver

INVALID_CONTEXT = int(driver.CUresult.CUDA_ERROR_INVALID_CONTEXT)
OUT_OF_MEMORY = int(driver.CUresult.CUDA_ERROR_OUT_OF_MEMORY)


class DriverError(RuntimeError):
    """The driver reports an error; ``code`` is its number."""

    def __init__(self, function, code):
        self.code = int(code)
        super().__init__(f"{function} of the CUDA driver failed: {_words(code)}")


def call(function, *arguments):
    """Call a function of the driver by its name. Return its result, a tuple if it has several, None if it has none.

    Raises
    ------
    DriverError
    MemoryError
        The GPU's memory is full.
    """
    code, *results = getattr(driver, function)(*arguments)
    if code:
        if code == OUT_OF_MEMORY:
            raise MemoryError(f"{function}: the GPU's memory is full")
        raise DriverError(function, code)
    return results[0] if len(results) == 1 else tuple(results) or None


def _words(code):
    name, words = (driver.cuGetErrorName(code), driver.cuGetErrorString(code))
    return ", ".join(found.decode(errors="replace") for error, found in (words, name) if not error and found)
