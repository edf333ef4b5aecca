# title: The residual join
# idea: a sum passes its gradient to both terms, a ReLU passes it where its output is positive

# %% [markdown]
# # Exercise 9: The residual join
#
# The end of a residual block with squeeze and excitation: the branch is scaled by its gates, the shortcut is added,
# and a ReLU follows.
#
# $$y = \max(s \odot u + x,\ 0)$$
#
# The backward pass begins with the ReLU: $g = dy$ where $y > 0$, and 0 elsewhere. Both terms of the sum get $g$. The
# first term is the product of exercise 5:
#
# $$dx = g, \qquad du = g \odot s, \qquad ds[n, c] = \sum_{i, j} g \odot u$$
#
# | array | shape |
# |---|---|
# | `u`, `x`, `y` and their gradients | `(N, H, W, C)` |
# | `s`, `ds` | `(N, C)` |

# %%
import numpy as np


def scale_add_relu(u, s, x):
    """Join branch u (N, H, W, C), gates s (N, C) and shortcut x (N, H, W, C) -> y (N, H, W, C)."""
    # BEGIN SOLUTION
    return np.maximum(u * s[:, None, None, :] + x, 0)
    # END SOLUTION


def scale_add_relu_backward(dy, u, s, y):
    """Gradients of `scale_add_relu`, given its output y -> du (N, H, W, C), ds (N, C), dx (N, H, W, C)."""
    # BEGIN SOLUTION
    g = dy * (y > 0)
    return g * s[:, None, None, :], (g * u).sum(axis=(1, 2)), g
    # END SOLUTION

# %% [example]
u = np.array([2.0, -4.0, 1.0, 3.0]).reshape(1, 2, 2, 1)
s, x = np.array([[0.5]]), np.array([1.0, 1.0, -1.0, 0.0]).reshape(1, 2, 2, 1)
y = scale_add_relu(u, s, x)
print("y", y.ravel())
du, ds, dx = scale_add_relu_backward(np.ones((1, 2, 2, 1)), u, s, y)
print("du", du.ravel(), "ds", ds.ravel(), "dx", dx.ravel())

# %% [hint]
# The ReLU is last in the forward pass, so it comes first in the backward pass: its mask applies to all gradients.

# %% [hint]
# The output gives the mask: y is positive exactly where the sum was positive. Multiply dy by the mask once, and use the
# product in place of dy everywhere.

# %% [hint]
# With g = masked dy: dx is g, and `scale_backward` of exercise 5, called with g in place of dy, gives du and ds. Where
# the sum is exactly zero, the gradient is zero: that is the convention, here and in the book.

# %% [tests]
from npse.exercises.task import Task

TASKS = (Task("scale_add_relu", values=1), Task("scale_add_relu_backward", u=2, s=1, x=2))

# %% [mistake] the mask is forgotten on the shortcut
# loses: scale_add_relu_backward: gradient of x
# kind: mask missing
_backward = scale_add_relu_backward

def scale_add_relu_backward(dy, u, s, y):
    du, ds, _ = _backward(dy, u, s, y)
    return du, ds, dy.copy()

# %% [mistake] the shortcut is scaled too
# loses: scale_add_relu: values
# kind: forward
def scale_add_relu(u, s, x):
    return np.maximum((u + x) * s[:, None, None, :], 0)

# %% [mistake] du lacks the gates
# loses: scale_add_relu_backward: gradient of u
# kind: path missing
_backward = scale_add_relu_backward

def scale_add_relu_backward(dy, u, s, y):
    _, ds, dx = _backward(dy, u, s, y)
    return dx.copy(), ds, dx
