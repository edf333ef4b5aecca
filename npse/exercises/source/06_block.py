# title: The whole block
# idea: u reaches y on two paths, and its gradient is the sum of both

# %% [markdown]
# # Exercise 6: The whole block
#
# Squeeze, excite, scale: equations (2) to (4) in one function.
#
# $$z = \text{mean of } u \text{ over the map}, \qquad s = \sigma(\delta(z W_1^T) W_2^T), \qquad y = s \odot u$$
#
# $u$ influences $y$ on **two** paths: directly, because $u$ is scaled, and through the squeeze, because every pixel of
# $u$ influences every gate of its picture. The gradients of both paths are added. The usual mistake in this block is to
# leave out the second path: that raises no error, and the loss may still fall.
#
# $$du = \underbrace{dy \odot s}_{\text{directly}} + \underbrace{dz / (H W)}_{\text{through the squeeze}}$$
#
# Compute $ds$ from $dy$ as in exercise 5, and $dz$ from $ds$ as in exercise 4. This file does not have `excite`,
# `excite_backward` and the other functions: write them out, or copy your own functions into this file.
#
# | array | shape |
# |---|---|
# | `u`, `y`, `du`, `dy` | `(N, H, W, C)` |
# | `w1`, `dw1` | `(M, C)` |
# | `w2`, `dw2` | `(C, M)` |

# %%
import numpy as np


def se(u, w1, w2):
    """Squeeze and excitation: u (N, H, W, C), w1 (M, C), w2 (C, M) -> y (N, H, W, C)."""
    # BEGIN SOLUTION
    z = u.mean(axis=(1, 2))
    s = 1 / (1 + np.exp(-(np.maximum(z @ w1.T, 0) @ w2.T)))
    return u * s[:, None, None, :]
    # END SOLUTION


def se_backward(dy, u, w1, w2):
    """Gradients of `se` -> du (N, H, W, C), dw1 (M, C), dw2 (C, M)."""
    # BEGIN SOLUTION
    _, H, W, _ = u.shape
    z = u.mean(axis=(1, 2))
    h = np.maximum(z @ w1.T, 0)
    s = 1 / (1 + np.exp(-(h @ w2.T)))

    ds = (dy * u).sum(axis=(1, 2))
    da2 = ds * s * (1 - s)
    da1 = (da2 @ w2) * (h > 0)
    dz = da1 @ w1
    du = dy * s[:, None, None, :] + dz[:, None, None, :] / (H * W)
    return du, da1.T @ z, da2.T @ h
    # END SOLUTION

# %% [example]
u = np.arange(8.0).reshape(1, 2, 2, 2) / 4
w1, w2 = np.array([[1.0, -0.5]]), np.array([[1.0], [-1.0]])
print("y, first channel\n", se(u, w1, w2)[0, :, :, 0].round(4))
du, dw1, dw2 = se_backward(np.ones((1, 2, 2, 2)), u, w1, w2)
print("du, first channel\n", du[0, :, :, 0].round(4))
print("dw1", dw1.round(4).tolist(), "dw2", dw2.round(4).tolist())

# %% [hint]
# Write the forward pass once more at the beginning of the backward pass, and name each intermediate result: z, h, s.
# Then go through these lines from the last to the first.

# %% [hint]
# The last line multiplies u by s. It gives u one part of its gradient, and it gives ds. From ds, go back through the
# excitation to dz, and from dz through the mean to u.

# %% [hint]
# du is the sum of two parts: dy times the gates, and dz / (H*W), which is the same at every pixel of the map.
# If dw1 and dw2 are right and du is not, look at the second part. If only dw2 is right, look at the mask of the ReLU.

# %% [tests]
from npse.exercises.task import Task
from npse.gradcheck.cases.case import Case, distinct, signed


def case(label, shape, M):
    C = shape[-1]
    return Case(
        ("se_backward", "se"), label,
        make=lambda rng: {"u": distinct(rng, *shape) + 0.5 * signed(rng, shape[0], 1, 1, C),
                          "w1": signed(rng, M, C) / C, "w2": signed(rng, C, M) / M},
        forward=lambda ops, u, w1, w2: ops.se(u, w1, w2),
        backward=lambda ops, dy, u, w1, w2: ops.se_backward(dy, u, w1, w2),
        wrt=("u", "w1", "w2"), kinks=lambda u, w1, w2: [u.mean(axis=(1, 2)) @ w1.T])


CASES = [case("H < W", (2, 3, 4, 4), 2), case("H > W, N = 1", (1, 4, 3, 4), 2), case("C = 1", (3, 3, 2, 1), 2),
         case("C/r = 1", (3, 2, 3, 3), 1)]
TASKS = (Task("se", CASES, values=2), Task("se_backward", CASES, u=4, w1=1, w2=1))

# %% [mistake] the path through the squeeze is forgotten
# loses: se_backward: gradient of u
# kind: path missing
_se_backward = se_backward

def se_backward(dy, u, w1, w2):
    s = 1 / (1 + np.exp(-(np.maximum(u.mean(axis=(1, 2)) @ w1.T, 0) @ w2.T)))
    _, dw1, dw2 = _se_backward(dy, u, w1, w2)
    return dy * s[:, None, None, :], dw1, dw2

# %% [mistake] H*W forgotten in the squeeze path
# loses: se_backward: gradient of u
# kind: averaged
_se_backward = se_backward

def se_backward(dy, u, w1, w2):
    s = 1 / (1 + np.exp(-(np.maximum(u.mean(axis=(1, 2)) @ w1.T, 0) @ w2.T)))
    du, dw1, dw2 = _se_backward(dy, u, w1, w2)
    direct = dy * s[:, None, None, :]
    return direct + (du - direct) * (u.shape[1] * u.shape[2]), dw1, dw2

# %% [mistake] w1 and w2 exchanged in the result
# loses: se_backward: gradient of w1; se_backward: gradient of w2
# kind: swapped
_se_backward = se_backward

def se_backward(dy, u, w1, w2):
    du, dw1, dw2 = _se_backward(dy, u, w1, w2)
    return du, dw2, dw1
