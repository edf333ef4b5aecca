"""Every kernel, with every signature that the cases of the judge give it, compiled for GPUs that are not there."""

import importlib
import pkgutil
import zlib

import numpy as np
import pytest
from numba import cuda as numba_cuda
from numba import float32, types
from on_device import OnDevice

from npse import backend, cuda, models
from npse.bench import gpu_rates
from npse.cuda.runtime import device
from npse.cuda.runtime.ptx import Build, Compiler, assemble
from npse.cuda.se import SQUEEZES
from npse.gradcheck import CASES, cases_of
from npse.training.optimizer import SGD, Muon
from npse.training.step import Step

pytestmark = pytest.mark.ptx
QUICK, ENDS, ALL = ((9, 0),), ((7, 5), (12, 0)), ((7, 5), (8, 0), (8, 9), (9, 0), (10, 0), (12, 0))
THREADS, REGISTERS, SHARED = 1024, 65536, 48 * 1024     # of a block, at most, on all of these

CAPABILITIES = pytest.mark.parametrize("compiler", [
    pytest.param(ENDS, marks=pytest.mark.slow, id="the oldest and the newest"),
    pytest.param(ALL, marks=pytest.mark.nightly, id="all")], indirect=True)
DTYPES = pytest.mark.parametrize("dtype", [
    pytest.param(np.float32, id="float32"), pytest.param(np.float64, marks=pytest.mark.nightly, id="float64")])

# Kernels that may compute in float64 although their arrays are float32, each with its reason.
FLOAT64_ALLOWED = {}
# Bytes that a thread of a kernel may keep in local memory, where registers do not suffice, each with its reason.
LOCAL_ALLOWED = {}


@pytest.fixture(scope="module")
def compiler(request):
    """What every op runs on meanwhile; it remembers what it has compiled and checked."""
    compiler = Compiler(getattr(request, "param", QUICK))
    compiler.checked = set()
    before = device.use(compiler)
    yield compiler
    device.use(before)


def run(case, dtype):
    rng = np.random.default_rng(zlib.crc32(str(case).encode()))
    arguments, ops = case.arguments(rng, dtype), OnDevice(ahead=False)
    with np.errstate(all="ignore"):                               # what was never computed is zero
        y = np.asarray(case.forward(ops, **arguments))
        if case.backward:
            case.backward(ops, np.ones(y.shape, dtype)[()], **arguments)


def run_beyond_the_cases(dtype):
    """What no case launches: lower variants of convolution, a learning rate on the device, batches, yardsticks."""
    x = np.ones((2, 3, 4, 5), dtype)
    for squeeze in SQUEEZES.values():
        squeeze(cuda.to_device(x))
    cuda.sgd(x, x, x, cuda.to_device(np.array(0.1, dtype)))
    cuda.muon(x, x, x, cuda.to_device(np.array(0.1, dtype)))
    for lr in (0.1, cuda.to_device(np.array(0.1, dtype))):
        cuda.update("sgd", [(x, x, x, lr, 0.9, 0.1)])
        cuda.update("muon", [(w, w, w, lr, 0.9) for w in (x, x.reshape(6, 20))])
    cuda.update("running_statistics", [(x[0, 0, 0], x[0, 0, 0], 9, x[0, 0, 0], x[0, 0, 0], 0.1)])
    for array in (x, x.astype(np.uint8), np.arange(9)):
        there = cuda.to_device(array)
        cuda.rows(there, np.array([1, 0]))
        cuda.copy(there, cuda.empty_like(there))
    gpu_rates.copy_rate()
    gpu_rates.multiply_add_rate()


def run_variants_of_convolution(dtype):
    from npse.cuda import conv

    for variant in conv.VARIANTS:
        with conv.VARIANTS.limited_to(variant):
            for case in cases_of("conv2d"):
                run(case, dtype)
    if dtype == np.float32:                                       # no case has as many channels as its rule wants
        x, w = np.ones((2, 5, 5, 8), dtype), np.ones((3, 3, 8, 8), dtype)
        conv.VARIANTS["winograd"].conv2d(x, w, 1, 1)
        conv.VARIANTS["winograd"].conv2d_backward_x(x, w, x.shape, 1, 1)
        conv.VARIANTS["winograd"].conv2d_backward_w(x, x, w.shape, 1, 1)


