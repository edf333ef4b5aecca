"""What the cuda edition asks of the driver, with a stub of it that is compiled here: no GPU is needed.

Its kernels do nothing, so no number is checked. Addresses, sizes, values of arguments, memory and recordings are.
"""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("numba_cuda", reason="numba-cuda is not installed")

COMPILER = shutil.which("cc") or shutil.which("gcc") or shutil.which("clang")
pytestmark = [
    pytest.mark.skipif(not sys.platform.startswith("linux"), reason="the stub is a libcuda.so.1 of Linux"),
    pytest.mark.skipif(COMPILER is None, reason="no C compiler was found, so no stub of the driver can be made"),
]
SOURCE = Path(__file__).with_name("cuda_driver_stub.c")
BEGIN = """
import ctypes, gc, json, threading
from types import SimpleNamespace
import numpy as np
from npse import backend, cuda
from npse.cuda.runtime import device, machine_code
stub = ctypes.CDLL("libcuda.so.1")
def of_stub(name, kind=ctypes.c_int):
    return kind.in_dll(stub, name)
def raised(task):
    try:
        task()
    except Exception as error:
        return f"{type(error).__name__}: {error}"
launches, F = of_stub("stub_launches"), np.float32
"""


@pytest.fixture(scope="module")
def stub(tmp_path_factory):
    """The folder with the stub of the driver."""
    folder = tmp_path_factory.mktemp("driver")
    subprocess.run([COMPILER, "-shared", "-fPIC", "-w", "-o", folder / "libcuda.so.1", SOURCE, "-ldl"], check=True)
    return folder


@pytest.fixture(scope="module")
def kernels(tmp_path_factory):
    """The folder of compiled kernels that the tests here share."""
    return tmp_path_factory.mktemp("kernels")


@pytest.fixture
def answers(stub, kernels):
    """A function: code that sets ``found`` -> its value, from a process with the stub."""
    def run(code, folder=kernels):
        variables = {name: value for name, value in os.environ.items() if name != "NUMBA_ENABLE_CUDASIM"}
        variables |= {"LD_LIBRARY_PATH": str(stub), "NPSE_CACHE_DIR": str(folder)}
        ran = subprocess.run([sys.executable, "-c", f"{BEGIN}\n{code}\nprint(json.dumps(found))"], env=variables,
                             capture_output=True, text=True)
        assert ran.returncode == 0, ran.stderr
        return json.loads(ran.stdout.splitlines()[-1])
    return run


def test_arrays_go_to_the_device_and_back(answers):
    found = answers("""
found = []
for dtype in ("float32", "float64", "uint8", "int32", "int64", "bool"):
    for shape in ((), (1,), (7,), (2, 3), (2, 0, 3), (2, 3, 4, 5)):
        wanted = np.arange(np.prod(shape, dtype=int)).reshape(shape).astype(dtype)
        there = cuda.to_device(wanted)
        here = cuda.to_host(there)
        found.append(here.tobytes() == wanted.tobytes() and here.dtype == wanted.dtype and
                     (there.shape, there.dtype, there.size, there.nbytes, there.ndim) ==
                     (wanted.shape, wanted.dtype, wanted.size, wanted.nbytes, wanted.ndim) and
                     (there.strides == wanted.strides or not wanted.size))
strided = np.arange(12, dtype=F).reshape(3, 4)[:, ::2]
found.append(np.array_equal(cuda.to_host(cuda.to_device(strided)), strided))
found.append(np.asarray(cuda.to_device(strided), np.float64).dtype == np.float64)
found.append(np.array_equal(np.asarray(cuda.to_device(strided)), strided))
there = cuda.to_device(wanted)
found.append(cuda.to_device(there) is there)""")
    assert found == [True] * len(found)


