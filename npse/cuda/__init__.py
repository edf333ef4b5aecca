"""The CUDA edition: the ops of the book, under the same names, as hand-written kernels on numba.cuda.

The arguments of an op are device arrays or NumPy arrays; NumPy arrays are copied to the device. Results are device
arrays. `to_device` and `to_host` copy arrays. An op without a kernel runs on the host, in the book's version.
"""

from npse.cuda.runtime.fallback import *  # noqa: F403  all ops of the book; those of the chapters replace them below
from npse.editions.dispatch import compiled_ops
from npse.reference.old_names import answers_to_old_names

# isort: split
from npse.cuda.runtime.copies import copy, rows
from npse.cuda.runtime.device import empty_like, record, synchronize, to_device, to_host, why_unavailable
from npse.cuda.update_kernels.in_place import update

globals().update(compiled_ops(__name__, __path__))  # noqa: F405
__getattr__ = answers_to_old_names(__name__)
