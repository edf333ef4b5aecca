"""A runner that compiles kernels to PTX and machine code, for any GPU, and does not run them.

    compiler = Compiler([(9, 0)])
    before = device.use(compiler)
    cuda.scale(u, s)                        returns zeros of the right shape and dtype
    device.use(before)
    for build in compiler.builds: ...       each kernel and signature, with its PTX

It finds errors that the simulator cannot find, because the simulator does not check types. It needs no GPU.
"""

import re
from dataclasses import dataclass, field
from types import SimpleNamespace

import numpy as np
from numba import typeof
from numba.cuda import compiler, dispatcher

from npse.cuda.runtime import device


@dataclass
class Build:
    """A kernel compiled for one signature.

    Attributes
    ----------
    kernel : the kernel
    name : str
        Module and name of the kernel.
    signature : tuple of Numba types
    threads : int
        Threads of a block, the largest number of all launches.
    ptx : dict of (int, int) -> str
        PTX for each compute capability.
    """

    kernel: object
    name: str
    signature: tuple
    threads: int = 0
    ptx: dict = field(default_factory=dict)

    def __str__(self):
        return f"{self.name}({', '.join(map(str, self.signature))})"

    def float64_instructions(self):
        """Return the names of all instructions on float64, each once, in their order. Loads and moves count too."""
        code = "\n".join(self.ptx.values())
        return list(dict.fromkeys(re.findall(r"^\s*(?:@!?%\w+\s+)?([a-z][\w.]*\.f64[\w.]*)", code, re.MULTILINE)))

    def resources(self, capability):
        """Assemble the PTX for a compute capability and return the `Resources` of the kernel. Raises as `assemble`."""
        return assemble(self.ptx[capability], capability)


@dataclass(frozen=True)
class Resources:
    """The resources that a kernel needs.

    Attributes
    ----------
    registers : int
        Registers of a thread.
    shared : int
        Bytes of shared memory of a block.
    local : int
        Bytes of local memory of a thread, which is as slow as global memory. It has the values that do not fit into the
        registers, and arrays whose indices are not constants.
    """

    registers: int
    shared: int
    local: int


class Compiler(device.Runner):
    """Compiles each launched kernel for a list of compute capabilities. Its device arrays are NumPy arrays of zeros.

    Parameters
    ----------
    capabilities : sequence of (int, int)
        Compute capabilities, such as (9, 0).

    Attributes
    ----------
    builds : list of Build
        One for each kernel and signature, in the order of their first launches.
    """

    def __init__(self, capabilities):
        self.capabilities = tuple(capabilities)
        self._builds = {}

    @property
    def builds(self):
        return list(self._builds.values())

    def empty(self, shape, dtype):
        return np.zeros(shape, dtype).view(_Memory)

    def to_device(self, array):
        return np.array(array, order="C").view(_Memory)

    def launch(self, kernel, blocks, threads, *arguments):
        signature = tuple(typeof(np.asarray(value) if isinstance(value, np.ndarray) else value) for value in arguments)
        build = self._builds.get((kernel, signature))
        if build is None:
            build = Build(kernel, f"{kernel.py_func.__module__}.{kernel.py_func.__name__}", signature)
            build.ptx = _compile(kernel, signature, self.capabilities)
            self._builds[kernel, signature] = build
        build.threads = max(build.threads, int(np.prod(threads)))

    def synchronize(self):
        """Do nothing: no kernel runs."""


class _Memory(np.ndarray):
    """A NumPy array with the attributes of a device array that `npse.cuda.runtime.device` uses."""

    __cuda_ndarray__ = True

    def copy_to_host(self):
        return np.array(self)


def _compile(kernel, signature, capabilities):
    """Return the PTX for each compute capability. Type inference, the slowest part, is done only for the first one."""
    here = dispatcher.get_current_device                        # Numba compiles device functions for the current GPU
    dispatcher.get_current_device = lambda: SimpleNamespace(compute_capability=capabilities[0])
    fastmath, bounds = (kernel.targetoptions.get(option) for option in ("fastmath", "launch_bounds"))
    try:
        library, _ = compiler._compile_pyfunc_with_fixup(kernel.py_func, signature, None, False, False, fastmath,
                                                         capabilities[0], None, "numba", None, False, bounds)
        return {capability: "\n".join(library.get_asm_strs(cc=capability)) for capability in capabilities}
    finally:
        dispatcher.get_current_device = here


def assemble(ptx, capability):
    """Translate PTX into machine code for a compute capability and return the `Resources` that it needs.

    Raise ValueError if the assembler finds an error.
    """
    from cuda.bindings import nvjitlink

    code = ptx.encode()
    handle = nvjitlink.create(2, ["-arch=sm_{}{}".format(*capability), "-verbose"])
    try:
        nvjitlink.add_data(handle, nvjitlink.InputType.PTX, code, len(code), "kernel")
        nvjitlink.complete(handle)
        log = _log(nvjitlink.get_info_log_size, nvjitlink.get_info_log, handle)
    except nvjitlink.nvJitLinkError as error:
        why = _log(nvjitlink.get_error_log_size, nvjitlink.get_error_log, handle)
        raise ValueError(f"the assembler finds an error in the PTX for {capability}: {why or error}") from error
    finally:
        nvjitlink.destroy(handle)
    return Resources(*(int(re.search(rf"^info .*?(\d+) {what}\b", log, re.MULTILINE)[1])
                       for what in ("registers", "bytes smem", "stack")))


def _log(size, read, handle):
    log = bytearray(size(handle))
    if log:
        read(handle, log)
    return log.decode().strip("\0 \n")