def test_views_are_those_of_numpy(answers):
    found = answers("""
wanted = np.arange(24, dtype=F).reshape(4, 3, 2)
there = cuda.to_device(wanted)
views = [lambda x: x[1:3], lambda x: x[-1], lambda x: x[2:2], lambda x: x[1:99], lambda x: x[:], lambda x: x[3][1:],
         lambda x: x.reshape(24), lambda x: x.reshape(2, -1), lambda x: x.reshape((6, 4)), lambda x: x[1].reshape(6)]
found = {"views": [np.array_equal(cuda.to_host(view(there)), view(wanted)) for view in views],
         "errors": [raised(lambda: there[4]), raised(lambda: there[::2]), raised(lambda: there[[0]]),
                    raised(lambda: there.reshape(5)), raised(lambda: there.reshape(-1, 7)),
                    raised(lambda: len(cuda.to_device(F(1))))]}""")
    assert all(found["views"])
    assert [error.split(":")[0] for error in found["errors"]] == ["IndexError", "TypeError", "TypeError", "ValueError",
                                                                   "ValueError", "TypeError"]


def test_a_view_keeps_its_memory_and_memory_without_views_is_used_again(answers):
    assert answers("""
def place(array):
    return array.pointer
array = device.empty((2, 4, 4, 3), "float32")
first, view = place(array), array.reshape(2, 16, 3)[1]
del array
other = device.empty((2, 4, 4, 3), "float32")
found = [place(other) != first, place(view) == first + 4 * 48]
del view
found.append(place(device.empty((96,), "float32")) == first)""") == [True, True, True]


def test_the_arrays_of_numba_are_seen_where_they_are(answers):
    assert answers("""
def of_numba(array):
    return SimpleNamespace(__cuda_ndarray__=True, copy_to_host=array.copy, __cuda_array_interface__={
        "data": (array.ctypes.data, False), "shape": array.shape, "typestr": array.dtype.str, "strides": array.strides})
wanted = np.arange(12, dtype=F).reshape(3, 4)
whole, part = cuda.to_device(of_numba(wanted)), cuda.to_device(of_numba(wanted[:, ::2]))
found = [whole.pointer == wanted.ctypes.data, np.array_equal(cuda.to_host(part), wanted[:, ::2]), part.strides]
""") == [True, True, [8, 4]]


def test_a_launch_hands_over_the_values_of_its_arguments(answers):
    found = answers("""
from collections import namedtuple
Sizes = namedtuple("Sizes", "rows, share")
@device.kernel
def kernel(x, y, whole, small, single, double, yes, sizes):
    y[0] = x[0, 0] * single * double * whole * small * sizes.rows * sizes.share * yes
x, y = device.empty((2, 3), "float32"), device.empty((5,), "float64")
given = x, y, -5, np.int32(-7), F(0.1), np.float64(0.1), True, Sizes(3, 0.5)
of_stub("stub_parameters").value = 9 + 7 + 5 + 2
words, sizes = of_stub("stub_words", ctypes.c_uint64 * 512), of_stub("stub_sizes", ctypes.c_uint * 6)
device.launch(kernel, (4, 5), 64, *given)
raw = np.array(words[:], np.uint64)
f32 = lambda k: float(raw[k:k + 1].view(F)[0])
f64 = lambda k: float(raw[k:k + 1].view(np.float64)[0])
found = {"x": raw[2:9].tolist(), "x pointer": x.pointer, "y": raw[11:16].tolist(), "y pointer": y.pointer,
         "whole": int(raw[16:17].view(np.int64)[0]), "small": int(raw[17:18].view(np.int32)[0]), "single": f32(18),
         "sizes": list(sizes)}
device.launch(kernel, 1, (8, 4, 2), *given)
raw = np.array(words[:], np.uint64)
found |= {"double": f64(19), "yes": int(raw[20:21].view(np.uint8)[0]), "rows": int(raw[21]), "share": f64(22),
          "next sizes": list(sizes)}""")
    assert found["x"] == [6, 4, found["x pointer"], 2, 3, 12, 4]
    assert found["y"] == [5, 8, found["y pointer"], 5, 8]
    assert (found["whole"], found["small"]) == (-5, -7)
    assert (found["single"], found["double"]) == (pytest.approx(0.1, rel=1e-7), 0.1)
    assert (found["yes"], found["rows"], found["share"]) == (1, 3, 0.5)
    assert (found["sizes"], found["next sizes"]) == ([4, 5, 1, 64, 1, 1], [1, 1, 1, 8, 4, 2])


