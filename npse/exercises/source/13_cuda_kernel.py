# title: A CUDA kernel
# idea: one thread computes one number, and a check of the index stops threads beyond the end
# tools: cuda

# %% [markdown]
# # Exercise 13: A CUDA kernel
#
# On a GPU, this kernel has no loop over the array. Thousands of threads run the same kernel, one thread for each
# number, and each thread computes the index of its number. The formula is equation (4):
#
# $$y[n, i, j, c] = s[n, c] \; u[n, i, j, c]$$
#
# The launch starts whole blocks of 32 threads. So the last block may have threads beyond the end of the array. These
# threads must do nothing. Without a check of the index they write outside of the array.
#
# You need no GPU: Numba's simulator runs every thread in Python. `npse exercise check` turns the simulator on. To run
# the example in it, type `NUMBA_ENABLE_CUDASIM=1 python 13_cuda_kernel.py`.
#
# | array | shape |
# |---|---|
# | `u`, `y` | `(N, P, C)`, the H*W = P pixels of a map in one axis |
# | `s` | `(N, C)` |
#
# The threads are numbered 0, 1, 2 and so on. Thread `t` computes entry `t` of the flattened `y`. It must compute `n`,
# `p` and `c` from `t`: the channel changes fastest, then the pixel, then the picture.

# %%
import numpy as np
from numba import cuda


@cuda.jit
def scale_kernel(u, s, y):
    """One thread writes one number of y (N, P, C): u (N, P, C) times its gate in s (N, C)."""
    # BEGIN SOLUTION
    t = cuda.grid(1)
    if t < u.size:
        c = t % u.shape[2]
        p = t // u.shape[2] % u.shape[1]
        n = t // (u.shape[2] * u.shape[1])
        y[n, p, c] = u[n, p, c] * s[n, c]
    # END SOLUTION

# %% [given]
def scale(u, s):
    """Launch the kernel: u (N, H, W, C), s (N, C) -> y (N, H, W, C). The check has it too; leave it as it is."""
    flat = np.ascontiguousarray(u).reshape(u.shape[0], -1, u.shape[3])
    y = cuda.to_device(np.zeros_like(flat))
    scale_kernel[(u.size + 31) // 32, 32](cuda.to_device(flat), cuda.to_device(np.ascontiguousarray(s)), y)
    return y.copy_to_host().reshape(u.shape)

# %% [example]
u = np.arange(12.0).reshape(1, 2, 3, 2)
print("y, second channel\n", scale(u, np.array([[1.0, 0.5]]))[0, :, :, 1])

# %% [hint]
# cuda.grid(1) is the number of the thread. Which thread numbers are beyond the last entry, and what should these
# threads do?

# %% [hint]
# Check the index first: only threads with t < u.size write. The channel is the remainder of t divided by C. Divide the
# quotient by the number of pixels in the same way: the remainder is the pixel, the quotient is the picture.

# %% [hint]
# With C = u.shape[2] and P = u.shape[1], t is (n * P + p) * C + c. So c is t modulo C, p is t // C modulo P, and
# n is t // (C * P). One assignment to y at [n, p, c] completes the kernel.

# %% [tests]
import ast

from npse.exercises.static_check import bound_only_as_function, decorated_by, function_in
from npse.exercises.task import Task
from npse.gradcheck import cases_of


def own_threads(function, cells):
    kernel = function_in(cells, "scale_kernel")
    if not decorated_by(kernel, cells, "numba.cuda.jit") or not bound_only_as_function(cells, kernel.name):
        return "scale_kernel is not a CUDA kernel: put @cuda.jit above it"
    if any(isinstance(inner, ast.For | ast.While) for inner in ast.walk(kernel)):
        return "scale_kernel has a loop: take it out, each thread computes one number"
    return ""


SMALL = [case for case in cases_of("scale") if case.label != "wide"]           # the first one needs four blocks
TASKS = (Task("scale", SMALL, values=4, extra={"one thread, one number": (1, own_threads)}),)

# %% [mistake] the index is not checked
# loses: scale: values
# kind: raises
@cuda.jit
def scale_kernel(u, s, y):
    t = cuda.grid(1)
    c, p, n = t % u.shape[2], t // u.shape[2] % u.shape[1], t // (u.shape[2] * u.shape[1])
    y[n, p, c] = u[n, p, c] * s[n, c]

# %% [mistake] pixel and channel exchanged
# loses: scale: values
# kind: forward
@cuda.jit
def scale_kernel(u, s, y):
    t = cuda.grid(1)
    if t < u.size:
        p, c = t % u.shape[1], t // u.shape[1] % u.shape[2]
        y[t // (u.shape[2] * u.shape[1]), p, c] = u[0, p, c] * s[0, c]

# %% [mistake] one thread does everything
# loses: scale: one thread, one number
# kind: -
@cuda.jit
def scale_kernel(u, s, y):
    if cuda.grid(1) == 0:
        for n in range(u.shape[0]):
            for p in range(u.shape[1]):
                for c in range(u.shape[2]):
                    y[n, p, c] = u[n, p, c] * s[n, c]

# %% [mistake] an empty kernel, and NumPy in the given function
# loses: scale: values
# kind: forward
@cuda.jit
def scale_kernel(u, s, y):
    pass

def scale(u, s):
    return u * s[:, None, None, :]
