"""The CUDA edition: the ops of the book as hand-written kernels on numba.cuda, by the same names.

An op takes device arrays or NumPy arrays, which it copies to the device, and leaves its results on the device:
`to_device` and `to_host` move arrays. What has no kernel runs by the book, on the host.
"""

from npse.cuda.book import *  # noqa: F403  the whole book; the imports below replace its ops

# isort: split
from npse.cuda.device import missing, to_device, to_host
from npse.cuda.se import scale, scale_backward, squeeze, squeeze_backward

global_average_pool, global_average_pool_backward = squeeze, squeeze_backward