STEP = """
from npse import models
from npse.training import SGD, Step
names = []
to_ptx = machine_code.to_ptx
machine_code.to_ptx = lambda kernel, *rest: names.append(kernel.__name__) or to_ptx(kernel, *rest)
def trained(images=4):
    network = models.resnet(8, input_gradient=False, widths=(4, 4, 4)).to_device()
    optimizer = SGD(network)
    optimizer.to_device()
    return Step(network, optimizer, 0.1), cuda.to_device(np.zeros((images, 8, 8, 3), F)), np.zeros(images, int)
with backend.using_edition(cuda):
    step, x, labels = trained()
    labels = cuda.to_device(labels.astype(np.int32))
    step.plain(x, labels, 0.1)
"""


@pytest.mark.slow
def test_the_next_process_loads_all_kernels_and_compiles_none(answers, tmp_path):
    compiled = answers(STEP + "found = names", tmp_path)
    assert len(compiled) > 20
    assert answers(STEP + "found = names", tmp_path) == []
    assert answers("of_stub('stub_major').value = 8\n" + STEP + "found = len(names)", tmp_path) == len(compiled)
    for file in list(tmp_path.rglob("*.cubin"))[:3]:
        file.write_bytes(file.read_bytes()[:-1])
    assert len(answers(STEP + "found = names", tmp_path)) in (1, 2, 3)      # damaged ones, of this capability


def test_kernels_of_two_kinds_of_gpus_are_told_apart(answers):
    """Else a folder that was filled for one would count as filled for the other."""
    found = answers("""
from npse.cuda.runtime.compile_ahead import Kernels
work = lambda: cuda.relu(np.ones((2, 3), F))
names = [set(Kernels(capability).needed_by(work)) for capability in ((8, 0), (9, 0), (9, 0))]
found = [len(names[0]), len(names[0] & names[1]), len(names[1] & names[2])]""")
    assert found == [1, 0, 1]


@pytest.mark.slow
def test_a_recording_repeats_the_launches_in_memory_of_its_own(answers):
    found = answers(STEP + """
    make = lambda: step.plain(x, labels, 0.1)
    gc.collect()
    launches.value = 0
    make()
    in_a_step, inside = launches.value, set()
    launches.value = 0
    replay = device.record(lambda: (make(), [inside.add(device.empty((4, 8, 8, 4), "float32").pointer)
                                             for _ in range(3)]))
    recorded, held = launches.value, device.memory()
    outside = [device.empty((4, 8, 8, 4), "float32") for _ in range(9)]
    replay(), replay()
    found = {"step": in_a_step, "while recording": recorded, "twice": launches.value, "places": len(inside),
             "apart": not inside & {array.pointer for array in outside}}
    found["errors"] = [raised(lambda: device.record(lambda: cuda.to_host(x))),
                       raised(lambda: device.record(lambda: cuda.to_device(np.ones(3)))),
                       raised(lambda: device.record(lambda: 1 / 0))]
    launches.value = 0
    make()
    found["after errors"] = launches.value
    held = device.memory()
    del replay
    gc.collect()
    found["memory given back"] = device.memory() < held""")
    assert found["step"] > 50
    assert found["while recording"] == 0
    assert found["twice"] == 2 * found["step"] == 2 * found["after errors"]
    assert found["places"] == 1                                   # memory is used again within a recording
    assert found["apart"]
    assert found["memory given back"]
    assert [error.split(":")[0] for error in found["errors"]] == ["RuntimeError", "RuntimeError", "ZeroDivisionError"]
    assert "must not copy between host and device" in found["errors"][0]


