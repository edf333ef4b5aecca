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

import numpy as np

from npse.cuda.runtime.machine_code import assemble, name_of, signature_of, to_ptx
from npse.cuda.runtime.without_gpu import WithoutGpu


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
        return assemble(self.ptx[capability], capability).resources


class Compiler(WithoutGpu):
    """Compiles each launched kernel for a list of compute capabilities. Its device arrays are NumPy arrays of zeros.

    Parameters
    ----------
    capabilities : sequence of (int, int)
        Compute capabilities, such as (9, 0). Ops choose their kernels for the lowest.

    Attributes
    ----------
    builds : list of Build
        One for each kernel and signature, in the order of their first launches.
    """

    def __init__(self, capabilities):
        super().__init__(min(capabilities))
        self.capabilities = tuple(capabilities)
        self._builds = {}

    @property
    def builds(self):
        return list(self._builds.values())

    def launch(self, kernel, blocks, threads, *arguments):
        signature = signature_of(arguments)
        build = self._builds.get((kernel, signature))
        if build is None:
            build = Build(kernel, name_of(kernel), signature, ptx=to_ptx(kernel, signature, self.capabilities))
            self._builds[kernel, signature] = build
        build.threads = max(build.threads, int(np.prod(threads)))
