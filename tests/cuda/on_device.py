"""The cuda edition for the judge, who knows NumPy arrays alone."""

import numpy as np

from npse import cuda
from npse.support.wrapped import Wrapped


class OnDevice(Wrapped):
    """The edition with its results on the host; ``ahead`` puts NumPy arguments on the device before the call.

    What an op does to a device array is done to the NumPy array it came from, so that the judge sees it.
    """

    def __init__(self, ahead):
        super().__init__(cuda, self._call)
        self._ahead = ahead

    def _call(self, name, op, arguments, options):
        placed = [(value, cuda.to_device(value)) for value in (*arguments, *options.values())
                  if self._ahead and isinstance(value, np.ndarray)]

        def place(value):
            return next((there for here, there in placed if here is value), value)
        result = cuda.to_host(op(*map(place, arguments), **{key: place(value) for key, value in options.items()}))
        for here, there in placed:
            if there.copy_to_host().tobytes() != here.tobytes():
                here[...] = there.copy_to_host()
        return result
