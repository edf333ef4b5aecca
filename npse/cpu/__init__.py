"""The Numba edition: the ops of the book. Those that work on whole maps are compiled and run on all cores.

Names, arguments, results and errors are those of the book. Ops that are small, or for which NumPy is as fast, are the
book's own functions. `set_threads` sets the number of threads. `cache_folder` is the folder of compiled kernels.
"""

from npse.editions.dispatch import compiled_ops
from npse.reference import *  # noqa: F403  the whole book; the ops of the chapters replace its own
from npse.reference.old_names import answers_to_old_names

# isort: split
from npse.cpu.runtime.jit import cache_folder
from npse.cpu.runtime.parallel import get_threads, set_threads

globals().update(compiled_ops(__name__, __path__))  # noqa: F405
__getattr__ = answers_to_old_names(__name__)
