"""The runner for the GPU: one stream for kernels and copies, a memory pool, and CUDA graphs.

It calls functions of numba-cuda and cuda.core. The extra `cuda` installs the versions that have these functions.
"""

import functools
import math
import weakref

import numpy as np
from cuda.core import Device, Stream
from numba import config, cuda
from numba.cuda import types
from numba.cuda.cudadrv.devicearray import DeviceNDArray
from numba.cuda.cudadrv.driver import CudaAPIError
from numba.cuda.np.numpy_support import from_dtype

from npse.cuda.runtime.memory_pool import MemoryPool
from npse.cuda.runtime.simulator import Runner


class Gpu(Runner):
    """The first GPU. Methods start work and return at once; only `to_host`, `synchronize` and `stopwatch` wait."""

    def __init__(self):
        self._pool, self._graph = MemoryPool(self._memory), None      # the graph that is being recorded
        self._of_graphs = weakref.WeakSet()                       # the memory pools of the graphs in use

    def empty(self, shape, dtype):
        size = math.prod(shape) * dtype.itemsize
        block, give_back = self._pool.acquire(size)
        # the block returns to the pool when the array and all views of it are gone
        memory = cuda.MemoryPointer(self._context, block.device_pointer, size, finalizer=give_back)
        return Array(shape, _strides(shape, dtype.itemsize), dtype, gpu_data=memory)

    def to_device(self, array):
        self._expect_no_graph()
        copy = self.empty(array.shape, array.dtype)
        # with a stream, the copy runs after the kernels before it; without one, this call would wait for them
        copy.copy_to_device(np.asarray(array, order="C"), stream=self._stream)
        return copy

    def to_host(self, array):
        self._expect_no_graph()
        return array.copy_to_host()

    def launch(self, kernel, blocks, threads, *arguments):
        plain = self._graph is None
        started = _configured(kernel, blocks, threads) if plain else _launcher(kernel, blocks, threads, self._graph)
        started(*arguments)

    def record(self, task):
        self._pool.clear()
        graph = self._device.create_graph_builder()
        graph.begin_building()
        # a separate memory pool: arrays made between two runs of the graph must not use the memory that it writes
        pool, kept = self._pool, MemoryPool(self._memory)
        self._graph, self._pool = graph, kept
        try:
            task()
        finally:
            self._graph, self._pool = None, pool
            graph.end_building()
        ready = graph.complete()
        self._of_graphs.add(kept)

        def replay(kept=kept):
            ready.launch(Stream.from_handle(0))                   # the stream of all other work
        return replay

    def synchronize(self):
        cuda.synchronize()

    def memory(self):
        return self._pool.size + sum(pool.size for pool in self._of_graphs)

    def stopwatch(self, task):
        begin, end = cuda.event(), cuda.event()
        begin.record()
        task()
        end.record()
        end.synchronize()
        return begin.elapsed_time(end)

    @functools.cached_property
    def _context(self):
        return cuda.current_context()

    @functools.cached_property
    def _stream(self):
        return cuda.default_stream()

    @functools.cached_property
    def _device(self):
        device = Device()
        device.set_current()
        return device

    def _memory(self, size):
        try:
            return self._context.memalloc(size)
        except CudaAPIError as error:
            if "OUT_OF_MEMORY" not in str(error):
                raise
            free, total = self._context.get_memory_info()
            raise MemoryError(
                f"the GPU's memory is full: {size / 1e6:.0f} MB more are needed, {free / 1e6:.0f} of "
                f"{total / 1e6:.0f} MB are free; lower batch_size, or end other programs on the GPU") from error

    def _expect_no_graph(self):
        """Raise RuntimeError while a graph is recorded: it would not contain a copy between host and device."""
        if self._graph is not None:
            raise RuntimeError("a recorded task must not copy between host and device; make such copies before the "
                               "recording, or after it")


class Array(DeviceNDArray):
    """Numba's device array with two faster operations, of which a training step needs thousands: type and reshape."""

    @property
    def _numba_type_(self):
        return _type(self.dtype, self.ndim) if self.is_c_contiguous() else super()._numba_type_

    def reshape(self, *shape):
        shape = shape[0] if len(shape) == 1 and isinstance(shape[0], (tuple, list)) else shape
        if self.is_c_contiguous() and math.prod(shape) == self.size and min(shape, default=0) >= 0:
            return Array(shape, _strides(tuple(shape), self.dtype.itemsize), self.dtype, gpu_data=self.gpu_data)
        return super().reshape(*shape)


@functools.cache
def _type(dtype, ndim):
    return types.Array(from_dtype(dtype), ndim, "C")


@functools.cache
def _strides(shape, itemsize):
    return tuple(itemsize * math.prod(shape[axis + 1:]) for axis in range(len(shape)))


@functools.cache
def _configured(kernel, blocks, threads):
    return _launcher(kernel, blocks, threads)


def _launcher(kernel, *configuration):
    """Return kernel[configuration] without Numba's warning about small grids: small arrays need only few blocks.

    Numba reads the setting at this call. It is restored after it, because the user's own kernels may need it.
    """
    before, config.CUDA_LOW_OCCUPANCY_WARNINGS = config.CUDA_LOW_OCCUPANCY_WARNINGS, 0
    try:
        return kernel[configuration]
    finally:
        config.CUDA_LOW_OCCUPANCY_WARNINGS = before
