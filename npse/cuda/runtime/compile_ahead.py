"""Compile kernels of this edition before they are called, with or without a GPU; see `npse.editions.compile_ahead`."""

from dataclasses import dataclass

import numpy as np

from npse.cuda.runtime import device
from npse.cuda.runtime.machine_code import cache_folder, identity, is_kept, machine_code, name_of, signature_of
from npse.cuda.runtime.without_gpu import WithoutGpu
from npse.editions import compile_ahead as processes_that_compile


class Launches(WithoutGpu):
    """Notes which kernels a GPU would launch: ``needed`` holds (kernel, types of arguments) by their names.

    Kernels that cannot be kept on disk are left out.
    """

    def __init__(self, capability):
        super().__init__(capability)
        self.needed = {}

    def launch(self, kernel, blocks, threads, *arguments):
        if identity(kernel):
            signature = signature_of(arguments)
            name = f"{name_of(kernel)} {identity(kernel)}", f"{signature} for {self.capability}"
            self.needed[name] = kernel, signature


@dataclass(frozen=True)
class Kernels:
    """The kernels of a work for a compute capability, such as (9, 0)."""

    capability: tuple

    def needed_by(self, work):
        """Call ``work()`` without running kernels; return the kernels that it launches, as `Launches` notes them."""
        launches = Launches(self.capability)
        before = device.use(launches)
        try:
            with np.errstate(all="ignore"):
                work()
        finally:
            device.use(before)
        return launches.needed

    def compile(self, found):
        """Compile a kernel or find it on disk; return whether it was compiled."""
        if is_kept(*found, self.capability):
            return False
        machine_code(*found, self.capability)
        return True


def compile_ahead(work, capability, say=lambda done, of: None, processes=1):
    """Compile the kernels that ``work()`` launches for a compute capability; return how many were compiled.

    For the other parameters see `npse.editions.compile_ahead.compile_ahead`.
    """
    return processes_that_compile.compile_ahead(Kernels(capability), cache_folder(), work, say, processes)
