# title: A Numba kernel
# idea: plain loops, compiled, are as fast as the machine
# tools: numba

# %% [markdown]
# # Exercise 12: A Numba kernel
#
# NumPy needs a view, a broadcast or a trick for everything. With Numba you write the formula as loops, as in exercise
# 3,
#
# $$z[n, c] = \frac{1}{H W} \sum_{i, j} u[n, i, j, c]$$
#
# put `@njit` above them, and they are compiled when they are first called. Two habits make a kernel fast: walk through
# memory in the order in which it lies (the channels of one pixel are neighbours, so let `c` be the innermost loop), and
# add into what you have instead of making new arrays.
#
# | array | shape |
# |---|---|
# | `u` | `(N, H, W, C)`, contiguous |
# | `z` | `(N, C)`, full of zeros; write the result into it |
#
# While you are searching for a mistake, `NUMBA_DISABLE_JIT=1 python 12_numba_kernel.py` runs the loops as plain Python.

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
    """The kernel with its surroundings: u (N, H, W, C) -> z (N, C). This is what is judged; leave it as it is."""
    z = np.zeros((u.shape[0], u.shape[3]), u.dtype)
    squeeze_kernel(np.ascontiguousarray(u), z)
    return z

# %% [example]
u = np.arange(24.0).reshape(2, 2, 3, 2)
print("z\n", squeeze(u))

# %% [hint]
# Four loops, n, i, j and c, and one line that adds. When is the sum of picture n complete, so that it can be divided?

# %% [hint]
# The four sizes can be taken from u.shape, inside a kernel too. Add every pixel into z[n, c]; after the loops over i
# and j, a last loop over c divides by the number of pixels.

# %% [hint]
# Numba compiles a part of Python: numbers, arrays, loops, if. The order n, i, j, c reads memory from left to right.
# If you loop over c before i and j, the result is right and the kernel slower, because each step jumps C numbers
# ahead.

# %% [tests]
import ast
import time

import numpy as np

from npse.exercises.static_check import function_in
from npse.exercises.task import Task

TIME_LIMIT = 1.0      # seconds for 4 million numbers, their transport included; plain Python takes longer


def loops(function, cells):
    kernel = function_in(cells, "squeeze_kernel")
    if not any("jit" in ast.unparse(decorator) for decorator in kernel.decorator_list):
        return "squeeze_kernel is not compiled: put @njit above it"
    if not any(isinstance(inner, ast.For) for inner in ast.walk(kernel)):
        return "squeeze_kernel has no loop: this exercise is about writing them"
    return ""


def fast(function, cells):
    u = np.ones((16, 64, 64, 64), np.float32)
    function(u[:1, :2, :2])
    began = time.perf_counter()
    function(u)
    seconds = time.perf_counter() - began
    if seconds < TIME_LIMIT:
        return ""
    return f"{u.size} numbers take {seconds:.1f} s, compiled loops less than {TIME_LIMIT:g} s"


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
