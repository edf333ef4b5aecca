"""Compile kernels of this edition before they are called, in several processes; see `npse.editions.compile_ahead`."""

from dataclasses import dataclass

import numpy as np

from npse.cpu.runtime.jit import cache_folder
from npse.cpu.runtime.parallel import get_threads, listing, set_threads
from npse.editions import compile_ahead as processes_that_compile


@dataclass(frozen=True)
class Kernels:
    """The kernels of a work with a number of threads, which decides whether work is shared."""

    threads: int

    def needed_by(self, work):
        """Call ``work()`` without running kernels; return the kernels it calls: {name: (kernel, types of arguments)}.

        A name is two strings for a kernel and its argument types.
        """
        set_threads(self.threads)
        with listing() as calls, np.errstate(all="ignore"):
            work()
        return {(f"{kernel.py_func.__module__}.{kernel.py_func.__qualname__}", str(kinds)): (kernel, kinds)
                for kernel, kinds in calls}

    def compile(self, found):
        """Compile a kernel or load it; return whether it was compiled."""
        kernel, kinds = found
        kernel.compile(kinds)
        return kinds in kernel.stats.cache_misses


def compile_ahead(work, say=lambda done, of: None, processes=None):
    """Compile the kernels that ``work()`` calls with the present number of threads; return how many were compiled.

    For the parameters see `npse.editions.compile_ahead.compile_ahead`. By default there is one process for each thread.
    """
    threads = get_threads()
    return processes_that_compile.compile_ahead(Kernels(threads), cache_folder(), work, say, processes or threads)
