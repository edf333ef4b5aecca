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
# *Squeeze-and-Excitation Networks* ([arXiv 1709.01507](https://arxiv.org/abs/1709.01507)), equation (1) · 60 minutes
#
# [The formula](#The-formula) ·
# [A picture](#A-picture) ·
# [With a pencil](#With-a-pencil) ·
# [The shipped function](#The-shipped-function) ·
# [Backwards](#Backwards) ·
# [Checked live](#Checked-live) ·
# [Typical mistakes](#Typical-mistakes) ·
# [What is saved](#What-is-saved) ·
# [Questions](#Questions) ·
# [Now write it yourself](#Now-write-it-yourself) ·
# [Next](#Next)
#
# A squeeze-and-excitation block never looks at a picture. It looks at what a convolution has made of the picture: a
# stack of maps, one for each filter, each telling where that filter found what it looks for. The block then decides
# how much each of these maps should count. So the first page is about the maps themselves: how they are made, what a
# filter can see, and, since a network has to learn its filters, how a wish about the maps ("this pixel should be a
# little larger") becomes a wish about the filters and about the picture.
#
# You need Python, NumPy arrays, and [page 0](00_before_you_begin.ipynb), or what it says. By the end you will have
# followed one convolution forwards and backwards with a pencil, read the few lines of NumPy that npse ships for it,
# and seen both of its gradients confirmed by a measurement that knows nothing of the formulas.

# %%
# On Colab and Kaggle this cell installs npse, at the version of this page.
# Where npse is installed it does nothing.
import importlib.util
import subprocess
import sys

if importlib.util.find_spec("npse") is None:
    pip = [sys.executable, "-m", "pip", "install", "--quiet"]
    subprocess.run([*pip, "npse==0.1.0"], check=True)

# %%
import numpy as np

from npse.gradcheck import check_gradient
from npse.notebook import Play, Source, Worked, numeric_gradient, relative_error
from npse.notebook.examples import example_filters, example_picture
from npse.notebook.figures import convolution as figures
from npse.reference import conv2d, conv2d_backward_w, conv2d_backward_x
from npse.reference.conv import pad, window

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
# There is no bias: the paper leaves it out of the formula, and in a network a batch norm follows, which would remove
# it anyway.
#
# The star hides two more sums. With all indices written out, for picture $n$, output position $(a, b)$ and filter $k$:
#
# $$u[n,a,b,k] = \sum_{i} \sum_{j} \sum_{c} \tilde{x}[n, \ S a + i, \ S b + j, \ c] \ w[i,j,c,k]$$
#
# Here $(i, j)$ runs over the taps of the kernel, $c$ over the input channels, $S$ is the stride (how far the window
# moves from one output pixel to the next; in the code `stride`), and $\tilde{x}$ is $x$ with a frame of zeros around
# it (`padding`). Note the two pairs of letters: $(a, b)$ says where we are in the output, $(i, j)$ where we are inside
# the window.

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

figures.maps_of_filters(picture, maps, names)

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
w[:, :, 0, 0] = [[-2, 2], [0, 0]]    # filter 1: change from left to right
w[:, :, 1, 0] = [[0, 0], [0, 2]]     # ... and twice the lower right pixel
w[:, :, 0, 1] = [[0, -2], [0, 2]]    # filter 2: change from above to below
w[:, :, 1, 1] = [[0, 0], [0, 1]]     # ... and the lower right pixel

u = conv2d(x, w)

figures.equation_with_numbers(x, w, u)

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
N, _, _, C = u.shape
worked = Worked({
    "N": N, "C'": x.shape[-1], "C": C, "u_1": u[0, :, :, 0], "u_2": u[0, :, :, 1],
})
worked

# %% [markdown]
# Keep these two maps: pages 2, 3 and 4 go on with them until the whole block is computed.
#
# Now move the window of filter 1 over $x^1$, from place 0 to 3, and change its four weights. What must a kernel look
# like to find the bright lower row?

