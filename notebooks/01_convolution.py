# ---
# jupyter:
#   jupytext:
#     formats: ipynb,py:percent
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # 1 · Convolution
#
# *Squeeze-and-Excitation Networks* ([arXiv 1709.01507](https://arxiv.org/abs/1709.01507)), equation (1)
#
# A squeeze-and-excitation block never looks at a picture. It looks at what a convolution has made of the picture: a
# stack of maps, one for each filter, each telling where that filter found what it looks for. The block then decides how
# much each of these maps should count. So the first page is about the maps themselves: how they are made, what a filter
# can see, and, since a network has to learn its filters, how a wish about the maps ("this pixel should be a little
# larger") becomes a wish about the filters and about the picture.
#
# You need Python, NumPy arrays, and the derivative of a sum. By the end you will have followed one convolution forwards
# and backwards with a pencil, read the few lines of NumPy that npse ships for it, and seen both of its gradients
# confirmed by a measurement that knows nothing of the formulas.

# %%
import matplotlib.pyplot as plt
import numpy as np

from npse.gradcheck import check_gradient
from npse.reference import conv2d, conv2d_backward_w, conv2d_backward_x
from npse.reference.conv import pad, window
from npse.support.notebook_figures import Source, draw_grid, example_filters, example_picture

# %% [markdown]
# ## The formula
#
# The paper writes the $c$-th output map $u_c$ as
#
# $$u_c = v_c * X = \sum_{s=1}^{C'} v_c^s * x^s \qquad (1)$$
#
# In words: the filter $v_c$ has one small kernel $v_c^s$ for every input channel $x^s$. Slide each kernel over its own
# channel, then add the $C'$ results. One filter, however many channels it reads, gives one map.
#
# | in the paper | what it is | in the code |
# |---|---|---|
# | $X = [x^1, \ldots, x^{C'}]$ | input, $C'$ channels | `x`, shape `(N, H, W, Cin)`, N pictures at once |
# | $v_c^s$ | the kernel of filter $c$ for channel $s$ | `w[:, :, s, c]`, where `w` has shape `(kh, kw, Cin, Cout)` |
# | $u_c$ | output map $c$ | `u[..., c]`, where `u` has shape `(N, Ho, Wo, Cout)` |
# | $*$ | convolution | a cross-correlation: the kernel is *not* flipped, as everywhere in deep learning |
#
# There is no bias: the paper leaves it out of the formula, and in a network a batch norm follows, which would remove it
# anyway.
#
# The star hides two more sums. With all indices written out, for picture $n$, output position $(a, b)$ and filter $k$:
#
# $$u[n,a,b,k] = \sum_{i} \sum_{j} \sum_{c} \tilde{x}[n, \ S a + i, \ S b + j, \ c] \ w[i,j,c,k]$$
#
# Here $(i, j)$ runs over the taps of the kernel, $c$ over the input channels, $S$ is the stride (how far the window
# moves from one output pixel to the next; in the code `stride`), and $\tilde{x}$ is $x$ with a frame of zeros around it
# (`padding`). Note the two pairs of letters: $(a, b)$ says where we are in the output, $(i, j)$ where we are inside the
# window.

# %% [markdown]
# ## A picture
#
# Four filters, set by hand, look at a made-up picture. Each of them reads all three colours. The first two add the
# colours up and look for a change of brightness from top to bottom, or from left to right. The third does not look
# around at all: it takes the centre pixel and computes *red minus the mean of green and blue*. The fourth averages.

# %%
picture = example_picture()
filters, names = example_filters()
maps = conv2d(picture, filters, padding=1)

figure, axes = plt.subplots(1, 5, figsize=(12, 2.8))
axes[0].imshow(picture[0])
axes[0].set_title(f"x: {picture.shape[1:]}", fontsize=10)
for k, ax in enumerate(axes[1:]):
    image = ax.imshow(maps[0, :, :, k], cmap="RdBu_r", vmin=-0.8, vmax=0.8)
    ax.set_title(f"$u_{k + 1}$: {names[k]}", fontsize=10)
