"""Runs the threads of a block in Numba's simulator one after the other, as greenlets.

Numba itself starts a thread of the operating system for each of them, and asks all, again and again, whether they wait
at a barrier. Here a thread runs until it waits at a barrier or ends; then the next one runs. When all wait or have
ended, those that wait go on, now in the opposite order: code that lacks a barrier is seldom right in both orders.
"""

from types import SimpleNamespace

import numpy as np
from greenlet import getcurrent, greenlet
from numba.cuda.simulator import kernel as simulator
from numba.cuda.simulator import kernelapi


class SimulatedThread(greenlet):
    """A thread of a block. It takes the place of the simulator's ``BlockThread`` and has its arguments and methods."""

    def __init__(self, function, manager, block, thread, debug):
        super().__init__()
        self._function, self._manager, self._debug = function, manager, debug
        self.blockIdx, self.threadIdx = kernelapi.Dim3(*block), kernelapi.Dim3(*thread)
        width, height, _ = manager._block_dim
        self.thread_id = thread[0] + width * (thread[1] + height * thread[2])

    def run(self):
        """Run the kernel. An error is raised again with the place of the thread, as the simulator words it."""
        try:
            with np.errstate(**{"divide": "raise"} if self._debug else {}):
                self._function()
        except Exception as error:
            place = f"tid={[*self.threadIdx]} ctaid={[*self.blockIdx]}"
            words = f"{place}: {error}" if str(error) else place
            raise type(error)(words).with_traceback(error.__traceback__) from None

    def syncthreads(self):
        """Wait until all threads of the block that have not ended wait."""
        self.parent.switch()

    syncthreads_count = simulator.BlockThread.syncthreads_count
    syncthreads_and = simulator.BlockThread.syncthreads_and
    syncthreads_or = simulator.BlockThread.syncthreads_or


def _run_block(manager, block, *arguments):
    """Run all threads of a block; replaces ``BlockManager.run``."""
    threads = [simulator.BlockThread(lambda: manager._f(*arguments), manager, block, thread, manager._debug)
               for thread in np.ndindex(*manager._block_dim)]
    try:
        while threads:
            for thread in threads:
                thread.switch()
            threads = [thread for thread in reversed(threads) if not thread.dead]
    finally:
        for thread in threads:                                    # of a block in which another thread failed
            if not thread.dead:
                thread.throw()


def current_thread():
    """Return the thread of the device that is running."""
    return getcurrent()


def use():
    """Make the simulator run its threads like this."""
    simulator.BlockThread, simulator.BlockManager.run = SimulatedThread, _run_block
    kernelapi.threading = SimpleNamespace(current_thread=current_thread)     # all that its functions use
