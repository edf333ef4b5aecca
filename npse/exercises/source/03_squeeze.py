# title: Squeeze
# idea: a whole map becomes one number for each channel
# variant: NHWC

# %% [markdown]
# # Exercise 3: Squeeze
#
# A filter uses only the pixels of its window. To use the whole picture, the block first averages each channel over its
# map (paper, equation 2):
#
# $$z[n, c] = \frac{1}{H W} \sum_{i, j} u[n, i, j, c]$$
#
# In the backward pass, $dz[n, c]$ is the derivative of the loss for $z[n, c]$. Every pixel of the channel has the same
# share in the mean, so every pixel gets the same part of the gradient. Which part?
#
# | array | shape |
# |---|---|
# | `u`, `du` | `(N, H, W, C)` |
# | `z`, `dz` | `(N, C)` |

# %%
import numpy as np


def squeeze(u):
    """Average each channel over its map: u (N, H, W, C) -> z (N, C)."""
    # BEGIN SOLUTION
    return u.mean(axis=(1, 2))
    # END SOLUTION


def squeeze_backward(dz, u_shape):
    """Gradient of `squeeze`: dz (N, C), u_shape = (N, H, W, C) -> du (N, H, W, C), a new array."""
    # BEGIN SOLUTION
    _, H, W, _ = u_shape
    return np.broadcast_to(dz[:, None, None, :] / (H * W), u_shape).copy()
    # END SOLUTION

# %% [example]
u = np.arange(12.0).reshape(1, 2, 3, 2)
print("z", squeeze(u))
print("du, first channel\n", squeeze_backward(np.array([[6.0, 12.0]]), u.shape)[0, :, :, 0])

# %% [hint]
# NumPy can average over several axes at once. Which axes of u are the map, and which axes must the result still have?

# %% [hint]
# If one pixel of u rises by 1, by how much does z rise? This number, times dz, is the gradient of the pixel.

# %% [hint]
# dz has two axes and du has four. Insert two axes of size 1 into dz (index it with None), divide by the number of
# pixels of a map, and let np.broadcast_to repeat it to u_shape. The result is a read-only view: copy it.

# %% [tests]
from npse.exercises.task import Task
from npse.exercises.variants import arranged

CASES = arranged("squeeze", u="N H W C")
TASKS = (Task("squeeze", CASES, values=2), Task("squeeze_backward", CASES, u=3))

# %% [mistake] H*W forgotten
# loses: squeeze_backward: gradient of u
# kind: averaged
def squeeze_backward(dz, u_shape):
    return np.broadcast_to(dz[:, None, None, :], u_shape).copy()

# %% [mistake] a sum in place of the mean
# loses: squeeze: values
# kind: forward
def squeeze(u):
    return u.sum(axis=(1, 2))

# %% [mistake] the result is always float64
# loses: squeeze: contract
# kind: dtype
def squeeze(u):
    return u.astype(np.float64).mean(axis=(1, 2))

# %% [variant] NCHW
# N, H, W, C -> N, C, H, W
# N H W C -> N C H W
# n, i, j, c -> n, c, i, j
# axis=(1, 2) -> axis=(2, 3)
# _, H, W, _ = u_shape -> _, _, H, W = u_shape
# [:, None, None, :] -> [:, :, None, None]
# reshape(1, 2, 3, 2) -> reshape(1, 2, 2, 3)
# [0, :, :, 0] -> [0, 0]