for ax in axes:
    ax.axis("off")
figure.colorbar(image, ax=axes, fraction=0.012, pad=0.01, shrink=0.8)
plt.show()

# %% [markdown]
# Two things are worth noticing, because the rest of the paper follows from them.
#
# * **A filter sees only its window.** A pixel of $u_1$ knows nine pixels of $x$ and nothing of what happens elsewhere
#   in the picture. Whether there is a red disc somewhere is written in $u_3$, but no single pixel of $u_1$ can use it.
# * **Channels are mixed, but only inside the sum.** How much red counts against green is frozen into the filter. It
#   cannot depend on the picture at hand.
#
# Squeeze (page 2) is the answer to the first, excitation and scale (pages 3 and 4) are the answer to the second.

# %% [markdown]
# ## With a pencil
#
# One picture of 3 x 3 pixels with two channels; two filters of 2 x 2 taps; stride 1, no padding. So $N = 1$, $C' = 2$,
# $C = 2$, and each window has $2 \cdot 2 = 4$ places to stand: the output maps are 2 x 2.

# %%
x = np.zeros((1, 3, 3, 2))
x[0, :, :, 0] = [[0, 2, 2], [0, 2, 0], [3, 3, 3]]
x[0, :, :, 1] = [[0, 0, 3], [1, 0, 0], [0, 2, 2]]

w = np.zeros((2, 2, 2, 2))
w[:, :, 0, 0] = [[-2, 2], [0, 0]]       # filter 1 on channel 1: the change from left to right
w[:, :, 1, 0] = [[0, 0], [0, 2]]        # filter 1 on channel 2: twice the lower right pixel
w[:, :, 0, 1] = [[0, -2], [0, 2]]       # filter 2 on channel 1: the change from above to below
w[:, :, 1, 1] = [[0, 0], [0, 1]]        # filter 2 on channel 2: the lower right pixel

u = conv2d(x, w)

figure, axes = plt.subplots(2, 5, figsize=(10, 4.2))
for k, row in enumerate(axes):
    for c in (0, 1):
        draw_grid(row[2 * c], x[0, :, :, c], f"$x^{c + 1}$", frame=(0, 1, 2, 2), limit=8)
        draw_grid(row[2 * c + 1], w[:, :, c, k], f"$v_{k + 1}^{c + 1}$", limit=8)
    title = f"$u_{k + 1} = v_{k + 1}^1 * x^1 + v_{k + 1}^2 * x^2$"
    draw_grid(row[4], u[0, :, :, k], title, frame=(0, 1, 1, 1), limit=8)
    for ax in row[[1, 3, 4]]:
        ax.set(xlim=(-1, 2), ylim=(2, -1))              # one scale for all pixels
figure.suptitle("Equation (1), a row for each filter. Framed: a window and the pixel it makes", fontsize=11)
figure.tight_layout()
plt.show()

# %% [markdown]
# **Filter 1.** Its first kernel, on $x^1$, is $-2$ times the upper left pixel of the window plus $2$ times the upper
# right one. The four windows give
#
# $$v_1^1 * x^1: \quad
# -2 \cdot 0 + 2 \cdot 2 = 4, \quad
# -2 \cdot 2 + 2 \cdot 2 = 0, \quad
# -2 \cdot 0 + 2 \cdot 2 = 4, \quad
# -2 \cdot 2 + 2 \cdot 0 = -4$$
#
# Its second kernel, on $x^2$, is twice the lower right pixel:
#
# $$v_1^2 * x^2: \quad 2 \cdot 0 = 0, \quad 2 \cdot 0 = 0, \quad 2 \cdot 2 = 4, \quad 2 \cdot 2 = 4$$
#
# Equation (1) says: add them. With the four windows arranged as a map,
#
# $$u_1 = \begin{pmatrix} 4 & 0 \\ 4 & -4 \end{pmatrix} + \begin{pmatrix} 0 & 0 \\ 4 & 4 \end{pmatrix}
# = \begin{pmatrix} 4 & 0 \\ 8 & 0 \end{pmatrix}$$
#
# **Filter 2.** On $x^1$ it takes $-2$ times the upper right pixel plus $2$ times the lower right one:
# $-2 \cdot 2 + 2 \cdot 2 = 0$, then $-2 \cdot 2 + 2 \cdot 0 = -4$, then $-2 \cdot 2 + 2 \cdot 3 = 2$, and
# $-2 \cdot 0 + 2 \cdot 3 = 6$. On $x^2$ it takes the lower right pixel: $0, 0, 2, 2$. The sum is
#
# $$u_2 = \begin{pmatrix} 0 & -4 \\ 2 & 6 \end{pmatrix} + \begin{pmatrix} 0 & 0 \\ 2 & 2 \end{pmatrix}
# = \begin{pmatrix} 0 & -4 \\ 4 & 8 \end{pmatrix}$$
#
# Does the shipped function agree?

