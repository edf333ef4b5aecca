"""The memory pool of the device, tested without a device: the pool is plain Python."""

import warnings
from types import SimpleNamespace

import numpy as np
import pytest

pytest.importorskip("numba_cuda", reason="numba-cuda is not installed")

from npse.cuda.runtime import device
from npse.cuda.runtime.memory_pool import GRAIN, MemoryPool


class Memory:
    """Memory of a limited size, in numbered blocks. A block without references is free."""

    def __init__(self, room):
        self.room, self.used, self.made = room, 0, 0

    def __call__(self, size):
        if self.used + size > self.room:
            raise MemoryError(f"{size} more")
        self.made += 1
        return Block(self, size, self.made)


class Block:
    def __init__(self, memory, size, number):
        self.memory, self.size, self.number = memory, size, number
        memory.used += size

    def __del__(self):
        self.memory.used -= self.size


def test_a_returned_block_is_used_again():
    memory = Memory(100 * GRAIN)
    pool = MemoryPool(memory)
    first, give_back = pool.acquire(3 * GRAIN)
    second, _ = pool.acquire(3 * GRAIN)
    assert first is not second
    give_back()
    third, _ = pool.acquire(3 * GRAIN - 1)                          # the same, rounded up
    assert third is first
    assert memory.made == 2


def test_a_block_in_use_is_not_given_out_again():
    pool = MemoryPool(Memory(100 * GRAIN))
    in_use = [pool.acquire(GRAIN)[0] for _ in range(10)]
    assert len({block.number for block in in_use}) == 10


def test_a_repeated_step_needs_no_new_memory():
    memory = Memory(1000 * GRAIN)
    pool = MemoryPool(memory)

    def step():
        backs = [pool.acquire(size * GRAIN)[1] for size in (1, 5, 3, 5)]
        backs[1]()
        backs += [pool.acquire(size * GRAIN)[1] for size in (5, 2)]
        for back in (backs[0], *backs[2:]):
            back()
    step()
    made = memory.made
    for _ in range(5):
        step()
    assert memory.made == made == 5
    assert pool.size == memory.used == (1 + 5 + 3 + 5 + 2) * GRAIN


def test_if_memory_is_full_free_blocks_are_released_first():
    memory = Memory(10 * GRAIN)
    pool = MemoryPool(memory)
    pool.acquire(8 * GRAIN)[1]()
    block, _ = pool.acquire(9 * GRAIN)                              # only if the block of 8 is released
    assert block.size == pool.size == 9 * GRAIN
    with pytest.raises(MemoryError):
        pool.acquire(2 * GRAIN)


def test_size_zero_is_allowed():
    pool = MemoryPool(Memory(10 * GRAIN))
    assert pool.acquire(0)[0].size == GRAIN


@pytest.fixture
def gpu():
    """The runner of a GPU whose driver only gives out addresses: arrays can be made, but not filled."""
    bindings = pytest.importorskip("cuda.bindings.driver")
    addresses = iter(range(4096, 2**20, 4096))
    from npse.cuda.runtime.gpu import Gpu

    runner = Gpu()
    runner.__dict__["_context"] = SimpleNamespace(
        memalloc=lambda size: SimpleNamespace(device_pointer=bindings.CUdeviceptr(next(addresses))))
    return runner


@pytest.mark.skipif(device.SIMULATED, reason="the simulator has arrays of its own")
class TestArrays:
    FLOAT = np.dtype(np.float32)

    def test_views_keep_their_memory(self, gpu):
        array = gpu.empty((2, 4, 4, 3), self.FLOAT)
        place = array.device_ctypes_pointer.value
        view = array.reshape(2, 16, 3).reshape(96)
        part = view.gpu_data.view(40, 80)                         # the memory of a slice; a real slice calls the driver
        del array, view
        assert gpu.empty((96,), self.FLOAT).device_ctypes_pointer.value != place
        assert part.device_ctypes_pointer.value == place + 40
        del part
        assert gpu.empty((6, 16), self.FLOAT).device_ctypes_pointer.value == place

    @pytest.mark.parametrize("shape", [(), (1,), (7,), (2, 3), (2, 3, 4, 5)])
    def test_arrays_are_those_of_numba(self, gpu, shape):
        array, wanted = gpu.empty(shape, self.FLOAT), np.empty(shape, self.FLOAT)
        assert (array.shape, array.strides, array.dtype) == (wanted.shape, wanted.strides, wanted.dtype)
        assert array.flags["C_CONTIGUOUS"]
        assert str(array._numba_type_) == f"array(float32, {len(shape)}d, C)"

    def test_a_full_gpu_is_reported_in_one_line(self, gpu):
        from numba.cuda.cudadrv.driver import CudaAPIError

        def memalloc(size):
            raise CudaAPIError(2, "Call to cuMemAlloc results in CUDA_ERROR_OUT_OF_MEMORY")
        gpu._context.memalloc, gpu._context.get_memory_info = memalloc, lambda: (5e6, 8e9)
        with pytest.raises(MemoryError, match=r"is full: 400 MB more .* 5 of 8000 MB are free; lower batch_size"):
            gpu.empty((10**8,), self.FLOAT)

    def test_a_graph_has_its_own_memory(self, gpu, builder):
        before = gpu.empty((100,), self.FLOAT).device_ctypes_pointer.value      # and free again
        places = []

        def task():
            assert builder.building
            places.extend(gpu.empty((100,), self.FLOAT).device_ctypes_pointer.value for _ in range(3))
        replay = gpu.record(task)
        assert not builder.building
        assert len(set(places)) == 1                                            # used again, inside the graph
        outside = [gpu.empty((100,), self.FLOAT) for _ in range(5)]
        assert places[0] not in [array.device_ctypes_pointer.value for array in outside]
        assert before not in places
        replay(), replay()
        assert builder.launched == 2
        assert gpu.memory() == 6 * GRAIN
        del replay
        assert gpu.memory() == 5 * GRAIN

    @pytest.mark.parametrize("setting", [0, 1])
    def test_small_grids_cause_no_warning_and_the_users_setting_stays(self, monkeypatch, setting):
        from numba import config, cuda

        from npse.cuda.runtime import gpu as hardware

        monkeypatch.setattr(config, "CUDA_LOW_OCCUPANCY_WARNINGS", setting)
        kernel = cuda.jit(lambda x: None)
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            assert hardware._configured(kernel, 1, 32).griddim == (1, 1, 1)
        assert setting == config.CUDA_LOW_OCCUPANCY_WARNINGS

    def test_a_recording_that_needs_the_host_fails(self, gpu, builder):
        array, pool = gpu.empty((3,), self.FLOAT), gpu._pool
        for task in (lambda: gpu.to_host(array), lambda: gpu.to_device(np.ones(3))):
            with pytest.raises(RuntimeError, match="must not copy between host and device"):
                gpu.record(task)
            assert not builder.building
            assert gpu._pool is pool


@pytest.fixture
def builder(gpu, monkeypatch):
    """The parts of cuda.core's graph builder that are used."""
    from npse.cuda.runtime import gpu as hardware

    class Builder:
        building, launched = False, 0

        def begin_building(self):
            self.building = True
            return self

        def end_building(self):
            self.building = False

        def complete(self):
            return SimpleNamespace(launch=self.launch)

        def launch(self, stream):
            self.launched += 1

    builder = Builder()
    gpu.__dict__["_device"] = SimpleNamespace(create_graph_builder=lambda: builder)
    monkeypatch.setattr(hardware, "Stream", SimpleNamespace(from_handle=lambda handle: handle))
    return builder
