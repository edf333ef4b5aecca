"""The Numba edition: the ops of the book, those that touch whole maps compiled and run on every core.

Names, arguments, results and errors are the book's. What is not compiled here, since it is small or NumPy is as fast,
is the book's own function. `set_threads` says how many cores to use, `cache_folder` where compiled kernels are kept.
"""

from npse.editions.dispatch import compiled_ops
from npse.reference import *  # noqa: F403  the whole book; the ops of the chapters replace its own

# isort: split
from npse.cpu.runtime.jit import cache_folder
from npse.cpu.runtime.parallel import get_threads, set_threads

globals().update(compiled_ops(__name__, __path__))  # noqa: F405