# %%
print(u[0, :, :, 0])
print(u[0, :, :, 1])

assert np.array_equal(u[0, :, :, 0], [[4, 0], [8, 0]])
assert np.array_equal(u[0, :, :, 1], [[0, -4], [4, 8]])

# %% [markdown]
# Keep these two maps: pages 2, 3 and 4 go on with them until the whole block is computed.

# %% [markdown]
# ## The shipped function
#
# Two small helpers and the op itself, read from the installed package while this page runs:

# %%
Source(pad, window, conv2d)

# %% [markdown]
# Written as loops, the formula needs seven: $n, a, b, k$ for the output and $i, j, c$ for the sum. Only two are loops
# in Python here. For a fixed tap $(i, j)$, the pixels which that tap meets, for all output positions at once, are a
# shifted and strided *view* of $x$: that is `window`, and it copies nothing. On this view, each pixel's row of `Cin`
# numbers is multiplied by the matrix `w[i, j]` of shape `(Cin, Cout)`. So **a convolution is a sum of $k_h \cdot k_w$
# matrix products**, nine for a 3 x 3 filter, and the sum over $s$ in equation (1) is the inner sum of each product.
#
# The first line checks that shapes and number types fit, and says which do not. It is worth reading once what that
# looks like:

# %%
try:
    conv2d(x, w[:, :, :1])
except ValueError as error:
    print(error)

# %% [markdown]
# ## Backwards
#
# Somewhere at the end of the network stands a single number, the loss $L$. Backpropagation hands us
# $du = \partial L / \partial u$: for each output pixel, how much the loss rises if this pixel does. It has the shape of
# $u$. We owe two answers of the same kind: $dw = \partial L / \partial w$, to improve the filters, and
# $dx = \partial L / \partial x$, to pass on to whatever made $x$.
#
# There is one recipe, and it serves on every page. **A variable reaches the loss through everything it has touched;
# follow each of these ways, multiply the derivatives along it, and add up the ways.**
#
# ### The gradient of the filters
#
# What has the single weight $w[i,j,c,k]$ touched? It belongs to filter $k$, so only map $k$. But there it was used in
# *every* window of *every* picture, each time multiplied by the pixel under tap $(i, j)$:
#
# $$\frac{\partial \ u[n,a,b,k]}{\partial \ w[i,j,c,k]} = \tilde{x}[n, \ Sa + i, \ Sb + j, \ c]$$
#
# So its ways to the loss are numbered by $n, a, b$, and these are the sums:
#
# $$dw[i,j,c,k] = \sum_{n} \sum_{a} \sum_{b} \tilde{x}[n, \ Sa + i, \ Sb + j, \ c] \ du[n,a,b,k]$$
#
# The sum over $n, a, b$ comes from *sharing* one weight between all positions and all pictures.
#
# ### The gradient of the input
#
# What has the pixel $\tilde{x}[n,p,q,c]$ touched? All windows that contain it: those positions $(a, b)$ for which some
# tap $(i, j)$ falls on it, $Sa + i = p$ and $Sb + j = q$. And in each window all filters $k$, with derivative
# $w[i,j,c,k]$. So
#
# $$d\tilde{x}[n,p,q,c] = \sum_{k} \ \sum_{\substack{a, i: \\ Sa + i = p}} \ \sum_{\substack{b, j: \\ Sb + j = q}}
# w[i,j,c,k] \ du[n,a,b,k]$$
#
# The conditions under the sums look unpleasant. They vanish if the same sum is read from the other side. Instead of
# asking each pixel "which windows were you in?", go through the windows, and let each of them hand its share to the
# pixels it covers:
#
# $$d\tilde{x}[n, \ Sa + i, \ Sb + j, \ c] \mathrel{+}= \sum_{k} w[i,j,c,k] \ du[n,a,b,k]
# \qquad \text{for all } a, b, i, j$$
#
# The sum over the windows has become the plus sign in $\mathrel{+}=$. At last, the frame of zeros is cut off: it was
# never part of $x$, and nobody asks for its gradient.
#
# How many windows does a pixel meet? Give every window a share of 1 and count. This is what the conditions under the
# sums look like:

