# title: Batch norm, one step at a time
# idea: go through the computational graph backwards, line by line

# %% [markdown]
# # Exercise 7: Batch norm, one step at a time
#
# Each channel is normalized to mean 0 and variance 1 over the batch, then scaled and shifted. A channel has
# $B = N H W$ numbers:
#
# $$\mu = \tfrac{1}{B} \sum x, \quad v = \tfrac{1}{B} \sum (x - \mu)^2, \quad
# \hat{x} = \frac{x - \mu}{\sqrt{v + \epsilon}}, \quad y = \gamma \hat{x} + \beta$$
#
# The variance is the biased one: the sum is divided by $B$. For the backward pass, write the forward pass as a list of
# small steps
#
#     centred = x - mean           (mean depends on x)
#     std     = sqrt(var + eps)    (var depends on centred)
#     inverse = 1 / std
#     xhat    = centred * inverse
#     y       = gamma * xhat + beta
#
# and go through the list from the last line to the first. `centred` is used twice, in `xhat` and in `var`: its gradient
# is the sum of both parts. In the same way `x` is used twice, in `centred` and in `mean`.
#
# | array | shape |
# |---|---|
# | `x`, `y`, `dx`, `dy` | `(N, H, W, C)` |
# | `gamma`, `beta`, `mean`, `var`, `dgamma`, `dbeta` | `(C,)` |

# %%
import numpy as np


def batch_norm(x, gamma, beta, eps=1e-5):
    """Normalize with the statistics of this batch -> y (N, H, W, C), mean (C,), var (C,)."""
    # BEGIN SOLUTION
    mean = x.mean(axis=(0, 1, 2))
    var = ((x - mean) ** 2).mean(axis=(0, 1, 2))
    return gamma * (x - mean) / np.sqrt(var + eps) + beta, mean, var
    # END SOLUTION


def batch_norm_backward_staged(dy, x, gamma, mean, var, eps=1e-5):
    """Gradients of `batch_norm` -> dx (N, H, W, C), dgamma (C,), dbeta (C,)."""
    B = x.size // x.shape[3]
    over = (0, 1, 2)
    centred = x - mean
    std = np.sqrt(var + eps)
    inverse = 1 / std
    xhat = centred * inverse
    # BEGIN SOLUTION
    dbeta = dy.sum(over)
    dgamma = (dy * xhat).sum(over)
    dxhat = dy * gamma
    dcentred = dxhat * inverse
    dinverse = (dxhat * centred).sum(over)
    dstd = -dinverse / std**2
    dvar = dstd / (2 * std)
    dcentred = dcentred + 2 * centred * dvar / B
    dmean = -dcentred.sum(over)
    return dcentred + dmean / B, dgamma, dbeta
    # END SOLUTION

# %% [example]
x = np.array([1.0, 2.0, 3.0, 6.0]).reshape(1, 2, 2, 1)
gamma, beta = np.array([2.0]), np.array([1.0])
y, mean, var = batch_norm(x, gamma, beta)
print("y", y.ravel().round(4), "mean", mean, "var", var)
dy = np.array([1.0, 0.0, 0.0, 0.0]).reshape(1, 2, 2, 1)
dx, dgamma, dbeta = batch_norm_backward_staged(dy, x, gamma, mean, var)
print("dx", dx.ravel().round(4), "dgamma", dgamma.round(4), "dbeta", dbeta)

# %% [hint]
# For each line of the list, ask: which names are on its right side, and what is the derivative for each of them?
# gamma, beta, mean and var have one number for each channel: their gradients are sums over the other three axes.

# %% [hint]
# The order is: beta and gamma, xhat, inverse and the first part of centred, std, var, the second part of centred, mean,
# and x last. The derivative of 1/std is -1/std^2. The derivative of std = sqrt(var + eps) is 1/(2 std).

# %% [hint]
# var is the mean of centred^2, so each pixel of centred gets 2 * centred / B * dvar. In centred = x - mean, the mean
# has a minus sign, so dmean is minus the sum of the whole gradient of centred. Each pixel of x gets 1/B of dmean.

# %% [tests]
import dataclasses

from npse.exercises.task import Task
from npse.gradcheck import cases_of
from npse.support.wrapped import Overlay


def looking_at(result, case):
    def forward(ops, **arguments):
        one = Overlay(ops, batch_norm=lambda *given: ops.batch_norm(*given)[result:])
        return case.forward(one, **arguments)

    return dataclasses.replace(case, label=f"{case.label}; {('y', 'mean', 'var')[result]}", forward=forward,
                               backward=None, wrt=())


FORWARD = [looking_at(result, case) for case in cases_of("batch_norm") for result in range(3)]
TASKS = (Task("batch_norm", FORWARD, values=2), Task("batch_norm_backward_staged", x=4, gamma=1, beta=1))

# %% [mistake] unbiased variance
# loses: batch_norm: values
# kind: forward
def batch_norm(x, gamma, beta, eps=1e-5):
    mean, var = x.mean(axis=(0, 1, 2)), x.var(axis=(0, 1, 2), ddof=min(1, x[..., 0].size - 1))
    return gamma * (x - mean) / np.sqrt(var + eps) + beta, mean, var

# %% [mistake] the variance is not returned
# loses: batch_norm: values
# kind: forward
_batch_norm = batch_norm

def batch_norm(x, gamma, beta, eps=1e-5):
    y, mean, _ = _batch_norm(x, gamma, beta, eps)
    return y, mean, mean

# %% [mistake] the statistics are treated as constants
# loses: batch_norm_backward_staged: gradient of x
# kind: constant statistics
def batch_norm_backward_staged(dy, x, gamma, mean, var, eps=1e-5):
    xhat = (x - mean) / np.sqrt(var + eps)
    return dy * gamma / np.sqrt(var + eps), (dy * xhat).sum((0, 1, 2)), dy.sum((0, 1, 2))

# %% [mistake] dbeta is a mean
# loses: batch_norm_backward_staged: gradient of beta
# kind: averaged
_staged = batch_norm_backward_staged

def batch_norm_backward_staged(dy, *arguments):
    dx, dgamma, _ = _staged(dy, *arguments)
    return dx, dgamma, dy.mean((0, 1, 2))
