# title: Excite
# idea: two small layers turn the squeezed map into a gate for each channel

# %% [markdown]
# # Exercise 4: Excite
#
# Equation (3) of the paper. Two dense layers, a ReLU $\delta$ between them and a sigmoid $\sigma$ at the end, make a
# gate between 0 and 1 for each channel:
#
# $$a_1 = z W_1^T, \qquad h = \delta(a_1), \qquad a_2 = h W_2^T, \qquad s = \sigma(a_2)$$
#
# The backward pass takes the same steps in the opposite order. The derivative of the sigmoid can be written with its
# output $s$: $\sigma'(a_2) = s (1 - s)$.
#
# $$da_2 = ds \odot s \odot (1 - s), \quad dW_2 = da_2^T h, \quad dh = da_2 W_2$$
#
# $$da_1 = dh \odot 1[a_1 > 0], \quad dW_1 = da_1^T z, \quad dz = da_1 W_1$$
#
# | array | shape |
# |---|---|
# | `z`, `s`, `dz`, `ds` | `(N, C)` |
# | `w1`, `dw1` | `(M, C)` |
# | `w2`, `dw2` | `(C, M)` |

# %%
import numpy as np


def excite(z, w1, w2):
    """Compute the gates: z (N, C), w1 (M, C), w2 (C, M) -> s (N, C)."""
    # BEGIN SOLUTION
    h = np.maximum(z @ w1.T, 0)
    return 1 / (1 + np.exp(-(h @ w2.T)))
    # END SOLUTION


def excite_backward(ds, z, s, w1, w2):
    """Gradients of `excite`, given its output s too -> dz (N, C), dw1 (M, C), dw2 (C, M)."""
    # BEGIN SOLUTION
    h = np.maximum(z @ w1.T, 0)
    da2 = ds * s * (1 - s)
    da1 = (da2 @ w2) * (h > 0)
    return da1 @ w1, da1.T @ z, da2.T @ h
    # END SOLUTION

# %% [example]
z = np.array([[1.0, 2.0, -1.0]])
w1 = np.array([[1.0, 0.0, 1.0], [0.5, 1.0, 0.0]])
w2 = np.array([[1.0, 0.0], [0.0, -1.0], [2.0, 1.0]])
s = excite(z, w1, w2)
print("s", s.round(4))
for name, gradient in zip(("dz", "dw1", "dw2"), excite_backward(np.ones((1, 3)), z, s, w1, w2), strict=True):
    print(name, gradient.round(4).tolist())

# %% [hint]
# Each row is one sample: z W^T is `z @ w.T`. Compare the shape of each product with the shapes in the table.

# %% [hint]
# In the backward pass, begin at the gates and go back to z, with one line for each quantity. The gradient passes the
# ReLU only where the output of the ReLU is above zero. The hidden layer is small, so compute it once more.

# %% [hint]
# The matrix products contain the sum over the batch: (M, N) @ (N, C) adds up all samples. Compute the derivative of the
# sigmoid, s (1 - s), from its output s, not from its input a2 and not from ds.

# %% [tests]
from npse.exercises.task import Task
from npse.gradcheck.cases.case import Case, distinct, signed


def case(label, N, C, M):
    return Case(
        ("excite_backward", "excite"), label,
        make=lambda rng: {"z": distinct(rng, N, C), "w1": signed(rng, M, C) / C, "w2": signed(rng, C, M) / M},
        forward=lambda ops, z, w1, w2: ops.excite(z, w1, w2),
        backward=lambda ops, ds, z, w1, w2: ops.excite_backward(ds, z, ops.excite(z, w1, w2), w1, w2),
        wrt=("z", "w1", "w2"), kinks=lambda z, w1, w2: [z @ w1.T])


CASES = [case("C > M", 3, 6, 2), case("N = 1, C = M", 1, 4, 4), case("C = 1", 3, 1, 2), case("C/r = 1", 4, 3, 1)]
TASKS = (Task("excite", CASES, values=2), Task("excite_backward", CASES, z=1, w1=1, w2=1))

# %% [mistake] the ReLU's mask is missing
# loses: excite_backward: gradient of z; excite_backward: gradient of w1
# kind: mask missing
def excite_backward(ds, z, s, w1, w2):
    da2 = ds * s * (1 - s)
    da1 = da2 @ w2
    return da1 @ w1, da1.T @ z, da2.T @ np.maximum(z @ w1.T, 0)

# %% [mistake] w2 gets the gradient of a mean
# loses: excite_backward: gradient of w2
# kind: averaged
_excite_backward = excite_backward

def excite_backward(ds, z, s, w1, w2):
    dz, dw1, dw2 = _excite_backward(ds, z, s, w1, w2)
    return dz, dw1, dw2 / len(z)

# %% [mistake] the derivative of tanh in place of that of the sigmoid
# loses: excite_backward: gradient of z; excite_backward: gradient of w1; excite_backward: gradient of w2
# kind: sigmoid
def excite_backward(ds, z, s, w1, w2):
    h = np.maximum(z @ w1.T, 0)
    da2 = ds * (1 - s**2)
    da1 = (da2 @ w2) * (h > 0)
    return da1 @ w1, da1.T @ z, da2.T @ h