# %%
ones = np.ones((3, 3, 1, 1))
figure, axes = plt.subplots(1, 3, figsize=(10, 3.3))
for ax, (stride, padding) in zip(axes, [(1, 0), (1, 1), (2, 0)], strict=True):
    size = (6 + 2 * padding - 3) // stride + 1
    windows = conv2d_backward_x(np.ones((1, size, size, 1)), ones, (1, 6, 6, 1), stride, padding)
    draw_grid(ax, windows[0, :, :, 0], f"stride {stride}, padding {padding}", limit=12)
figure.suptitle("In how many 3 x 3 windows is each pixel of a 6 x 6 map?", fontsize=11)
plt.show()

# %% [markdown]
# On the right, the last row and column belong to no window: with stride 2 the window stands at 0 and at 2, and there is
# no room for a third. These pixels have no influence on $u$, so their gradient is 0. It must still be there, in the
# right place. Hence the shape of $x$ is an argument of the backward op: from $du$ alone it cannot be known.
#
# ### With a pencil
#
# Let the gradient that arrives be
#
# $$du_1 = \begin{pmatrix} 1 & 0 \\ 0 & 2 \end{pmatrix}, \qquad du_2 = \begin{pmatrix} 0 & -1 \\ 0 & 0 \end{pmatrix}$$
#
# **For the filters**, take each window of $x$, weighted by its $du$. For $v_1^1$ those are the upper left window of
# $x^1$ with weight 1, and the lower right window with weight 2:
#
# $$dv_1^1 = 1 \begin{pmatrix} 0 & 2 \\ 0 & 2 \end{pmatrix} + 2 \begin{pmatrix} 2 & 0 \\ 3 & 3 \end{pmatrix}
# = \begin{pmatrix} 4 & 2 \\ 6 & 8 \end{pmatrix}
# \qquad
# dv_1^2 = 1 \begin{pmatrix} 0 & 0 \\ 1 & 0 \end{pmatrix} + 2 \begin{pmatrix} 0 & 0 \\ 2 & 2 \end{pmatrix}
# = \begin{pmatrix} 0 & 0 \\ 5 & 4 \end{pmatrix}$$
#
# For filter 2 there is one window, the upper right, with weight $-1$:
#
# $$dv_2^1 = -1 \begin{pmatrix} 2 & 2 \\ 2 & 0 \end{pmatrix} = \begin{pmatrix} -2 & -2 \\ -2 & 0 \end{pmatrix}
# \qquad
# dv_2^2 = -1 \begin{pmatrix} 0 & 3 \\ 0 & 0 \end{pmatrix} = \begin{pmatrix} 0 & -3 \\ 0 & 0 \end{pmatrix}$$
#
# **For the input**, the kernel itself is the stamp. Put $1 \cdot v_1^1$ where the upper left window stood,
# $2 \cdot v_1^1$ on the lower right, $-1 \cdot v_2^1$ on the upper right, and add where they overlap:
#
# $$dx^1 = \begin{pmatrix} -2 & 2 & 0 \\ 0 & 0 & 0 \\ 0 & 0 & 0 \end{pmatrix} +
# \begin{pmatrix} 0 & 0 & 0 \\ 0 & -4 & 4 \\ 0 & 0 & 0 \end{pmatrix} +
# \begin{pmatrix} 0 & 0 & 2 \\ 0 & 0 & -2 \\ 0 & 0 & 0 \end{pmatrix}
# = \begin{pmatrix} -2 & 2 & 2 \\ 0 & -4 & 2 \\ 0 & 0 & 0 \end{pmatrix}$$
#
# For $x^2$ all kernels have their only number at the lower right, so three single numbers are stamped: $1 \cdot 2 = 2$
# in the centre, $2 \cdot 2 = 4$ in the last corner, $-1 \cdot 1 = -1$ at the right of the centre.

