"""Read the pickles of published data sets: NumPy arrays and built-in types only.

Any other pickle could run any program.
"""

import io
import pickle
import warnings
from types import MappingProxyType
from typing import Any

import numpy as np


def arrays_only(content: bytes) -> Any:
    """Return the object in a pickle of Python 2; `pickle.UnpicklingError` if it needs anything but arrays."""
    with warnings.catch_warnings(action="ignore"):              # NumPy warns of dtypes that old versions wrote
        return _ArraysOnly(io.BytesIO(content), encoding="bytes").load()


class _ArraysOnly(pickle.Unpickler):
    _allowed = MappingProxyType({
        ("numpy.core.multiarray", "_reconstruct"): np.empty(0).__reduce__()[0],
        ("numpy", "ndarray"): np.ndarray,
        ("numpy", "dtype"): np.dtype,
    })

    def find_class(self, module: str, name: str) -> Any:
        if (module, name) not in self._allowed:
            raise pickle.UnpicklingError(f"it asks for {module}.{name}, which no data set needs; refused")
        return self._allowed[module, name]
