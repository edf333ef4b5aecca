"""The Numba edition: the ops of the book. Those that work on whole maps are compiled and run on all cores.

Names, arguments, results and errors are those of the book. Ops that are small, or for which NumPy is as fast, are the
book's own functions. `set_threads` sets the number of threads. `cache_folder` is the folder of compiled kernels.
`record` records the kernel calls of some work, `update` changes arrays in place.
"""

from npse.editions.dispatch import compiled_ops
from npse.reference import OPS
from npse.reference.contract import TABLE
from npse.reference.old_names import answers_to_old_names

# isort: split
from npse.cpu.runtime.jit import cache_folder
from npse.cpu.runtime.parallel import get_threads, set_threads
from npse.cpu.runtime.recorder import call_as_one
from npse.cpu.runtime.recording import as_one, copy, empty_like, record
from npse.cpu.update_kernels.in_place import update

globals().update({name: as_one(op) for name, op in TABLE.items()})      # the book; its chapters here replace its ops
globals().update(compiled_ops(__name__, __path__))
__getattr__ = answers_to_old_names(__name__)