# %%
du = np.zeros_like(u)
du[0, :, :, 0] = [[1, 0], [0, 2]]
du[0, :, :, 1] = [[0, -1], [0, 0]]

dw = conv2d_backward_w(du, x, w.shape)
dx = conv2d_backward_x(du, w, x.shape)

assert np.array_equal(dw[:, :, 0, 0], [[4, 2], [6, 8]])
assert np.array_equal(dw[:, :, 1, 0], [[0, 0], [5, 4]])
assert np.array_equal(dw[:, :, 0, 1], [[-2, -2], [-2, 0]])
assert np.array_equal(dw[:, :, 1, 1], [[0, -3], [0, 0]])
assert np.array_equal(dx[0, :, :, 0], [[-2, 2, 2], [0, -4, 2], [0, 0, 0]])
assert np.array_equal(dx[0, :, :, 1], [[0, 0, 0], [0, 2, -1], [0, 0, 4]])
pencil = x, w, du
print("all six matrices are as computed by hand")

# %% [markdown]
# ### The shipped functions

# %%
Source(conv2d_backward_x, conv2d_backward_w)

# %% [markdown]
# Lay `conv2d_backward_x` beside `conv2d`: the same loop over the taps, the same `window`, which is now written to
# instead of read from, and `w[i, j]` transposed, since the sum now runs over $k$ instead of $c$. In `conv2d_backward_w`
# the three sums over $n, a, b$ are one `tensordot` for each tap.
#
# Inside an op the output is always called `y` and the gradient that comes in `dy`, whatever name they have outside.

# %% [markdown]
# ## Checked live
#
# A derivative can be measured. Nudge one entry of $x$ up a little, nudge it down a little, and see how the loss
# changes; then the next entry. This *central difference*
#
# $$\frac{\partial L}{\partial x_e} \approx \frac{L(x_e + h) - L(x_e - h)}{2h}$$
#
# knows nothing of our formulas, so agreement means something. Two details matter.
#
# * *Which loss?* Any, as long as its gradient with respect to $u$ is known. We take $L = \sum u \cdot du$ with random
#   numbers for $du$: its gradient with respect to $u$ is just that $du$. Ones instead of random numbers would let
#   mistakes cancel; we shall see one do so below.
# * *Which $h$?* Too large, and the curve is not straight between the two points; too small, and the difference drowns
#   in rounding. In float64, $10^{-5}$ is a good middle. In float32 there is no good middle: gradients are checked in
#   float64.


# %%
def numeric_gradient(f, x, dy, h=1e-5):
    """Measure the gradient of L = sum(f(x) * dy) with respect to each entry of x."""
    dx = np.empty_like(x)
    for entry in np.ndindex(x.shape):
        step = np.zeros_like(x)
        step[entry] = h
        dx[entry] = np.sum((f(x + step) - f(x - step)) * dy) / (2 * h)
    return dx


def relative_error(ours, truth):
    """The largest difference, compared with the largest entry of the truth."""
    return np.abs(ours - truth).max() / np.abs(truth).max()


