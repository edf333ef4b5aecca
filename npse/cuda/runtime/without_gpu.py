"""A runner for computers without a GPU: for what is known before a kernel runs, such as how it compiles."""

import numpy as np

from npse.cuda.runtime.simulator import Runner


class HostArray(np.ndarray):
    """A NumPy array with the attributes of a device array that `npse.cuda.runtime.device` uses."""

    __cuda_ndarray__ = True

    def copy_to_host(self):
        return np.array(self)


class WithoutGpu(Runner):
    """A runner whose arrays are on the host, and whose kernels do not run. Subclasses say what a launch does.

    Parameters
    ----------
    capability : (int, int), optional
        The compute capability of the GPU that it stands for; without it, of any GPU.
    """

    def __init__(self, capability=None):
        self.capability = capability

    def empty(self, shape, dtype):
        return np.zeros(shape, dtype).view(HostArray)

    def to_device(self, array):
        return np.array(array, order="C").view(HostArray)

    def synchronize(self):
        """Do nothing: no kernel runs."""
