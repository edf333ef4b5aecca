"""A runner that runs nothing: it compiles what an op launches for GPUs that are not there, and assembles it.

    compiler = Compiler([(9, 0)])
    before = device.use(compiler)
    cuda.scale(u, s)                        the result is of the right shape and dtype, and zero
    device.use(before)
    for build in compiler.builds: ...       each kernel and signature, with its PTX

The simulator never sees a type; this sees nothing else. It works on computers without a GPU and on those with one.
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
    kernel : the kernel, as it was launched
    name : str
        Its module and name.
    signature : tuple of Numba types
    threads : int
        The largest number of threads of a block that it was launched with.
    ptx : dict
        Its PTX by compute capability.
    """

    kernel: object
    name: str
    signature: tuple
    threads: int = 0
    ptx: dict = field(default_factory=dict)

    def __str__(self):
        return f"{self.name}({', '.join(map(str, self.signature))})"

    def float64_instructions(self):
        """Instructions on float64, in order of appearance; moving such numbers about counts."""
        code = "\n".join(self.ptx.values())
        return list(dict.fromkeys(re.findall(r"^\s*(?:@!?%\w+\s+)?([a-z][\w.]*\.f64[\w.]*)", code, re.MULTILINE)))

    def resources(self, capability):
        """What its machine code for a compute capability takes, from the assembler."""
        return assemble(self.ptx[capability], capability)


@dataclass(frozen=True)
class Resources:
    """What a kernel takes: registers of a thread, bytes of shared memory of a block, and bytes of local memory of a
    thread, as slow as global memory: what did not fit into registers, or arrays whose indices are not constant."""

    registers: int
    shared: int
    local: int


class Compiler(device.Runner):
    """Compiles each kernel for a list of compute capabilities when it is launched; memory is NumPy's, and zero.

    Parameters
    ----------
    capabilities : sequence of (int, int)

    Attributes
    ----------
    builds : list of Build
        In the order of first launches.
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
        """Nothing runs, so nothing is waited for."""


class _Memory(np.ndarray):
    """Device memory that is NumPy's: enough of it for `npse.cuda.runtime.device`."""

    __cuda_ndarray__ = True

    def copy_to_host(self):
        return np.array(self)


def _compile(kernel, signature, capabilities):
    """PTX by compute capability. Types are worked out once, for the first: it is what takes most of the time."""
    here = dispatcher.get_current_device                        # device functions ask the GPU at hand
    dispatcher.get_current_device = lambda: SimpleNamespace(compute_capability=capabilities[0])
    fastmath, bounds = (kernel.targetoptions.get(option) for option in ("fastmath", "launch_bounds"))
    try:
        library, _ = compiler._compile_pyfunc_with_fixup(kernel.py_func, signature, None, False, False, fastmath,
                                                         capabilities[0], None, "numba", None, False, bounds)
        return {capability: "\n".join(library.get_asm_strs(cc=capability)) for capability in capabilities}
    finally:
        dispatcher.get_current_device = here


def assemble(ptx, capability):
    """Turn PTX into machine code for a compute capability, and return what it takes as `Resources`.

    Raises ValueError if the assembler refuses it.
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
        raise ValueError(f"the assembler refuses this PTX for {capability}: {why or error}") from error
    finally:
        nvjitlink.destroy(handle)
    return Resources(*(int(re.search(rf"^info .*?(\d+) {what}\b", log, re.MULTILINE)[1])
                       for what in ("registers", "bytes smem", "stack")))


def _log(size, read, handle):
    log = bytearray(size(handle))
    if log:
        read(handle, log)
    return log.decode().strip("\0 \n")