# %% [markdown]
# The test case is chosen to be awkward, because a tidy one hides mistakes: two pictures, height and width that differ,
# a kernel that is not square, other numbers of channels in than out, and a stride that does not divide.

# %% tags=["varies"]
rng = np.random.default_rng(1)
x = rng.normal(size=(2, 6, 5, 4))
w = rng.normal(size=(3, 2, 4, 7))
options = {"stride": 2, "padding": 1}
du = rng.normal(size=conv2d(x, w, **options).shape)

dx = conv2d_backward_x(du, w, x.shape, **options)
dw = conv2d_backward_w(du, x, w.shape, **options)
error_x = relative_error(dx, numeric_gradient(lambda x: conv2d(x, w, **options), x, du))
error_w = relative_error(dw, numeric_gradient(lambda w: conv2d(x, w, **options), w, du))

print(f"dx: {dx.size} entries, relative error {error_x:.0e}")
print(f"dw: {dw.size} entries, relative error {error_w:.0e}")
assert max(error_x, error_w) < 1e-8

# %% [markdown]
# Ten correct digits or so, for every single entry. The rest is rounding.
#
# npse ships a judge that does the same with more care, on any pair of functions: it looks at the gradients, at float32,
# and at the manners of a function (page 4 shows its whole report). Its word on our two:


# %% tags=["varies"]
def backward(dy, x, w):
    dx = conv2d_backward_x(dy, w, x.shape, **options)
    dw = conv2d_backward_w(dy, x, w.shape, **options)
    return dx, dw


report = check_gradient(lambda x, w: conv2d(x, w, **options), backward, {"x": x, "w": w})
print(f"{len(report.results)} checks, {len(report.failures)} failures")
assert report.ok

# %% [markdown]
# ## Typical mistakes, and what they look like
#
# ### The kernel that is not flipped
#
# With stride 1 there is a second way to write $dx$, found in many textbooks: it is again a convolution. Pad $du$
# generously, swap the roles of input and output channels, turn every kernel by 180 degrees. The turn is easily
# forgotten; or somebody turns the kernel in the forward pass, as mathematicians do, and not in the backward pass. On
# our pencil example:

# %%
x, w, du = pencil

swapped = w.transpose(0, 1, 3, 2)
right = conv2d(du, swapped[::-1, ::-1], padding=1)
wrong = conv2d(du, swapped, padding=1)
assert np.array_equal(right, conv2d_backward_x(du, w, x.shape))

figure, axes = plt.subplots(1, 2, figsize=(6.4, 2.6))
draw_grid(axes[0], right[0, :, :, 0], "$dx^1$, kernel turned: right", limit=5)
draw_grid(axes[1], wrong[0, :, :, 0], "$dx^1$, kernel not turned: wrong", limit=5)
plt.show()
print("sum of all entries:", right.sum(), "and", wrong.sum())

# %% [markdown]
# Every stamp lies turned the wrong way round, and **the sum is the same**. A check that looks only at sums is
# satisfied. So is, away from the border, a check with $du = 1$ everywhere:

# %%
rng = np.random.default_rng(2)
w = rng.normal(size=(3, 3, 2, 2))
for name, du in (("du = 1", np.ones((1, 6, 6, 2))), ("du random", rng.normal(size=(1, 6, 6, 2)))):
    right = conv2d_backward_x(du, w, (1, 8, 8, 2))
    wrong = conv2d(du, w.transpose(0, 1, 3, 2), padding=2)
    inside = np.s_[:, 2:-2, 2:-2]
    print(f"{name:10s} error inside {relative_error(wrong[inside], right[inside]):6.1%}"
          f"   error everywhere {relative_error(wrong, right):6.1%}")

# %% [markdown]
# ### The windows that overwrite each other
#
# `window(...)[...] = ...` instead of `+=`. Where windows overlap, only the last visitor's share is left.


