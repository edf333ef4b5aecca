"""The runner for the GPU: one stream for kernels and copies, a memory pool, and recorded work.

Everything runs in one stream, in the order of its calls, so a kernel needs no other sign that its arguments are ready.
The stream waits for work of other libraries in the default stream, and they wait for it.
"""

import functools
import math
import weakref

import numpy as np

from npse.cuda.runtime import machine_code
from npse.cuda.runtime.device_array import DeviceArray
from npse.cuda.runtime.driver import INVALID_CONTEXT, DriverError, call, driver
from npse.cuda.runtime.launcher import Launcher, kind_of
from npse.cuda.runtime.memory_pool import MemoryPool
from npse.cuda.runtime.simulator import Runner
from npse.cuda.runtime.vector_array import vector_dtype


class Gpu(Runner):
    """The first GPU. Methods start work and return at once; only `to_host`, `synchronize` and `stopwatch` wait."""

    def __init__(self):
        self._pool, self._recording = MemoryPool(self._allocated), False
        self._of_recordings = weakref.WeakSet()                   # the memory pools of the recordings in use
        self._launchers = {}

    def empty(self, shape, dtype):
        block, give_back = self._pool.acquire(math.prod(shape) * dtype.itemsize)
        return DeviceArray(shape, dtype, block.pointer, _Lent(block, give_back), self)

    def to_device(self, array):
        self._expect_no_recording()
        array = np.asarray(array, order="C")
        copy = self.empty(array.shape, array.dtype)
        if copy.size:
            call("cuMemcpyHtoDAsync", copy.pointer, array.ctypes.data, copy.nbytes, self._stream)
        return copy

    def to_host(self, array):
        self._expect_no_recording()
        copy = np.empty(array.shape, array.dtype)
        if copy.size:
            call("cuMemcpyDtoHAsync", copy.ctypes.data, array.pointer, copy.nbytes, self._stream)
        self.synchronize()
        return copy

    def adopt(self, array):
        """Return a view of another library's array on the device as an array of this edition; see `Runner.adopt`."""
        if type(array) is DeviceArray:
            return array
        facts = array.__cuda_array_interface__
        dtype, shape = np.dtype(facts["typestr"]), tuple(facts["shape"])
        view = DeviceArray(shape, dtype, facts["data"][0], array, self)
        return view if facts.get("strides") in (None, view.strides) else None

    def address(self, array):
        return array.pointer

    def vectors(self, array, lanes, shape):
        return DeviceArray(shape, vector_dtype(array.dtype, lanes), array.pointer, array.memory, self)

    def launch(self, kernel, blocks, threads, *arguments):
        kinds = (kernel, *map(kind_of, arguments))
        launcher = self._launchers.get(kinds) or self._launcher(kinds, arguments)
        try:
            launcher(blocks, threads, arguments, self._stream)
        except DriverError as error:
            if error.code != INVALID_CONTEXT:
                raise
            call("cuCtxSetCurrent", self._context)                # this thread launches for the first time
            launcher(blocks, threads, arguments, self._stream)

    def record(self, task):
        self._pool.clear()
        # a separate memory pool: arrays made between two runs of the recording must not use the memory that it writes
        pool, kept, graph = self._pool, MemoryPool(self._allocated), None
        call("cuStreamBeginCapture", self._stream, driver.CUstreamCaptureMode.CU_STREAM_CAPTURE_MODE_RELAXED)
        self._recording, self._pool = True, kept
        try:
            task()
        finally:
            self._recording, self._pool = False, pool
            _, graph = driver.cuStreamEndCapture(self._stream)    # after a failed task there may be no graph
        self._of_recordings.add(kept)
        return _Recording(call("cuGraphInstantiate", graph, 0), graph, self._stream, kept)

    def synchronize(self):
        call("cuStreamSynchronize", self._stream)

    def memory(self):
        return self._pool.size + sum(pool.size for pool in self._of_recordings)

    def stopwatch(self, task):
        begin, end = (call("cuEventCreate", 0) for _ in range(2))
        call("cuEventRecord", begin, self._stream)
        task()
        call("cuEventRecord", end, self._stream)
        call("cuEventSynchronize", end)
        milliseconds = call("cuEventElapsedTime", begin, end)
        for event in (begin, end):
            call("cuEventDestroy", event)
        return milliseconds

    @functools.cached_property
    def capability(self):
        """The compute capability of the GPU, such as (9, 0)."""
        kinds = driver.CUdevice_attribute
        return tuple(call("cuDeviceGetAttribute", kind, self._device)
                     for kind in (kinds.CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR,
                                  kinds.CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MINOR))

    def _launcher(self, kinds, arguments):
        """Load the machine code of a kernel for the types of these arguments; return its `Launcher`."""
        signature = machine_code.signature_of(arguments)
        code = machine_code.machine_code(kinds[0], signature, self.capability)
        call("cuCtxSetCurrent", self._context)
        module = call("cuModuleLoadData", code.cubin)             # stays loaded until the process ends
        function = call("cuModuleGetFunction", module, code.entry.encode())
        launcher = self._launchers[kinds] = Launcher(int(function), signature, code.parameters)
        return launcher

    @functools.cached_property
    def _device(self):
        call("cuInit", 0)
        return call("cuDeviceGet", 0)

    @functools.cached_property
    def _context(self):
        context = call("cuDevicePrimaryCtxRetain", self._device)  # that of all other libraries, too
        call("cuCtxSetCurrent", context)
        return context

    @functools.cached_property
    def _stream(self):
        call("cuCtxSetCurrent", self._context)
        return int(call("cuStreamCreate", driver.CUstream_flags.CU_STREAM_DEFAULT))

    def _allocated(self, size):
        call("cuCtxSetCurrent", self._context)
        try:
            return _Allocation(int(call("cuMemAlloc", size)), size)
        except MemoryError:
            free, total = call("cuMemGetInfo")
            raise MemoryError(
                f"the GPU's memory is full: {size / 1e6:.0f} MB more are needed, {free / 1e6:.0f} of "
                f"{total / 1e6:.0f} MB are free; lower batch_size, or end other programs on the GPU") from None

    def _expect_no_recording(self):
        """Raise RuntimeError while work is recorded: the recording would not contain a copy between host and device."""
        if self._recording:
            raise RuntimeError("a recorded task must not copy between host and device; make such copies before the "
                               "recording, or after it")


class _Allocation:
    """Memory of the device; it is freed with the object."""

    def __init__(self, pointer, size):
        self.pointer, self.size = pointer, size

    def __del__(self, free=driver.cuMemFree):
        free(self.pointer)                    # the process may be ending, and the driver with it: no error is raised


class _Lent:
    """A block of a memory pool in use; it returns to the pool with the object."""

    __slots__ = "_give_back", "block"

    def __init__(self, block, give_back):
        self.block, self._give_back = block, give_back

    def __del__(self):
        self._give_back()


class _Recording:
    """Starts recorded work; see `npse.cuda.runtime.device.record`. ``memory`` is that of its arrays."""

    def __init__(self, started, graph, stream, memory):
        self._started, self._graph, self._stream, self._memory = started, graph, stream, memory

    def __call__(self):
        call("cuGraphLaunch", self._started, self._stream)

    def __del__(self, free=(driver.cuGraphExecDestroy, driver.cuGraphDestroy)):
        for destroy, handle in zip(free, (self._started, self._graph), strict=True):
            destroy(handle)
