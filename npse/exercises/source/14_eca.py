# title: An excitation of your own
# idea: efficient channel attention: a gate depends on the neighbouring channels, through a few weights

# %% [markdown]
# # Exercise 14: An excitation of your own
#
# The two dense layers of the excitation have $2 C^2 / r$ weights. Efficient channel attention (arXiv 1910.03151) has
# only $K$ weights, typically three. They are a filter `k` that slides over the squeezed channels, with zeros beyond
# both ends.
#
# $$z = \text{mean of } u \text{ over the map}, \qquad
# a[n, c] = \sum_{t=0}^{K-1} k[t] \; z[n,\ c + t - (K-1)/2], \qquad s = \sigma(a), \qquad y = s \odot u$$
#
# Derive the gradient of this block yourself. It has both paths of exercise 6. In place of the dense layers it has a
# convolution along one axis, as in exercise 2.
#
# | array | shape |
# |---|---|
# | `u`, `y`, `du`, `dy` | `(N, H, W, C)` |
# | `k`, `dk` | `(K,)`, K odd |

# %%
import numpy as np


def eca(u, k):
    """Efficient channel attention: u (N, H, W, C), k (K,) -> y (N, H, W, C)."""
    # BEGIN SOLUTION
    C, half = u.shape[3], len(k) // 2
    zp = np.pad(u.mean(axis=(1, 2)), ((0, 0), (half, half)))
    a = sum(k[t] * zp[:, t:t + C] for t in range(len(k)))
    return u / (1 + np.exp(-a))[:, None, None, :]
    # END SOLUTION


def eca_backward(dy, u, k):
    """Gradients of `eca` -> du (N, H, W, C), dk (K,)."""
    # BEGIN SOLUTION
    _, H, W, C = u.shape
    half = len(k) // 2
    zp = np.pad(u.mean(axis=(1, 2)), ((0, 0), (half, half)))
    a = sum(k[t] * zp[:, t:t + C] for t in range(len(k)))
    s = 1 / (1 + np.exp(-a))

    da = (dy * u).sum(axis=(1, 2)) * s * (1 - s)
    dk = np.array([(da * zp[:, t:t + C]).sum() for t in range(len(k))], k.dtype)
    dzp = np.zeros_like(zp)
    for t in range(len(k)):
        dzp[:, t:t + C] += k[t] * da
    dz = dzp[:, half:half + C]
    return dy * s[:, None, None, :] + dz[:, None, None, :] / (H * W), dk
    # END SOLUTION

# %% [example]
u = np.arange(12.0).reshape(1, 2, 2, 3) / 6
k = np.array([1.0, 0.0, -1.0])
print("y, first channel\n", eca(u, k)[0, :, :, 0].round(4))
du, dk = eca_backward(np.ones((1, 2, 2, 3)), u, k)
print("du, first channel\n", du[0, :, :, 0].round(4))
print("dk", dk.round(4))

# %% [hint]
# Pad z with (K-1)/2 zeros on both sides of the channel axis. Tap t then uses C neighbouring columns of the padded z.

# %% [hint]
# From dy back to `da`, everything is as in the block of exercise 6. The rest is the backward pass of a convolution with
# one output channel: dk[t] is a sum, da is added into the padded dz, and the border of zeros is cut off.

# %% [hint]
# For each tap t: dk[t] is da times the columns that the tap uses, summed over all entries. Add k[t] times da to the
# same columns of the padded dz. Then divide dz by H*W, repeat it over the map, and add the direct path.

# %% [tests]
from npse.exercises.task import Task
from npse.gradcheck.cases.case import Case, distinct, signed
from npse.gradcheck.diagnosis.nonlinear import sigmoid
from npse.gradcheck.diagnosis.ops import register
from npse.gradcheck.diagnosis.windows import slide


def on_tape(ops, u, k):
    a = slide(ops.squeeze(u), k, "a", ways=(
        ("through the excitation", "the sum over t of k[t]*da[n, c - t + (K-1)/2]"),
        ("as the filter", "the sum over n, c of z[n, c + t - (K-1)/2]*da[n, c]")))
    return ops.scale(u, sigmoid(a, "s"))


register("eca", on_tape)


def case(label, shape, K):
    return Case(
        ("eca_backward", "eca"), label,
        make=lambda rng: {"u": distinct(rng, *shape) + 0.5 * signed(rng, shape[0], 1, 1, shape[3]),
                          "k": signed(rng, K)},
        forward=lambda ops, u, k: ops.eca(u, k), backward=lambda ops, dy, u, k: ops.eca_backward(dy, u, k),
        wrt=("u", "k"))


CASES = [case("H < W, K = 3", (2, 3, 4, 5), 3), case("K = 1, N = 1", (1, 3, 2, 4), 1),
         case("K = C = 3", (2, 2, 2, 3), 3), case("K = 5", (2, 2, 3, 6), 5)]
TASKS = (Task("eca", CASES, values=3), Task("eca_backward", CASES, u=4, k=2))

# %% [mistake] the filter is not flipped in the backward pass
# loses: eca_backward: gradient of u
# kind: flipped kernel
_eca_backward = eca_backward

def eca_backward(dy, u, k):
    _, H, W, C = u.shape
    y = eca(u, k)
    s = (y / u)[:, 0, 0]
    da = np.pad((dy * u).sum(axis=(1, 2)) * s * (1 - s), ((0, 0), (len(k) // 2, len(k) // 2)))
    dz = sum(k[t] * da[:, t:t + C] for t in range(len(k)))
    return dy * s[:, None, None, :] + dz[:, None, None, :] / (H * W), _eca_backward(dy, u, k)[1]

# %% [mistake] only the direct path
# loses: eca_backward: gradient of u
# kind: path missing
_eca_backward = eca_backward

def eca_backward(dy, u, k):
    return dy * (eca(u, k) / u), _eca_backward(dy, u, k)[1]

# %% [mistake] channels wrap around
# loses: eca: values
# kind: forward
def eca(u, k):
    z = u.mean(axis=(1, 2))
    a = sum(k[t] * np.roll(z, len(k) // 2 - t, axis=1) for t in range(len(k)))
    return u / (1 + np.exp(-a))[:, None, None, :]
