# title: Find the bug: the museum
# idea: three mistakes that stood in public code, and ran without any error

# %% [markdown]
# # Exercise 15: Find the bug, the museum
#
# Each of these three functions is the NumPy twin of a bug that was published in somebody's repository. All of them ran,
# and networks with them trained. Read first, run the example, then repair each with the smallest change.
#
# 1. `excitation_weights` was meant to make the two matrices of the excitation, for a reduction by `r`
#    (moskomule/senet.pytorch, issue 13).
# 2. `gates` was meant to be equation (3) (HiFuse, issue 9).
# 3. `block` was meant to be the whole block; only one thing about the squeeze is wrong (mobilenetv3, issue 12).
#
# For each, ask which test would have caught it. A test on one easy shape would not: with C = 16 and r = 4 the first bug
# cannot be seen at all.
#
# | array | shape |
# |---|---|
# | `u`, `y` | `(N, H, W, C)` |
# | `z`, `s` | `(N, C)` |
# | `w1`, `w2` | `(C/r, C)`, `(C, C/r)` |

# %%
import numpy as np


def excitation_weights(C, r):
    """Start values for the excitation of C channels, reduced by r -> w1 and w2."""
    # BEGIN BUG
    M = r
    # END BUG
    # BEGIN SOLUTION
    M = C // r
    # END SOLUTION
    return np.full((M, C), 1 / C), np.full((C, M), 1 / M)


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def gates(z, w1, w2):
    """s = sigma(W2 delta(W1 z)): z (N, C) -> s (N, C)."""
    h = np.maximum(z @ w1.T, 0)
    # BEGIN BUG
    a = sigmoid(h @ w2.T)
    # END BUG
    # BEGIN SOLUTION
    a = h @ w2.T
    # END SOLUTION
    return sigmoid(a)


def block(u, w1, w2):
    """Squeeze, excite, scale: u (N, H, W, C) -> y (N, H, W, C)."""
    # BEGIN BUG
    z = u
    h = np.maximum(z @ w1.T, 0)
    return u * sigmoid(h @ w2.T)
    # END BUG
    # BEGIN SOLUTION
    z = u.mean(axis=(1, 2), keepdims=True)
    hidden = np.maximum(z @ w1.T, 0)
    return sigmoid(hidden @ w2.T) * u
    # END SOLUTION

# %% [example]
print("shapes for C = 8, r = 2:", *(w.shape for w in excitation_weights(8, 2)))
z, w1, w2 = np.array([[2.0, -1.0]]), np.array([[1.0, 0.5]]), np.array([[-2.0], [2.0]])
print("gates", gates(z, w1, w2).round(4))
u = np.arange(8.0).reshape(1, 2, 2, 2) / 4
print("y, first channel\n", block(u, w1, w2)[0, :, :, 0].round(4))

# %% [hint]
# Print shapes and ranges. How wide is the hidden layer for C = 64, r = 16? Between which two numbers do the gates lie?

# %% [hint]
# Equation (3) has one sigma. And in `block`, follow the axes: how many numbers a channel and picture enter the
# excitation, and how many should?

# %% [hint]
# In the first, r is by how much the width is divided, not the width. In the second, a squashing too many keeps all
# gates above 1/2. In the third nothing is ever averaged: each pixel computes gates of its own.

# %% [tests]
from npse.exercises.task import Task
from npse.gradcheck.cases.case import Case, distinct, signed


def weights(label, C, r):
    return Case(("excitation_weights",), label, make=lambda rng: {"scale": np.array(rng.uniform(1, 2))},
                forward=lambda ops, scale: scale * ops.excitation_weights(C, r)[0])


def arguments(rng, *shape, M=3):
    C = shape[-1]
    x = distinct(rng, *shape)
    return {"z" if len(shape) == 2 else "u": x, "w1": signed(rng, M, C) / C, "w2": signed(rng, C, M) / M}


def on(function, label, *shape):
    return Case((function,), label, make=lambda rng: arguments(rng, *shape),
                forward=lambda ops, **given: getattr(ops, function)(*given.values()))


TASKS = (
    Task("excitation_weights", [weights(f"C = {C}, r = {r}", C, r) for C, r in ((16, 2), (64, 16), (8, 4))], contract=0,
         values=1),
    Task("gates", [on("gates", "C > M", 3, 5), on("gates", "N = 1", 1, 3)], values=1),
    Task("block", [on("block", "H < W", 2, 3, 4, 5), on("block", "N = 1", 1, 4, 2, 3)], values=1),
)

# %% [mistake] the hidden layer is as wide as the input
# loses: excitation_weights: values
# kind: shape
def excitation_weights(C, r):
    return np.full((C, C), 1 / C), np.full((C, C), 1 / C)

# %% [mistake] a sum for the squeeze
# loses: block: values
# kind: forward
def block(u, w1, w2):
    z = u.sum(axis=(1, 2), keepdims=True)
    return u * sigmoid(np.maximum(z @ w1.T, 0) @ w2.T)