# %%
slider = -3.0, 3.0, 0.5
Play(
    figures.window, place=(0, 0, 3),
    upper_left=(-2.0, *slider), upper_right=(2.0, *slider),
    lower_left=(0.0, *slider), lower_right=(0.0, *slider),
)

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
# Somewhere at the end of the network stands a single number, the loss $L$. Backpropagation hands us $du = \partial L /
# \partial u$: for each output pixel, how much the loss rises if this pixel does. It has the shape of $u$. We owe two
# answers of the same kind: $dw = \partial L / \partial w$, to improve the filters, and $dx = \partial L / \partial x$,
# to pass on to whatever made $x$.
#
# There is one recipe, and it serves on every page. **A variable reaches the loss through everything it has touched;
# follow each of these ways, multiply the derivatives along it, and add up the ways.**
#
# ### On a graph, with a pencil
#
# The smallest convolution that shows everything: one row of three pixels, $x = (1, 2, 3)$, and one filter of two
# weights, $w = (2, -1)$. So there are two windows:
#
# $$u_1 = w_1 x_1 + w_2 x_2 = 2 \cdot 1 - 1 \cdot 2 = 0 \qquad
# u_2 = w_1 x_2 + w_2 x_3 = 2 \cdot 2 - 1 \cdot 3 = 1$$
#
# Let $du = (1, 2)$ arrive. The picture shows what becomes of it.

# %%
figures.two_windows()

# %% [markdown]
# Blue numbers go forwards, orange ones come back. A sum hands its gradient to each of its terms. A product hands to
# each factor the gradient *times the other factor*. And whoever was used twice adds up what comes back: each weight
# was used in both windows, and so was the middle pixel:
#
# $$dw_1 = 1 \cdot 1 + 2 \cdot 2 = 5 \qquad dw_2 = 1 \cdot 2 + 2 \cdot 3 = 8$$
#
# $$dx_1 = 1 \cdot 2 = 2 \qquad dx_2 = 1 \cdot (-1) + 2 \cdot 2 = 3 \qquad dx_3 = 2 \cdot (-1) = -2$$

# %%
small_x = np.array([1.0, 2.0, 3.0]).reshape(1, 1, 3, 1)
small_w = np.array([2.0, -1.0]).reshape(1, 2, 1, 1)
small_du = np.array([1.0, 2.0]).reshape(1, 1, 2, 1)

small_dw = conv2d_backward_w(small_du, small_x, small_w.shape).ravel()
small_dx = conv2d_backward_x(small_du, small_w, small_x.shape).ravel()
small_u = conv2d(small_x, small_w).ravel()
worked = Worked({
    "x": small_x.ravel(), "w": small_w.ravel(), "du": small_du.ravel(),
    "u_1": small_u[0], "u_2": small_u[1],
    "dw_1": small_dw[0], "dw_2": small_dw[1],
    "dx_1": small_dx[0], "dx_2": small_dx[1], "dx_3": small_dx[2],
})
worked

# %% [markdown]
# Nothing else happens in a convolution of any size. It only takes more indices to say it.
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
figures.windows_of_each_pixel()

# %% [markdown]
# On the right, the last row and column belong to no window: with stride 2 the window stands at 0 and at 2, and there
# is no room for a third. These pixels have no influence on $u$, so their gradient is 0. It must still be there, in the
# right place. Hence the shape of $x$ is an argument of the backward op: from $du$ alone it cannot be known.
#
# ### Backwards with a pencil
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
#
# $$dx^2 = \begin{pmatrix} 0 & 0 & 0 \\ 0 & 2 & -1 \\ 0 & 0 & 4 \end{pmatrix}$$

# %%
du = np.zeros_like(u)
du[0, :, :, 0] = [[1, 0], [0, 2]]
du[0, :, :, 1] = [[0, -1], [0, 0]]

dw = conv2d_backward_w(du, x, w.shape)
dx = conv2d_backward_x(du, w, x.shape)

pencil = x, w, du
worked = Worked({
    "du_1": du[0, :, :, 0], "du_2": du[0, :, :, 1],
    "dv_1^1": dw[:, :, 0, 0], "dv_1^2": dw[:, :, 1, 0],
    "dv_2^1": dw[:, :, 0, 1], "dv_2^2": dw[:, :, 1, 1],
    "dx^1": dx[0, :, :, 0], "dx^2": dx[0, :, :, 1],
})
worked

# %% [markdown]
# ### The shipped gradient

# %%
Source(conv2d_backward_x, conv2d_backward_w)

# %% [markdown]
# Lay `conv2d_backward_x` beside `conv2d`: the same loop over the taps, the same `window`, which is now written to
# instead of read from, and `w[i, j]` transposed, since the sum now runs over $k$ instead of $c$. In
# `conv2d_backward_w` the three sums over $n, a, b$ are one `tensordot` for each tap.
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
#
# All later pages use these two functions:

# %%
Source(numeric_gradient, relative_error)

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
true_dx = numeric_gradient(lambda x: conv2d(x, w, **options), x, du)
true_dw = numeric_gradient(lambda w: conv2d(x, w, **options), w, du)
error_x, error_w = relative_error(dx, true_dx), relative_error(dw, true_dw)

print(f"dx: {dx.size} entries, relative error {error_x:.0e}")
print(f"dw: {dw.size} entries, relative error {error_w:.0e}")
assert max(error_x, error_w) < 1e-8

# %% [markdown]
# Ten correct digits or so, for every single entry. The rest is rounding.
#
# npse ships a judge that does the same with more care, on any pair of functions: it looks at the gradients, at
# float32, and at the manners of a function (page 4 shows its whole report). Its word on our two:


# %% tags=["varies"]
def backward(dy, x, w):
    dx = conv2d_backward_x(dy, w, x.shape, **options)
    dw = conv2d_backward_w(dy, x, w.shape, **options)
    return dx, dw


def forward(x, w):
    return conv2d(x, w, **options)


report = check_gradient(forward, backward, {"x": x, "w": w})
print(f"{len(report.results)} checks, {len(report.failures)} failures")
assert report.ok

# %% [markdown]
# ## Typical mistakes
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

print("sum of all entries:", right.sum(), "and", wrong.sum())
figures.turned_and_not(right, wrong)

# %% [markdown]
# Every stamp lies turned the wrong way round, and **the sum is the same**. A check that looks only at sums is
# satisfied. So is, away from the border, a check with $du = 1$ everywhere:

# %%
rng = np.random.default_rng(2)
w = rng.normal(size=(3, 3, 2, 2))
noise = rng.normal(size=(1, 6, 6, 2))
for name, du in (("du = 1", np.ones_like(noise)), ("du random", noise)):
    right = conv2d_backward_x(du, w, (1, 8, 8, 2))
    wrong = conv2d(du, w.transpose(0, 1, 3, 2), padding=2)
    inside = np.s_[:, 2:-2, 2:-2]
    error_inside = relative_error(wrong[inside], right[inside])
    error = relative_error(wrong, right)
    print(f"{name:10s} error inside {error_inside:6.1%}   everywhere {error:6.1%}")

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
# With a kernel no larger than the stride nothing overlaps, and this bug stays hidden. A parallel loop that lets
# several windows add to the same pixel at the same time is the same mistake in a modern dress.
#
# ### The lost last row
#
# It is tempting to compute the size of $x$ from the size of $du$ by solving $H_o = (H + 2p - k)/S + 1$ for $H$. But
# the division rounds down, and what was rounded away does not come back:

# %%
H, k, S, p = 6, 3, 2, 1
Ho = (H + 2 * p - k) // S + 1
print(f"H = {H} gives Ho = {Ho}; solved for H again: {(Ho - 1) * S + k - 2 * p}")

du, w = np.ones((1, Ho, Ho, 1)), np.ones((k, k, 1, 1))
dx = conv2d_backward_x(du, w, (1, H, H, 1), S, p)
print(dx[0, :, :, 0])

# %% [markdown]
# A gradient of 5 x 5 is one row and one column short, and those hold real numbers. This is not a rare case: every 3 x
# 3 convolution with stride 2 and padding 1 that halves an even map does it, and a ResNet has one at the start of every
# stage but the first.

# %% [markdown]
# ## What is saved
#
# For the backward pass, npse keeps:
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
print(f"x: {N * H * W * C * 4 / 2**20:.0f} MiB")
print(f"w: {3 * 3 * C * C * 4 / 2**10:.0f} KiB")

# %% [markdown]
# This is why training takes so much more memory than predicting: it is the maps, not the weights. Could $x$ be
# recomputed instead? Yes, from what the layer before it has kept, at the price of running that layer twice. npse does
# so for small arrays only, as page 3 shows.

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
# <br>
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
# <br>
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
# ## Now write it yourself
#
# Exercise 1 is `conv2d`, exercise 2 its two gradients, each with the lines that matter left out. In a terminal:
#
#     npse exercise start 1
#     npse exercise start 2
#     npse exercise check 2
#
# ## Next
#
# The maps are made, and each of their pixels knows its own neighbourhood only. [Page 2, squeeze](02_squeeze.ipynb):
# one number a channel that knows the whole map.