# %%
def backward_x_overwriting(du, w, x_shape):
    dx = np.zeros(x_shape)
    _, Ho, Wo, _ = du.shape
    for i, j in np.ndindex(w.shape[:2]):
        window(dx, i, j, Ho, Wo, 1)[...] = du @ w[i, j].T
    return dx


wrong = backward_x_overwriting(du, w, (1, 8, 8, 2))
right = conv2d_backward_x(du, w, (1, 8, 8, 2))
print(f"error {relative_error(wrong, right):.0%}")
print(f"right all the same: {np.isclose(wrong, right).mean():.0%} of the entries")

# %% [markdown]
# With a kernel no larger than the stride nothing overlaps, and this bug stays hidden. A parallel loop that lets several
# windows add to the same pixel at the same time is the same mistake in a modern dress.
#
# ### The lost last row
#
# It is tempting to compute the size of $x$ from the size of $du$ by solving $H_o = (H + 2p - k)/S + 1$ for $H$. But the
# division rounds down, and what was rounded away does not come back:

# %%
H, k, S, p = 6, 3, 2, 1
Ho = (H + 2 * p - k) // S + 1
print(f"H = {H} gives Ho = {Ho}; solved for H again: {(Ho - 1) * S + k - 2 * p}")

dx = conv2d_backward_x(np.ones((1, Ho, Ho, 1)), np.ones((k, k, 1, 1)), (1, H, H, 1), S, p)
print(dx[0, :, :, 0])

# %% [markdown]
# A gradient of 5 x 5 is one row and one column short, and those hold real numbers. This is not a rare case: every 3 x 3
# convolution with stride 2 and padding 1 that halves an even map does it, and a ResNet has one at the start of every
# stage but the first.

# %% [markdown]
# ## What is saved for the backward pass
#
# | gradient | needs | why |
# |---|---|---|
# | $dw$ | $x$ and $du$ | the derivative of $x \cdot w$ with respect to $w$ is $x$ |
# | $dx$ | $w$ and $du$, and the shape of $x$ | the derivative with respect to $x$ is $w$ |
#
# The output $u$ is not needed. In npse the signature of a backward op *is* the list of what has to be kept: no hidden
# cache, no object. What keeping $x$ costs, for one of the larger layers of a small ResNet on CIFAR-10 in float32:

# %%
N, H, W, C = 128, 32, 32, 16
print(f"{N * H * W * C * 4 / 2**20:.0f} MiB for x, and {3 * 3 * C * C * 4 / 2**10:.0f} KiB for w")

# %% [markdown]
# This is why training takes so much more memory than predicting: it is the maps, not the weights.

# %% [markdown]
# ## Questions
#
# **1.** How many multiplications does a 3 x 3 convolution from 16 to 16 channels need for one 32 x 32 map (padding 1)?
# What does a squeeze-and-excitation block need on the same map, roughly?
#
# <details><summary>Answer</summary>
#
# Each of the 32 · 32 · 16 output numbers is a sum of 3 · 3 · 16 products: 2 359 296 in all. The block adds up 16 384
# numbers, works on vectors of 16, and multiplies 16 384 numbers by their gates: less than one percent of the
# multiplications. (In *time* it costs more than that: it has to read and write the whole map for very little
# arithmetic.)
#
# </details>
#
# **2.** What is a 1 x 1 convolution?
#
# <details><summary>Answer</summary>
#
# One tap, so one matrix product: the same dense layer applied to the channels of each pixel. It mixes channels and
# looks at nothing around it. The filter *redness* above is one in disguise.
#
# </details>
#
# **3.** If $x$ is multiplied by 3 and $du$ stays the same, what happens to $dw$ and to $dx$?
#
# <details><summary>Answer</summary>
#
# $dw$ is multiplied by 3, $dx$ does not change: it does not contain $x$. The convolution is linear in $x$ for fixed
# $w$, and linear in $w$ for fixed $x$.
#
# </details>
#
# ## Next
#
# The maps are made, and each of their pixels knows its own neighbourhood only. [Page 2, squeeze](02_squeeze.ipynb): one
# number a channel that knows the whole map.
