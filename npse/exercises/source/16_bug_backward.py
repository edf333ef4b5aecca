# title: Find the bug: backwards
# idea: a wrong gradient raises no error, and the loss may still fall

# %% [markdown]
# # Exercise 16: Find the bug, backwards
#
# Each of these three backward passes has one mistake. They run, all shapes are right, and the loss may still fall. Run
# the check, read the diagnosis, and correct each function with the smallest change.
#
# 1. `batch_norm_backward` returns a wrong $dx$: it does not sum to zero over each channel.
# 2. `add_relu_backward` is the backward pass of $y = \max(f + x, 0)$, the end of a residual block.
# 3. `scale_backward` is the backward pass of equation (4). A second call with the same arguments gives another result.
#
# | array | shape |
# |---|---|
# | `x`, `f`, `u`, `y`, `dy` and their gradients | `(N, H, W, C)` |
# | `gamma`, `mean`, `var` | `(C,)` |
# | `s`, `ds` | `(N, C)` |

# %%
import numpy as np


def batch_norm_backward(dy, x, gamma, mean, var, eps=1e-5):
    """Gradients of batch norm in training -> dx, dgamma, dbeta."""
    B = x.size // x.shape[3]
    xhat = (x - mean) / np.sqrt(var + eps)
    dbeta = dy.sum(axis=(0, 1, 2))
    dgamma = (dy * xhat).sum(axis=(0, 1, 2))
    # BEGIN BUG
    dx = gamma / np.sqrt(var + eps) * (dy - xhat * dgamma / B)
    # END BUG
    # BEGIN SOLUTION
    dx = gamma / np.sqrt(var + eps) * (dy - dbeta / B - xhat * dgamma / B)
    # END SOLUTION
    return dx, dgamma, dbeta


def add_relu_backward(dy, y):
    """Gradients of y = max(f + x, 0), given y -> df, dx."""
    # BEGIN BUG
    df = dy * (y > 0)
    return df, dy.copy()
    # END BUG
    # BEGIN SOLUTION
    g = dy * (y > 0)
    return g, g.copy()
    # END SOLUTION


def scale_backward(dy, u, s):
    """Gradients of y = s * u, channel by channel -> du, ds."""
    # BEGIN BUG
    du = dy
    du *= s[:, None, None, :]
    ds = (dy * u).sum(axis=(1, 2))
    # END BUG
    # BEGIN SOLUTION
    du = dy * s[:, None, None, :]
    ds = (u * dy).sum(axis=(1, 2))
    # END SOLUTION
    return du, ds

# %% [example]
x = np.array([1.0, 2.0, 3.0, 6.0]).reshape(1, 2, 2, 1)
dy = np.array([1.0, 0.0, 0.0, 0.0]).reshape(1, 2, 2, 1)
print("dx", batch_norm_backward(dy, x, np.array([2.0]), np.array([3.0]), np.array([3.5]))[0].ravel().round(4))
df, dx = add_relu_backward(np.ones((1, 2, 2, 1)), np.array([0.0, 1.0, 0.0, 2.0]).reshape(1, 2, 2, 1))
print("df", df.ravel(), "dx", dx.ravel())
du, ds = scale_backward(dy, x, np.array([[0.5]]))
print("ds", ds.ravel(), "dy afterwards", dy.ravel())

# %% [hint]
# Sum dx over a channel. Find out which gradients are multiplied by the mask of the ReLU. Print dy before and after a
# call.

# %% [hint]
# The mean of the batch depends on x, and so does the variance: one term of the closed form is missing. The ReLU comes
# after the sum, so its mask applies to the gradients of both terms.

# %% [hint]
# Batch norm: compare with the three terms in exercise 8. Join: multiply dy by the mask once, and use the product for
# both gradients. Scale: `du = dy` makes a second name of the same array, so the next line changes dy too.

# %% [tests]
from npse.exercises.task import Task

TASKS = (Task("batch_norm_backward", x=2, also=("gamma", "beta")), Task("add_relu_backward", x=2, also=("f",)),
         Task("scale_backward", s=2, also=("u",)))

# %% [mistake] the term of the mean has the wrong sign
# loses: batch_norm_backward: gradient of x
# kind: sign
_batch_norm_backward = batch_norm_backward

def batch_norm_backward(dy, x, gamma, mean, var, eps=1e-5):
    dx, dgamma, dbeta = _batch_norm_backward(dy, x, gamma, mean, var, eps)
    return dx + 2 * gamma / np.sqrt(var + eps) * dy.mean(axis=(0, 1, 2)), dgamma, dbeta

# %% [mistake] ds is a mean
# loses: scale_backward: gradient of s
# kind: averaged
def scale_backward(dy, u, s):
    return dy * s[:, None, None, :], (dy * u).mean(axis=(1, 2))
