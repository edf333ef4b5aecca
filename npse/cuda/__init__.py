"""The CUDA edition: the ops of the book as hand-written kernels on numba.cuda, by the same names.

An op takes device arrays or NumPy arrays, which it copies to the device, and leaves its results on the device:
`to_device` and `to_host` move arrays. What has no kernel runs by the book, on the host.
"""

from npse.cuda.runtime.fallback import *  # noqa: F403  the whole book; the ops of the chapters replace its own
from npse.editions.dispatch import compiled_ops

# isort: split
from npse.cuda.runtime.copies import copy, rows
from npse.cuda.runtime.device import empty_like, record, synchronize, to_device, to_host, why_unavailable

globals().update(compiled_ops(__name__, __path__))  # noqa: F405
