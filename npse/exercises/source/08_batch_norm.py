# title: Batch norm in closed form
# idea: what a shift and a stretch of the batch would change is taken out of the gradient

# %% [markdown]
# # Exercise 8: Batch norm in closed form
#
# The dozen lines of exercise 7 collapse. With $\hat{x} = (x - \mu) / \sqrt{v + \epsilon}$ and $B = N H W$:
#
# $$d\beta = \sum dy, \qquad d\gamma = \sum dy \, \hat{x}$$
#
# $$dx = \frac{\gamma}{\sqrt{v + \epsilon}} \left( dy - \frac{d\beta}{B} - \hat{x} \, \frac{d\gamma}{B} \right)$$
#
# The second term takes out what a common shift of the channel would change, the third what a common stretch would
# change: neither can reach $y$. A check for free: $dx$ sums to zero over every channel.
#
# | array | shape |
# |---|---|
# | `x`, `dx`, `dy` | `(N, H, W, C)` |
# | `gamma`, `mean`, `var`, `dgamma`, `dbeta` | `(C,)` |

# %%
import numpy as np


def batch_norm_backward(dy, x, gamma, mean, var, eps=1e-5):
    """Gradients of batch norm -> dx (N, H, W, C), dgamma (C,), dbeta (C,)."""
    # BEGIN SOLUTION
    B = x.size // x.shape[3]
    std = np.sqrt(var + eps)
    xhat = (x - mean) / std
    dbeta = dy.sum(axis=(0, 1, 2))
    dgamma = (dy * xhat).sum(axis=(0, 1, 2))
    return gamma / std * (dy - dbeta / B - xhat * dgamma / B), dgamma, dbeta
    # END SOLUTION

# %% [example]
x = np.array([1.0, 2.0, 3.0, 6.0]).reshape(1, 2, 2, 1)
dy = np.array([1.0, 0.0, 0.0, 0.0]).reshape(1, 2, 2, 1)
dx, dgamma, dbeta = batch_norm_backward(dy, x, np.array([2.0]), np.array([3.0]), np.array([3.5]))
print("dx", dx.ravel().round(4), "dgamma", dgamma.round(4), "dbeta", dbeta)
print("sum of dx", abs(dx.sum().round(9)))

# %% [hint]
# Three sums run over the same three axes. Which of the arrays have the axis C alone, and do they line up with
# (N, H, W, C) without any help?

# %% [hint]
# B counts the numbers in one channel: it is not x.size, and not N.

# %% [hint]
# Compute xhat first, then dbeta and dgamma, then put the three terms of the bracket together. NumPy lines (C,) up
# with the last axis of (N, H, W, C), which is where the channels are.

# %% [tests]
from npse.exercises.task import Task

TASKS = (Task("batch_norm_backward", x=4, gamma=1, beta=1),)

# %% [mistake] the stretch is forgotten
# loses: batch_norm_backward: gradient of x
# kind: constant statistics
_batch_norm_backward = batch_norm_backward

def batch_norm_backward(dy, x, gamma, mean, var, eps=1e-5):
    _, dgamma, dbeta = _batch_norm_backward(dy, x, gamma, mean, var, eps)
    return gamma / np.sqrt(var + eps) * (dy - dy.mean(axis=(0, 1, 2))), dgamma, dbeta

# %% [mistake] dgamma from x instead of xhat
# loses: batch_norm_backward: gradient of gamma
# kind: wrong value
_batch_norm_backward = batch_norm_backward

def batch_norm_backward(dy, x, gamma, mean, var, eps=1e-5):
    dx, _, dbeta = _batch_norm_backward(dy, x, gamma, mean, var, eps)
    return dx, (dy * x).sum(axis=(0, 1, 2)), dbeta

# %% [mistake] adds to what was there
# loses: batch_norm_backward: contract
# kind: changed in place
_batch_norm_backward = batch_norm_backward

def batch_norm_backward(dy, x, gamma, mean, var, eps=1e-5):
    gradients = _batch_norm_backward(dy, x, gamma, mean, var, eps)
    x -= mean
    return gradients