@pytest.mark.slow
def test_evaluation_is_recorded_and_the_batches_of_an_epoch_are_copied_once(answers):
    found = answers(STEP + """
    from npse.training import evaluation
    from npse import data
    network = step.network
    images, mean, std = (cuda.to_device(a) for a in (np.zeros((32, 8, 8, 3), np.uint8), np.zeros(3, F), np.ones(3, F)))
    calls = []
    count = device._runner.launch
    def launch(*arguments):
        calls.append(1)
        count(*arguments)
    device._runner.launch = launch
    evaluation.predict(network, images[:4], mean, std, batch_size=4)
    one = len(calls)
    calls.clear()
    launches.value = 0
    evaluation.predict(network, images, mean, std, batch_size=4)
    found = {"one": one, "all": len(calls), "started": launches.value}
    device._runner.launch = count
    copies = []
    there = device._runner.to_device
    device._runner.to_device = lambda array: copies.append(array.shape) or there(array)
    made = list(data.training_batches(images, np.zeros(32, int), mean, std, 8, 0, 0))
    found["copies"], found["shapes"] = copies, [(x.shape, len(y)) for x, y in made]""")
    assert found["all"] < 3 * found["one"] + 8 * 4                # a plain batch, a recorded one, and copies
    assert found["started"] > 7 * found["one"]                    # but every batch was computed
    assert found["copies"] == [[4, 8]] * 4                        # images, corners twice, mirrored
    assert found["shapes"] == [[[8, 8, 8, 3], 8]] * 4


def test_every_thread_may_launch(answers):
    assert answers("""
results = []
def work():
    x = cuda.to_device(np.ones((2, 3), F))
    cuda.relu(x)
    results.append(cuda.to_host(x).tolist())
threads = [threading.Thread(target=work) for _ in range(4)]
for thread in threads: thread.start()
for thread in threads: thread.join()
found = results""") == [[[1, 1, 1], [1, 1, 1]]] * 4


def test_a_full_gpu_is_reported_in_one_line_after_free_blocks_were_released(answers):
    found = answers("""
of_stub("stub_memory", ctypes.c_size_t).value = 10**6
del_me = device.empty((10**5,), "float64")
del del_me
device.empty((9 * 10**4,), "float64")                 # fits only if the first block is released
found = raised(lambda: device.empty((10**6,), "float32"))""")
    assert found == ("MemoryError: the GPU's memory is full: 4 MB more are needed, 1 of 1 MB are free; "
                     "lower batch_size, or end other programs on the GPU")


def test_a_launch_that_the_driver_refuses_names_the_error(answers):
    found = answers("""
from npse.cuda.runtime import driver
found = [raised(lambda: driver.call("cuModuleUnload", 1)), raised(lambda: device.launch(device.kernel(lambda x: None),
         (1, 70000), 32, 1))]""")
    assert found[0] == ("DriverError: cuModuleUnload of the CUDA driver failed: an error of the stub, "
                        "CUDA_ERROR_STUB")
    assert "gridDim.y must be 1 to 65535" in found[1]


@pytest.mark.parametrize(("optimizer", "most"), [("sgd", 264), ("muon", 333)])
def test_the_launches_of_a_step_of_se_resnet20(answers, optimizer, most):
    """No more than docs/cuda.md says; no kernel is compiled here."""
    found = answers(f"""
from npse.cuda.runtime.without_gpu import WithoutGpu
from npse.training import Config, Step, build_network
class Counter(WithoutGpu):
    count = 0
    def launch(self, *arguments):
        self.count += 1
counter = Counter()
device.use(counter)
config = Config(model="se_resnet20", optimizer="{optimizer}")
with backend.using_edition(cuda):
    network = build_network(config, 10, (32, 32, 3), input_gradient=False).to_device()
    made = config.optimizer_for(network)
    made.to_device()
    step, labels = Step(network, made, 0.1), cuda.to_device(np.zeros(8, np.int32))
    step.plain(cuda.to_device(np.zeros((8, 32, 32, 3), F)), labels, 0.1)
found = counter.count""")
    assert found <= most
