# title: Convolution
# idea: a convolution is a sum of kh*kw matrix products
# variant: HWIO

# %% [markdown]
# # Exercise 1: Convolution
#
# Equation (1) of the paper, with all its indices. Each output pixel is computed from one window of the padded input.
# The kernel is not flipped:
#
# $$y[n, a, b, k] = \sum_{i, j, c} \tilde{x}[n,\ S a + i,\ S b + j,\ c] \; w[i, j, c, k]$$
#
# Here $S$ is the stride, and $\tilde{x}$ is $x$ with a border of zeros, `padding` pixels wide.
#
# | array | shape |
# |---|---|
# | `x` | `(N, H, W, Cin)` |
# | `w` | `(kh, kw, Cin, Cout)` |
# | `y` | `(N, Ho, Wo, Cout)` with `Ho = (H + 2*padding - kh) // stride + 1`, `Wo` likewise |
#
# Written as it stands, the formula takes seven loops. Two loops are enough, over the taps of the kernel. A tap is one
# position `(i, j)` in the kernel.

# %%
import numpy as np


def conv2d(x, w, stride=1, padding=0):
    """Convolve maps x (N, H, W, Cin) with filters w (kh, kw, Cin, Cout) -> y (N, Ho, Wo, Cout), of x's dtype."""
    # BEGIN SOLUTION
    N, H, W, _ = x.shape
    kh, kw, _, Cout = w.shape
    Ho, Wo = (H + 2 * padding - kh) // stride + 1, (W + 2 * padding - kw) // stride + 1
    xp = np.pad(x, ((0, 0), (padding, padding), (padding, padding), (0, 0)))
    y = np.zeros((N, Ho, Wo, Cout), x.dtype)
    for i in range(kh):
        for j in range(kw):
            seen = xp[:, i:i + stride * (Ho - 1) + 1:stride, j:j + stride * (Wo - 1) + 1:stride]
            y += seen @ w[i, j]
    return y
    # END SOLUTION

# %% [example]
rng = np.random.default_rng(1)
x = rng.integers(-2, 3, (1, 4, 4, 2)).astype(float)
w = rng.integers(-2, 3, (3, 3, 2, 1)).astype(float)
print("stride 1\n", conv2d(x, w)[0, :, :, 0])
print("stride 2, padding 1\n", conv2d(x, w, stride=2, padding=1)[0, :, :, 0])

# %% [hint]
# Begin with stride 1, no padding and one tap, w[0, 0]: a matrix (Cin, Cout). It is multiplied with the upper left
# Ho x Wo pixels of x. What does `@` do with an array (N, Ho, Wo, Cin) and a matrix?

# %% [hint]
# Tap (i, j) is multiplied with the same pixels, shifted by i rows and j columns. Add up one product for each tap. With
# a stride, a tap uses the rows i, i + stride, i + 2*stride and so on. There are Ho of them.

# %% [hint]
# A slice with a step, start:stop:step, gives the view that you need. The last row that tap i uses is
# i + stride*(Ho - 1), so stop one after it: otherwise the view may have a row too many. np.pad makes the border; pad
# only axes 1 and 2.

# %% [tests]
from npse.exercises.task import Task
from npse.exercises.variants import arranged

CASES = arranged("conv2d", w="kh kw Cin Cout")
PLAIN = ("3x3, H < W, Cin < Cout", "1x1 kernel", "kernel = map")
PADDED = ("3x3, square map, Cin = Cout", "3x2, H > W, Cin > Cout, padding 1", "N = 1, Cin = 1, 5x5, padding 2")
TASKS = (
    Task("conv2d", CASES, part="stride 1", labels=PLAIN.__contains__, values=3),
    Task("conv2d", CASES, part="padding", labels=PADDED.__contains__, values=1, contract=0),
    Task("conv2d", CASES, part="stride", labels=lambda label: "stride" in label, values=2, contract=0),
)

# %% [mistake] the kernel is flipped
# loses: conv2d, stride 1: values; conv2d, padding: values; conv2d, stride: values
# kind: forward
_conv2d = conv2d

def conv2d(x, w, stride=1, padding=0):
    return _conv2d(x, w[::-1, ::-1], stride, padding)

# %% [mistake] stride ignored in the columns
# loses: conv2d, stride: values
# kind: forward
def conv2d(x, w, stride=1, padding=0):
    N, H, W, _ = x.shape
    kh, kw, _, Cout = w.shape
    Ho, Wo = (H + 2 * padding - kh) // stride + 1, (W + 2 * padding - kw) // stride + 1
    xp = np.pad(x, ((0, 0), (padding, padding), (padding, padding), (0, 0)))
    y = np.zeros((N, Ho, Wo, Cout), x.dtype)
    for i in range(kh):
        for j in range(kw):
            y += xp[:, i:i + stride * (Ho - 1) + 1:stride, j:j + Wo] @ w[i, j]
    return y

# %% [mistake] float64 output
# loses: conv2d, stride 1: contract
# kind: dtype
_conv2d = conv2d

def conv2d(x, w, stride=1, padding=0):
    return _conv2d(x, w, stride, padding).astype(np.float64)

# %% [variant] OIHW
# kh, kw, Cin, Cout -> Cout, Cin, kh, kw
# kh kw Cin Cout -> Cout Cin kh kw
# w[i, j, c, k] -> w[k, c, i, j]
# kh, kw, _, Cout = w.shape -> Cout, _, kh, kw = w.shape
# @ w[i, j] -> @ w[:, :, i, j].T
# (3, 3, 2, 1) -> (1, 2, 3, 3)
# w[0, 0]: a matrix (Cin, Cout) -> w[:, :, 0, 0].T: a matrix (Cin, Cout)
# w[::-1, ::-1] -> w[:, :, ::-1, ::-1]
