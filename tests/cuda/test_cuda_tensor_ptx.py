"""The variant "tensor" of the convolution, compiled for every GPU with the instruction, and left out for older ones."""

import struct
from functools import partial

import numpy as np
import pytest
from test_cuda_ptx import ALL, QUICK, check, run_training_step

from npse import cuda
from npse.cuda import conv
from npse.cuda.runtime import device
from npse.cuda.runtime.compile_ahead import Kernels
from npse.cuda.runtime.machine_code import assemble, identity, name_of
from npse.cuda.runtime.ptx import Compiler

pytestmark = [pytest.mark.ptx, pytest.mark.slow]
OLD, NEW = [at for at in ALL if at < (8, 0)], [at for at in ALL if at >= (8, 0)]
OF_TENSOR = "npse.cuda.conv_kernels.tensor"                       # the beginning of the names of its kernels
HMMA = 0x23c                             # the lowest 12 bits of an instruction of 16 bytes


@pytest.fixture
def compiler(request):
    compiler = Compiler(request.param)
    compiler.checked = set()
    before = device.use(compiler)
    with conv.VARIANTS.limited_to("tensor"):
        yield compiler
    device.use(before)


def convolve(N, H, C, K, side, stride):
    """Compile y, dx, dx + added and dw of a layer of a network."""
    x, w = (cuda.to_device(np.zeros(shape, np.float32)) for shape in ((N, H, H, C), (side, side, C, K)))
    y = cuda.conv2d(x, w, stride, side // 2)
    cuda.conv2d_backward_x(y, w, x.shape, stride, side // 2)
    cuda.conv2d_backward_x_add(y, w, x, stride, side // 2)
    cuda.conv2d_backward_w(y, x, w.shape, stride, side // 2)


def products_in(cubin):
    """Return how many instructions of tensor cores are in the executable sections of the machine code, an ELF file."""
    headers, = struct.unpack_from("<Q", cubin, 0x28)
    count, = struct.unpack_from("<H", cubin, 0x3c)
    found = 0
    for number in range(count):
        flags, _, start, size = struct.unpack_from("<QQQQ", cubin, headers + 64 * number + 8)
        if flags & 4:
            found += sum(word & 0xfff == HMMA for word in np.frombuffer(cubin[start:start + size], np.uint64)[::2])
    return found


def of_tensor(compiler):
    return [build for build in compiler.builds if build.name.startswith(OF_TENSOR)]


@pytest.mark.parametrize("compiler", [NEW], indirect=True, ids=["8.0 and later"])
@pytest.mark.parametrize("layer", [(512, 32, 16, 16, 3, 1), (512, 32, 16, 32, 3, 2),
                                   (512, 8, 64, 64, 3, 1), (1, 8, 64, 64, 3, 1), (512, 16, 8, 40, 1, 2)], ids=str)
def test_it_compiles_to_tensor_cores_and_fits(compiler, layer):
    convolve(*layer)
    check(compiler)                                               # threads, registers, shared memory; nothing spilled
    assert len(of_tensor(compiler)) == 4
    for build in of_tensor(compiler):
        for capability in NEW:
            code = assemble(build.ptx[capability], capability)
            assert code.instructions["mma"] > 0
            assert products_in(code.cubin) >= code.instructions["mma"]
            assert code.resources.local == 0


@pytest.mark.parametrize("compiler", [OLD, [*NEW, *OLD]], indirect=True, ids=["7.5", "all"])
def test_older_gpus_have_the_register_variant(compiler):
    convolve(512, 32, 16, 16, 3, 1)
    assert {build.name.split(".")[-2] for build in compiler.builds} == {"register", "register_dw", "partial_sums"}


class OfTensor(Compiler):
    """Compiles the kernels of this variant alone; ``names`` are those of all kernels."""

    def __init__(self, capabilities):
        super().__init__(capabilities)
        self.names, self.checked = set(), set()

    def launch(self, kernel, *launch):
        self.names.add(name_of(kernel))
        if name_of(kernel).startswith(OF_TENSOR):
            super().launch(kernel, *launch)


def test_a_training_step_uses_it():
    compiler = OfTensor(QUICK)
    before = device.use(compiler)
    try:
        with conv.VARIANTS.limited_to("tensor"):
            run_training_step()
    finally:
        device.use(before)
    check(compiler)
    assert len(compiler.builds) >= 9                              # y, dx and dw of three widths
    assert "npse.cuda.conv_kernels.register.correlate" in compiler.names      # the first layer has three channels


@pytest.mark.parametrize(("capability", "used"), [((7, 5), False), ((9, 0), True)])
def test_kernels_compiled_ahead_are_those_that_the_gpu_will_use(capability, used):
    with conv.VARIANTS.limited_to("tensor"):
        needed = Kernels(capability).needed_by(partial(convolve, 512, 32, 16, 16, 3, 1))
    assert any(name.startswith(OF_TENSOR) for name, _ in needed) == used
    assert all(identity(kernel) for kernel, _ in needed.values())
