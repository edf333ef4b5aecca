# title: A Numba kernel
# idea: plain loops, compiled to machine code, are fast
# tools: numba

# %% [markdown]
# # Exercise 12: A Numba kernel
#
# With NumPy you write a formula as operations on whole arrays. With Numba you write it as loops. The formula is that of
# exercise 3:
#
# $$z[n, c] = \frac{1}{H W} \sum_{i, j} u[n, i, j, c]$$
#
# Put `@njit` above the function, and Numba compiles the loops at the first call. Two rules make a kernel fast. Read the
# array in the order of its memory: the channels of one pixel are neighbours, so `c` is the innermost loop. Make no new
# arrays inside the loops: add to `z`.
#
# | array | shape |
# |---|---|
# | `u` | `(N, H, W, C)`, contiguous |
# | `z` | `(N, C)`, full of zeros; write the result into it |
#
# To search for a mistake, run the loops as plain Python: `NUMBA_DISABLE_JIT=1 python 12_numba_kernel.py`

# %%
import numpy as np
from numba import njit


@njit
def squeeze_kernel(u, z):
    """Write the mean of each channel of u (N, H, W, C) over its map into z (N, C), with loops."""
    # BEGIN SOLUTION
    N, H, W, C = u.shape
    for n in range(N):
        for i in range(H):
            for j in range(W):
                for c in range(C):
                    z[n, c] += u[n, i, j, c]
        for c in range(C):
            z[n, c] /= H * W
    # END SOLUTION


def squeeze(u):
    """Call the kernel: u (N, H, W, C) -> z (N, C). The check calls this function; leave it as it is."""
    z = np.zeros((u.shape[0], u.shape[3]), u.dtype)
    squeeze_kernel(np.ascontiguousarray(u), z)
    return z

# %% [example]
u = np.arange(24.0).reshape(2, 2, 3, 2)
print("z\n", squeeze(u))

# %% [hint]
# Write four loops, over n, i, j and c, and one line that adds. After which loop is the sum of picture n complete, so
# that you can divide it?

# %% [hint]
# Take the four sizes from u.shape; this works in a kernel too. Add every pixel to z[n, c]. After the loops over i and
# j, one more loop over c divides by the number of pixels.

# %% [hint]
# Numba compiles a part of Python: numbers, arrays, loops, if. Loops in the order n, i, j, c read the memory in its
# order. If the loop over c is outside of those over i and j, the result is right but the kernel is slower, because each
# step skips C numbers.

# %% [tests]
import ast
import time

import numpy as np

from npse.exercises.static_check import function_in
from npse.exercises.task import Task

TIME_LIMIT = 1.0      # seconds for 4 million numbers, with the time to send them; plain Python takes longer
TRIES_LIMIT = 5.0     # seconds for all tries: on a busy computer one try can be slow


def loops(function, cells):
    kernel = function_in(cells, "squeeze_kernel")
    if not any("jit" in ast.unparse(decorator) for decorator in kernel.decorator_list):
        return "squeeze_kernel is not compiled: put @njit above it"
    if not any(isinstance(inner, ast.For) for inner in ast.walk(kernel)):
        return "squeeze_kernel has no loop: write the formula as loops, without operations on whole arrays"
    return ""


def fast(function, cells):
    u = np.ones((16, 64, 64, 64), np.float32)
    function(u[:1, :2, :2])
    tries = []
    while sum(tries) < TRIES_LIMIT:
        began = time.perf_counter()
        function(u)
        tries.append(time.perf_counter() - began)
        if tries[-1] < TIME_LIMIT:
            return ""
    return (f"{u.size} numbers take {min(tries):.1f} s, expected less than {TIME_LIMIT:g} s: put @njit above the "
            "kernel, and let c be the innermost loop")


TASKS = (Task("squeeze", values=3, extra={"loops, compiled": (2, loops), "fast": (1, fast)}),)

# %% [mistake] the sum is not divided
# loses: squeeze: values
# kind: forward
@njit
def squeeze_kernel(u, z):
    N, H, W, C = u.shape
    for n in range(N):
        for i in range(H):
            for j in range(W):
                for c in range(C):
                    z[n, c] += u[n, i, j, c]

# %% [mistake] not compiled
# loses: squeeze: loops, compiled; squeeze: fast
# kind: -
def squeeze_kernel(u, z):
    N, H, W, C = u.shape
    for n in range(N):
        for i in range(H):
            for j in range(W):
                for c in range(C):
                    z[n, c] += u[n, i, j, c] / (H * W)

# %% [mistake] no loop
# loses: squeeze: loops, compiled
# kind: -
def squeeze_kernel(u, z):
    z[...] = u.mean(axis=(1, 2))
