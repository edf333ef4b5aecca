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

# %% [given]
def squeeze(u):
    """Call the kernel: u (N, H, W, C) -> z (N, C). The check has this function too; leave it as it is."""
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

from npse.exercises.annotated import find
from npse.exercises.sandbox import Sandbox
from npse.exercises.static_check import bound_only_as_function, decorated_by, function_in, whole_array_operation
from npse.exercises.task import Task

SLOWER = 5            # times the solution's time, in a process like that of the student; plain Python needs 30 times
TRIES = 5


def loops(function, cells):
    kernel = function_in(cells, "squeeze_kernel")
    if not decorated_by(kernel, cells, "numba.njit", "numba.jit") or not bound_only_as_function(cells, kernel.name):
        return "squeeze_kernel is not compiled: put @njit above it"
    if (whole_array_operation(kernel, cells)
            or not any(isinstance(inner, ast.For | ast.While) for inner in ast.walk(kernel))):
        return "squeeze_kernel has no loop: write the formula as loops, without operations on whole arrays"
    return ""


def fast(function, cells):
    u = np.ones((16, 64, 64, 64), np.float32)
    exercise = find("numba_kernel")
    with Sandbox([exercise.solution_code()], exercise.stem, exercise.tools) as box:
        solution = box.function("squeeze", function)
        best = [np.inf, np.inf]
        for _ in range(TRIES):                                   # by turns: other programs slow down both
            for place, compiled in enumerate((solution, function)):
                compiled(u[:1, :2, :2])
                began = time.perf_counter()
                compiled(u)
                best[place] = min(best[place], time.perf_counter() - began)
            if best[1] < SLOWER * best[0]:
                return ""
    return (f"{u.size} numbers take {best[1] / best[0]:.0f} times as long as with the solution, expected less than "
            f"{SLOWER}: put @njit above the kernel, and let c be the innermost loop")


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

# %% [mistake] no Numba: a decorator whose name contains jit
# loses: squeeze: loops, compiled
# kind: -
def no_jit(function):
    return function

@no_jit
def squeeze_kernel(u, z):
    for _ in range(1):
        z[...] = u.mean(axis=(1, 2))

# %% [mistake] the given function does the work
# loses: squeeze: values
# kind: forward
@njit
def squeeze_kernel(u, z):
    for n in range(u.shape[0]):
        z[n, 0] += 0

def squeeze(u):
    return u.mean(axis=(1, 2))
