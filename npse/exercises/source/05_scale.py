# title: Scale
# idea: a gate is used at every pixel, so its gradient is a sum over them
# variant: NHWC

# %% [markdown]
# # Exercise 5: Scale
#
# Equation (4) of the paper: each channel of a picture is multiplied by its gate.
#
# $$y[n, i, j, c] = s[n, c] \; u[n, i, j, c]$$
#
# Each factor of a product gets the gradient times the other factor. A pixel of $u$ is used once, but the gate $s[n, c]$
# is used at all $H W$ pixels of its channel. So its gradient is a sum over these pixels:
#
# $$du[n, i, j, c] = dy[n, i, j, c] \; s[n, c], \qquad ds[n, c] = \sum_{i, j} dy[n, i, j, c] \; u[n, i, j, c]$$
#
# | array | shape |
# |---|---|
# | `u`, `y`, `du`, `dy` | `(N, H, W, C)` |
# | `s`, `ds` | `(N, C)` |

# %%
import numpy as np


def scale(u, s):
    """Multiply each channel by its gate: u (N, H, W, C), s (N, C) -> y (N, H, W, C)."""
    # BEGIN SOLUTION
    return u * s[:, None, None, :]
    # END SOLUTION


def scale_backward(dy, u, s):
    """Gradients of `scale` -> du (N, H, W, C), ds (N, C)."""
    # BEGIN SOLUTION
    du = dy * s[:, None, None, :]
    ds = (dy * u).sum(axis=(1, 2))
    return du, ds
    # END SOLUTION

# %% [example]
u = np.arange(8.0).reshape(1, 2, 2, 2)
s = np.array([[0.5, 0.25]])
print("y, second channel\n", scale(u, s)[0, :, :, 1])
du, ds = scale_backward(np.ones((1, 2, 2, 2)), u, s)
print("du, second channel\n", du[0, :, :, 1])
print("ds", ds)

# %% [hint]
# The axes of u and s must match before the two can be multiplied. Which axes of u are missing in s?

# %% [hint]
# s[:, None, None, :] has shape (N, 1, 1, C), and NumPy repeats it over the map. What the forward pass repeats, the
# backward pass must sum.

# %% [hint]
# ds has the shape of s, without the two axes of the map. Sum over these axes; a mean would make ds H*W times too small.

# %% [tests]
from npse.exercises.task import Task
from npse.exercises.variants import arranged

CASES = arranged("scale", u="N H W C")
TASKS = (Task("scale", CASES, values=1), Task("scale_backward", CASES, u=2, s=2))

# %% [mistake] ds is a mean
# loses: scale_backward: gradient of s
# kind: averaged
def scale_backward(dy, u, s):
    return dy * s[:, None, None, :], (dy * u).mean(axis=(1, 2))

# %% [mistake] du is dy, not multiplied by the gates
# loses: scale_backward: gradient of u
# kind: path missing
def scale_backward(dy, u, s):
    return dy.copy(), (dy * u).sum(axis=(1, 2))

# %% [mistake] du is written into dy
# loses: scale_backward: contract
# kind: changed in place
def scale_backward(dy, u, s):
    ds = (dy * u).sum(axis=(1, 2))
    dy *= s[:, None, None, :]
    return dy, ds

# %% [mistake] gates broadcast along the wrong axes
# loses: scale: values
# kind: raises
def scale(u, s):
    return u * s[None, None, :, :]

# %% [variant] NCHW
# N, H, W, C -> N, C, H, W
# N H W C -> N C H W
# n, i, j, c -> n, c, i, j
# (N, 1, 1, C) -> (N, C, 1, 1)
# axis=(1, 2) -> axis=(2, 3)
# s[:, None, None, :] -> s[:, :, None, None]
# [0, :, :, 1] -> [0, 1]