def run_training_step():
    """The step that is trained with, and measured on hardware: its maps have the largest tiles of registers."""
    with backend.using_edition(cuda):
        network = models.build("se_resnet20", input_gradient=False).to_device()
        optimizer = SGD(network)
        optimizer.to_device()
        x, labels = cuda.to_device(np.zeros((512, 32, 32, 3), np.float32)), np.zeros(512, int)
        Step(network, optimizer, 0.1).plain(x, labels, 0.1)
        network.eval().predict(x)


def check(compiler):
    for build in compiler.builds:
        if (build.kernel, build.signature, build.threads) in compiler.checked:
            continue
        compiler.checked.add((build.kernel, build.signature, build.threads))
        assert build.threads <= THREADS, f"{build}: no launch with {build.threads} threads"
        single = float32 in [getattr(kind, "dtype", kind) for kind in build.signature]
        if single and build.name not in FLOAT64_ALLOWED:
            assert not build.float64_instructions(), f"{build} computes in float64"
        for capability in compiler.capabilities:
            needs = build.resources(capability)
            assert -(-needs.registers // 8) * 8 * build.threads <= REGISTERS, f"{build}: no launch with {needs}"
            assert needs.shared <= SHARED, f"{build}: no launch with {needs}"
            if single:
                allowed = LOCAL_ALLOWED.get(build.name, 0)
                assert needs.local <= allowed, f"{build}: its threads have not enough registers: {needs}"


@pytest.mark.parametrize("op", ["squeeze", "scale", "sgd"])
def test_it_compiles(compiler, op):
    run(cases_of(op)[0], np.float32)
    check(compiler)


@CAPABILITIES
@DTYPES
@pytest.mark.parametrize("case", CASES, ids=str)
def test_case_compiles_for_compute_capabilities(compiler, case, dtype):
    run(case, dtype)
    check(compiler)


@CAPABILITIES
@DTYPES
@pytest.mark.parametrize("launch", [run_beyond_the_cases, run_variants_of_convolution])
def test_what_no_case_launches_compiles_too(compiler, launch, dtype):
    launch(dtype)
    check(compiler)


@CAPABILITIES
def test_the_training_step_compiles_at_its_size(compiler):
    run_training_step()
    check(compiler)


@CAPABILITIES
def test_every_kernel_is_compiled_and_every_exception_is_needed(compiler):
    for case in CASES:
        run(case, np.float32)
    run_beyond_the_cases(np.float32)
    run_variants_of_convolution(np.float32)
    compiled = {build.kernel for build in compiler.builds}
    assert {name.split(".")[2] for name, _ in kernels()} >= {"conv_kernels", "se_kernels", "runtime", "se"}
    assert not [name for name, kernel in kernels() if kernel not in compiled]
    assert {*FLOAT64_ALLOWED, *LOCAL_ALLOWED} <= {build.name for build in compiler.builds}


def kernels():
    """Every kernel of the edition, by name, also those in folders below it."""
    for module in pkgutil.walk_packages(cuda.__path__, "npse.cuda."):
        for name, value in vars(importlib.import_module(module.name)).items():
            if hasattr(value, "targetoptions") and not value.targetoptions.get("device"):
                yield f"{module.name}.{name}", value


class Shapes(Compiler):
    """Neither compiles nor runs: what is left is the check of each launch."""

    def launch(self, kernel, blocks, threads, *arguments):
        self.launched.add((kernel.__name__, blocks, threads))


@pytest.fixture
def shapes():
    shapes = Shapes(QUICK)
    shapes.launched = set()
    before = device.use(shapes)
    with backend.using_edition(cuda):
        yield shapes
    device.use(before)


# The networks for small images; of those with the same blocks one.
LAUNCHED = [name for name in models.MODELS if name.removeprefix("se_") in (
    *(f"resnet{depth}" for depth in (8, 14, 20, 32, 44, 56, 110)), "wide")]
LAUNCHED += ["se_preact_resnet20", "se_vgg8", "se_inception", "se_mobilenet", "se_mobilenet_v3_small", "se_shufflenet",
             "se_efficientnet"]


@pytest.mark.parametrize("name", [name if name in ("se_resnet8", "se_wide") else
                                  pytest.param(name, marks=pytest.mark.slow) for name in LAUNCHED])
def test_every_model_keeps_within_the_limits_of_a_gpu(shapes, name):
    """At the usual batches, both optimizers, training and inference; augmentation and the loss included."""
    for batch_size in (1, 128, 512):
        for optimize in (SGD, Muon):
            network = models.build(name, input_gradient=False).to_device()
            optimizer = optimize(network)
            optimizer.to_device()
            images = cuda.to_device(np.zeros((batch_size, 32, 32, 3), np.uint8))
            labels, corners = cuda.to_device(np.zeros(batch_size, np.int32)), np.zeros(batch_size, int)
            mean = std = cuda.to_device(np.ones(3, np.float32))
            x = cuda.augment(images, corners, corners, corners > 0, mean, std)
            Step(network, optimizer, 0.1).plain(x, labels, 0.1)
            network.eval().predict(cuda.normalize(images, mean, std))
    assert {"augment", "normalize", "cross_entropy", "sums"} <= {name.lstrip("_") for name, *_ in shapes.launched}


def test_a_launch_that_no_gpu_would_take_is_refused(shapes):
    @numba_cuda.jit
    def fill(x):
        x[0] = 1

    x = np.ones(3, np.float32)
    for blocks, threads in ((1, 1), (2**31 - 1, 1024), ((1, 65535, 65535), (4, 4, 64)), ((1,), (1, 1024))):
        device.launch(fill, blocks, threads, x)
    for blocks, threads, words in (
        ((1, 73728), 256, r"fill: gridDim\.y must be 1 to 65535 on a GPU, but is 73728"),
        ((1, 1, 65536), 256, r"gridDim\.z must be 1 to 65535"), (2**31, 256, r"gridDim\.x must be 1 to 2147483647"),
        (0, 256, r"gridDim\.x must be 1 to .* but is 0"), ((4, 0), 256, r"gridDim\.y must be 1 to .* but is 0"),
        (1, 1025, r"blockDim\.x must be 1 to 1024 on a GPU, but is 1025"), (1, (1, 1, 65), r"\.z must be 1 to 64"),
        (1, (32, 33), "at most 1024 threads on a GPU, but has 1056"), ((1, 1, 1, 1), 1, "one to three axes"),
    ):
        with pytest.raises(ValueError, match=words):
            device.launch(fill, blocks, threads, x)


def test_float64_arithmetic_is_seen():
    @numba_cuda.jit
    def halve(x):
        x[0] *= 0.1

    compiler = Compiler(QUICK)
    compiler.launch(halve, 1, 32, np.ones(3, np.float32))
    compiler.launch(halve, 1, 64, np.ones(3, np.float32))
    build, = compiler.builds
    assert "mul.f64" in build.float64_instructions()
    assert build.threads == 64


def test_what_cannot_be_typed_is_seen():
    @numba_cuda.jit
    def untyped(x):
        x[0] = "one"

    with pytest.raises(Exception, match="No implementation of function"):
        Compiler(QUICK).launch(untyped, 1, 1, np.ones(3))


def test_the_assembler_counts():
    @numba_cuda.jit
    def reverse(x):
        shared, own = numba_cuda.shared.array(100, types.float32), numba_cuda.local.array(50, types.float32)
        t = numba_cuda.threadIdx.x
        for i in range(50):
            own[i] = x[i * t]
        shared[t] = own[int(x[0])]
        numba_cuda.syncthreads()
        x[t] = shared[99 - t]

    compiler = Compiler([(8, 0)])
    compiler.launch(reverse, 1, 100, np.ones(5000, np.float32))
    needs = compiler.builds[0].resources((8, 0))
    assert (needs.shared, needs.local) == (400, 200)
    assert 8 <= needs.registers <= 255
    with pytest.raises(ValueError, match="the assembler finds an error"):
        assemble(compiler.builds[0].ptx[8, 0].replace("bar.sync", "bar.none"), (8, 0))


def test_memory_that_nobody_wrote_is_zero(compiler):
    y = cuda.squeeze(np.ones((2, 3, 4, 5), np.float32))
    assert (y.shape, y.dtype, cuda.to_host(y).any()) == ((2, 5), np.float32, False)
    assert isinstance(compiler.builds[-1], Build)
