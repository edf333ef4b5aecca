# title: Find the bug: the museum
# idea: three mistakes from public code, all of which ran without an error

# %% [markdown]
# # Exercise 15: Find the bug, the museum
#
# Each of these three functions has a bug that was in a public repository, here written in NumPy. All of them ran, and
# networks trained with them. Read the code, run the example, then correct each function with the smallest change.
#
# 1. `excitation_weights` should make the two matrices of the excitation, for a reduction by `r`
#    (moskomule/senet.pytorch, issue 13).
# 2. `gates` should compute equation (3) (HiFuse, issue 9).
# 3. `block` should compute the whole block; the mistake is in the squeeze (mobilenetv3, issue 12).
#
# For each function, ask which test finds the bug. One easy shape is not enough: with C = 16 and r = 4, the first
# function gives the right result.
#
# | array | shape |
# |---|---|
# | `u`, `y` | `(N, H, W, C)` |
# | `z`, `s` | `(N, C)` |
# | `w1`, `w2` | `(C/r, C)`, `(C, C/r)` |

# %%
import numpy as np


def excitation_weights(C, r):
    """Make initial weights of the excitation for C channels and reduction r -> w1 (C/r, C), w2 (C, C/r)."""
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
# How often does sigma stand in equation (3)? In `block`, follow the axes: how many numbers of each channel of each
# picture enter the excitation, and how many should?

# %% [hint]
# In the first function, the hidden width is C divided by r, not r. In the second, there is one sigmoid too many, so all
# gates are above 1/2. In the third, the mean over the map is missing: each pixel gets its own gates.

# %% [tests]
from npse.exercises.task import Task
from npse.gradcheck.cases.case import Case, distinct, signed


def weights(which, C, r):
    return Case(("excitation_weights",), f"w{which + 1}, C = {C}, r = {r}",
                make=lambda rng: {"scale": np.array(rng.uniform(1, 2))},
                forward=lambda ops, scale: scale * ops.excitation_weights(C, r)[which])


def arguments(rng, *shape, M=3):
    C = shape[-1]
    x = distinct(rng, *shape)
    return {"z" if len(shape) == 2 else "u": x, "w1": signed(rng, M, C) / C, "w2": signed(rng, C, M) / M}


def on(function, label, *shape):
    return Case((function,), label, make=lambda rng: arguments(rng, *shape),
                forward=lambda ops, **given: getattr(ops, function)(*given.values()))


TASKS = (
    Task("excitation_weights", [weights(which, C, r) for C, r in ((16, 2), (64, 16), (8, 4)) for which in (0, 1)],
         contract=0, values=1),
    Task("gates", [on("gates", "C > M", 3, 5), on("gates", "N = 1", 1, 3)], values=1),
    Task("block", [on("block", "H < W", 2, 3, 4, 5), on("block", "N = 1", 1, 4, 2, 3)], values=1),
)

# %% [mistake] the hidden layer is as wide as the input
# loses: excitation_weights: values
# kind: shape
def excitation_weights(C, r):
    return np.full((C, C), 1 / C), np.full((C, C), 1 / C)

# %% [mistake] the squeeze is a sum
# loses: block: values
# kind: forward
def block(u, w1, w2):
    z = u.sum(axis=(1, 2), keepdims=True)
    return u * sigmoid(np.maximum(z @ w1.T, 0) @ w2.T)

# %% [mistake] nobody looks at w2
# loses: excitation_weights: values
# kind: shape
def excitation_weights(C, r):
    return np.full((C // r, C), 1 / C), np.zeros(7)
