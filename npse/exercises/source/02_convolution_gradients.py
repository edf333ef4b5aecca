# title: The two gradients of a convolution
# idea: follow every path from a number to the loss, and add up the paths

# %% [markdown]
# # Exercise 2: The two gradients of a convolution
#
# The backward pass starts from $dy$, the gradient of the loss for $y$, shaped like $y$. Each weight is used in every
# window, so its gradient is a sum over all windows:
#
# $$dw[i, j, c, k] = \sum_{n, a, b} \tilde{x}[n,\ S a + i,\ S b + j,\ c] \; dy[n, a, b, k]$$
#
# A pixel is used in every window that covers it. So each $dy[n, a, b, k]$ is added to all pixels of its window, times
# the weight that was used there:
#
# $$d\tilde{x}[n,\ S a + i,\ S b + j,\ c] \mathrel{+}= \sum_k dy[n, a, b, k] \; w[i, j, c, k]
# \quad\text{for all } a, b, i, j$$
#
# At the end the border of zeros is cut off. Windows overlap, therefore `+=`.
#
# | array | shape |
# |---|---|
# | `x`, `dx` | `(N, H, W, Cin)` |
# | `w`, `dw` | `(kh, kw, Cin, Cout)` |
# | `dy` | `(N, Ho, Wo, Cout)` |

# %%
import numpy as np


def conv2d_backward_w(dy, x, w_shape, stride=1, padding=0):
    """Gradient of a convolution with respect to its filters -> dw, of shape w_shape."""
    # BEGIN SOLUTION
    kh, kw, _, _ = w_shape
    _, Ho, Wo, _ = dy.shape
    xp = np.pad(x, ((0, 0), (padding, padding), (padding, padding), (0, 0)))
    dw = np.zeros(w_shape, x.dtype)
    for i in range(kh):
        for j in range(kw):
            seen = xp[:, i:i + stride * (Ho - 1) + 1:stride, j:j + stride * (Wo - 1) + 1:stride]
            dw[i, j] = np.tensordot(seen, dy, axes=([0, 1, 2], [0, 1, 2]))
    return dw
    # END SOLUTION


def conv2d_backward_x(dy, w, x_shape, stride=1, padding=0):
    """Gradient of a convolution with respect to its input -> dx, of shape x_shape."""
    # BEGIN SOLUTION
    N, H, W, Cin = x_shape
    _, Ho, Wo, _ = dy.shape
    dxp = np.zeros((N, H + 2 * padding, W + 2 * padding, Cin), dy.dtype)
    for i in range(w.shape[0]):
        for j in range(w.shape[1]):
            reached = dxp[:, i:i + stride * (Ho - 1) + 1:stride, j:j + stride * (Wo - 1) + 1:stride]
            reached += dy @ w[i, j].T
    return dxp[:, padding:padding + H, padding:padding + W].copy()
    # END SOLUTION

# %% [example]
rng = np.random.default_rng(2)
x = rng.integers(-2, 3, (1, 3, 3, 1)).astype(float)
w = rng.integers(-2, 3, (2, 2, 1, 1)).astype(float)
dy = np.array([[1.0, 0.0], [0.0, -1.0]]).reshape(1, 2, 2, 1)
print("dw\n", conv2d_backward_w(dy, x, w.shape)[:, :, 0, 0])
print("dx\n", conv2d_backward_x(dy, w, x.shape)[0, :, :, 0])

# %% [hint]
# Both use the views of exercise 1: the pixels that tap (i, j) uses. For dw, multiply these pixels by dy and sum over n,
# a and b. For dx, add something to these pixels.

# %% [hint]
# dw[i, j] is a matrix (Cin, Cout): np.tensordot can sum over the first three axes of two arrays. For dx, a row of Cout
# numbers of dy must become a row of Cin numbers: multiply it by the transpose of w[i, j].

# %% [hint]
# Make an array of zeros for the padded dx. For each tap, take the same strided slice of it as in the forward pass, and
# add dy @ transpose to this slice. Return the part without the border. If the stride does not divide the size, some
# rows are used by no window: they stay zero, and that is right.

# %% [tests]
from npse.exercises.task import Task

PLAIN = ("3x3, H < W, Cin < Cout", "1x1 kernel", "kernel = map")
FRAMED = ("3x2, H > W, Cin > Cout, padding 1", "3x3, stride 2, last row and column unused", "2x3, stride 3, padding 2",
          "1x1 kernel, stride 2")
TASKS = (
    Task("conv2d_backward_w", part="stride 1", labels=PLAIN.__contains__, w=2),
    Task("conv2d_backward_w", part="stride and padding", labels=FRAMED.__contains__, w=1, contract=0),
    Task("conv2d_backward_x", part="stride 1", labels=PLAIN.__contains__, x=3),
    Task("conv2d_backward_x", part="stride and padding", labels=FRAMED.__contains__, x=2, contract=0),
)

# %% [mistake] flipped kernel
# loses: conv2d_backward_x, stride 1: gradient of x; conv2d_backward_x, stride and padding: gradient of x
# kind: flipped kernel
_conv2d_backward_x = conv2d_backward_x

def conv2d_backward_x(dy, w, x_shape, stride=1, padding=0):
    return _conv2d_backward_x(dy, w[::-1, ::-1].copy(), x_shape, stride, padding)

# %% [mistake] assigned, not added
# loses: conv2d_backward_x, stride 1: gradient of x; conv2d_backward_x, stride and padding: gradient of x
# kind: not summed
def conv2d_backward_x(dy, w, x_shape, stride=1, padding=0):
    N, H, W, Cin = x_shape
    _, Ho, Wo, _ = dy.shape
    dxp = np.zeros((N, H + 2 * padding, W + 2 * padding, Cin), dy.dtype)
    for i in range(w.shape[0]):
        for j in range(w.shape[1]):
            dxp[:, i:i + stride * (Ho - 1) + 1:stride, j:j + stride * (Wo - 1) + 1:stride] = dy @ w[i, j].T
    return dxp[:, padding:padding + H, padding:padding + W].copy()

# %% [mistake] averaged over the batch
# loses: conv2d_backward_w, stride 1: gradient of w; conv2d_backward_w, stride and padding: gradient of w
# kind: averaged
_conv2d_backward_w = conv2d_backward_w

def conv2d_backward_w(dy, x, w_shape, stride=1, padding=0):
    return _conv2d_backward_w(dy, x, w_shape, stride, padding) / len(x)
