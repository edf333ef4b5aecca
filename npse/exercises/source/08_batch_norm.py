# title: Batch norm in closed form
# idea: the gradient loses the parts that belong to a shift and to a scaling of the channel

# %% [markdown]
# # Exercise 8: Batch norm in closed form
#
# The lines of exercise 7 can be simplified to three formulas. With $\hat{x} = (x - \mu) / \sqrt{v + \epsilon}$ and
# $B = N H W$:
#
# $$d\beta = \sum dy, \qquad d\gamma = \sum dy \, \hat{x}$$
#
# $$dx = \frac{\gamma}{\sqrt{v + \epsilon}} \left( dy - \frac{d\beta}{B} - \hat{x} \, \frac{d\gamma}{B} \right)$$
#
# If a constant is added to all $x$ of a channel, $y$ does not change. If all $x$ of a channel are scaled about their
# mean, $y$ does not change either, apart from the effect of $\epsilon$. So $dx$ has no part in these two directions:
# the second term removes the part of the shift, and the third term removes the part of the scaling. This gives a
# simple check: $dx$ sums to zero over every channel.
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
# All sums run over the same three axes. Which arrays have only the axis C, and can NumPy broadcast them to (N, H, W, C)
# as they are?

# %% [hint]
# B is the number of values in one channel: it is not x.size, and not N.

# %% [hint]
# Compute xhat first, then dbeta and dgamma, then the three terms in the bracket. NumPy broadcasts (C,) along the last
# axis of (N, H, W, C), and the last axis is the channels.

# %% [tests]
from npse.exercises.task import Task

TASKS = (Task("batch_norm_backward", x=4, gamma=1, beta=1),)

# %% [mistake] the term of the scaling is forgotten
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

# %% [mistake] x is changed in place
# loses: batch_norm_backward: contract
# kind: changed in place
_batch_norm_backward = batch_norm_backward

def batch_norm_backward(dy, x, gamma, mean, var, eps=1e-5):
    gradients = _batch_norm_backward(dy, x, gamma, mean, var, eps)
    x -= mean
    return gradients
