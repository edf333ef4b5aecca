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
# # 2 · Squeeze
#
# *Squeeze-and-Excitation Networks* ([arXiv 1709.01507](https://arxiv.org/abs/1709.01507)), equation (2) · 25 minutes
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
# [Page 1](01_convolution.ipynb) ended with a complaint: a pixel of a map knows its own neighbourhood and nothing else.
# To decide how much a whole map should count, somebody has to look at the whole map. Squeeze does it in the plainest
# way there is: for each channel, the average over all pixels. From a stack of maps remains one short vector, a number
# for each channel, which says *how much* of each feature the picture contains, and no longer *where*.
#
# This is the shortest page. Its formula is an average, and its gradient takes one line. But the factor in
# that line, $1/(HW)$, is the one most often forgotten in the whole block.

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
from npse.notebook.figures import squeeze as figures
from npse.reference import conv2d, relu, squeeze, squeeze_backward

# %% [markdown]
# ## The formula
#
# $$z_c = F_{sq}(u_c) = \frac{1}{H \times W} \sum_{i=1}^{H} \sum_{j=1}^{W} u_c(i, j) \qquad (2)$$
#
# | in the paper | what it is | in the code |
# |---|---|---|
# | $u_c$ | map of channel $c$, made by a convolution | `u[..., c]`, where `u` has shape `(N, H, W, C)` |
# | $z_c$ | its average, the *channel descriptor* | `z[:, c]`, where `z` has shape `(N, C)` |
# | $H \times W$ | height times width, the number of pixels | `H * W` |
#
# With the index $n$ of the picture: $z[n,c] = \frac{1}{HW} \sum_{i,j} u[n,i,j,c]$. Pictures are not mixed, channels
# are not mixed. At the end of a classification network the same operation goes by the name of *global average
# pooling*; in npse it is one function with two names.

# %% [markdown]
# ## A picture
#
# The four filters of page 1 look at three pictures, and a ReLU keeps what is positive. The second picture is the first
# with the disc moved; in the third, the disc has stayed and changed its colour.

# %%
pictures = np.concatenate([
    example_picture(),
    example_picture(centre=(13, 26)),
    example_picture(colour=(0.1, 0.3, 0.9)),
])
filters, names = example_filters()
u = relu(conv2d(pictures, filters, padding=1))
z = squeeze(u)

print(z.round(3) + 0.0)
figures.descriptors(pictures, u, z, names)

# %% [markdown]
# For each picture, 6400 numbers have become four. Rows one and two of $z$ agree: squeeze has forgotten where the disc
# was. Row three differs in the third number, *redness*: squeeze remembers what kind of disc it was. Four numbers, and
# one can tell the pictures apart by their content. That is all the information the excitation will get, on the next
# page.

# %%
assert np.allclose(z[0], z[1])
assert abs(z[0, 2] - z[2, 2]) > 0.05

# %% [markdown]
# Move the disc, let it shrink, change its colour. Which of the four numbers follow?

# %%
Play(
    figures.disc, row=(16, 8, 22), column=(20, 8, 32), radius=(8, 0, 8),
    colour=["red", "blue", "yellow"],
)

# %% [markdown]
# ## With a pencil
#
# The two maps which page 1 computed:
#
# $$u_1 = \begin{pmatrix} 4 & 0 \\ 8 & 0 \end{pmatrix} \qquad u_2 = \begin{pmatrix} 0 & -4 \\ 4 & 8 \end{pmatrix}$$
#
# Here $H = W = 2$, so $HW = 4$, and
#
# $$z_1 = \frac{4 + 0 + 8 + 0}{4} = \frac{12}{4} = 3 \qquad z_2 = \frac{0 - 4 + 4 + 8}{4} = \frac{8}{4} = 2$$

# %%
u = np.zeros((1, 2, 2, 2))
u[0, :, :, 0] = [[4, 0], [8, 0]]
u[0, :, :, 1] = [[0, -4], [4, 8]]

z = squeeze(u)
_, H, W, _ = u.shape
worked = Worked({
    "u_1": u[0, :, :, 0], "u_2": u[0, :, :, 1], "H": H, "W": W, "HW": H * W,
    "z_1": z[0, 0], "z_2": z[0, 1],
})
worked

# %% [markdown]
# ## The shipped function

# %%
Source(squeeze)

# %% [markdown]
# `average` is NumPy's mean with one precaution: it adds up in float64 and returns what it was given. Is that needed?
# Here is a map of 512 x 512 pixels in float32, each pixel 0.1, averaged both ways:

# %% tags=["varies"]
flat = np.full((1, 512, 512, 3), 0.1, np.float32)
print(f"added up in float32: {flat.mean(axis=(1, 2))[0, 0]:.6f}")
print(f"squeeze:             {squeeze(flat)[0, 0]:.6f}   ({squeeze(flat).dtype})")

# %% [markdown]
# The running sum grows to 26 000. By then, the distance between two neighbouring float32 numbers is 0.002, and each
# 0.1 that is added is rounded to a multiple of that, here nearly always downwards. The precaution costs little and
# removes a whole class of puzzling differences between machines.

# %% [markdown]
# ## Backwards
#
# Given is $dz = \partial L / \partial z$, of shape `(N, C)`. Wanted is $du$. The recipe is that of page 1: what has
# $u[n,i,j,c]$ touched? Through squeeze it has touched a single number, $z[n,c]$, and there it is one of $HW$ equal
# summands:
#
# $$\frac{\partial \ z[n,c]}{\partial \ u[n,i,j,c]} = \frac{1}{HW}$$
#
# There is one way to the loss, so there is no sum:
#
# $$du[n,i,j,c] = \frac{dz[n,c]}{HW} \qquad \text{for every } i, j$$
#
# Every pixel of a map receives the same share. It does not matter where the pixel is or what it holds, for all of them
# had the same influence on the average.
#
# ### On a graph
#
# The first map of the pencil example, one step at a time: add up four pixels, divide by four. If the gradient 8
# arrives at $z$, the division passes on $8/4 = 2$; a sum passes on what it receives, to each of its terms.

# %%
figures.average()

# %% [markdown]
# Forwards a *sum* over $i, j$; backwards a *copy* to every $i, j$. The two always come as a pair, and on page 4 the
# pair will turn up the other way round: what scale copies forwards, its gradient sums up backwards.
#
# ### Backwards with a pencil
#
# Say $dz = (8, -4)$. Each pixel of the first map receives $8/4 = 2$, each pixel of the second $-4/4 = -1$:
#
# $$du_1 = \begin{pmatrix} 2 & 2 \\ 2 & 2 \end{pmatrix} \qquad
# du_2 = \begin{pmatrix} -1 & -1 \\ -1 & -1 \end{pmatrix}$$

# %%
dz = np.array([[8.0, -4.0]])
du = squeeze_backward(dz, u.shape)
worked = Worked({
    "dz": dz[0], "du_1": du[0, :, :, 0], "du_2": du[0, :, :, 1],
})
worked

# %%
figures.shares(u, du)

# %% [markdown]
# ### The shipped gradient

# %%
Source(squeeze_backward)

# %% [markdown]
# Only the shape of $u$ is an argument. $dz$ is divided first and copied out afterwards: `N * C` divisions instead of
# `N * H * W * C`.

# %% [markdown]
# ## Checked live
#
# First with the central differences of page 1, which measure what a small change of each entry does to the loss
# $L = \sum z \cdot dz$.

# %% tags=["varies"]
rng = np.random.default_rng(1)
u = rng.normal(size=(2, 5, 4, 3))
dz = rng.normal(size=(2, 3))
truth = numeric_gradient(squeeze, u, dz)

error = relative_error(squeeze_backward(dz, u.shape), truth)
print(f"du: {u.size} entries, relative error {error:.0e}")
assert error < 1e-8


def backward(dy, u):
    return squeeze_backward(dy, u.shape)


report = check_gradient(squeeze, backward, {"u": u})
print(f"the judge: {len(report.results)} checks, {len(report.failures)} failures")
assert report.ok

# %% [markdown]
# Squeeze is linear, and for a linear operation there is a second instrument, which needs no step size at all. If $du$
# is the right gradient then, for any $u$ and any $dz$,
#
# $$\sum_{n,c} z[n,c] \ dz[n,c] = \sum_{n,i,j,c} u[n,i,j,c] \ du[n,i,j,c]$$
#
# Both sides are the same double sum, once gathered by channel and once by pixel. In the language of matrices: backward
# multiplies by the transpose of what forward multiplies by. With whole numbers and $HW = 4$, both sides agree to the
# last bit.

# %%
u = rng.integers(-9, 10, (3, 2, 2, 5)).astype(float)
dz = rng.integers(-9, 10, (3, 5)).astype(float)
left = np.sum(squeeze(u) * dz)
right = np.sum(u * squeeze_backward(dz, u.shape))
print(left, right)
assert left == right

# %% [markdown]
# ## Typical mistakes
#
# ### Forgetting $1/(HW)$
#
# The average was written as a sum in somebody's head. Every entry of $du$ is too large, by the same factor:

# %%
u = rng.normal(size=(2, 5, 4, 3))
dz = rng.normal(size=(2, 3))
right = squeeze_backward(dz, u.shape)
wrong = np.broadcast_to(dz[:, None, None, :], u.shape)
ratio = wrong / right
print(f"wrong / right: from {ratio.min():.4f} to {ratio.max():.4f}")
print("H * W =", u.shape[1] * u.shape[2])

# %% [markdown]
# When a gradient is wrong by a constant factor, compare the factor with the sizes at hand: N, C, H·W. It nearly always
# is one of them. On a map of 32 x 32 pixels it would be 1 024, and training would explode; on the 1 x 1 maps of a
# careless test it would be 1, and nothing would be noticed at all.
#
# ### The wrong axes
#
# Much code stores maps as `(N, C, H, W)` and squeezes over the axes `(2, 3)`. Carried over to `(N, H, W, C)`, this
# averages over width and channels. Usually the shape gives it away. Unless H = C:

# %%
for shape in ((2, 5, 4, 3), (2, 8, 8, 8)):
    u = rng.normal(size=shape)
    wrong = u.mean(axis=(2, 3))
    right = squeeze(u)
    print(f"u {shape}: shape {wrong.shape}, should be {right.shape}", end=" -> ")
    noticed = wrong.shape != right.shape
    error = 0 if noticed else relative_error(wrong, right)
    print("noticed" if noticed else f"not noticed, error {error:.0%}")

# %% [markdown]
# A test in which all sizes are equal proves very little.
#
# ### Returning a view
#
# Since all pixels receive the same number, it is tempting to return `np.broadcast_to(...)` and save the copy. What
# comes out looks like an array of the full size, but all of its pixels are the same memory, and NumPy refuses to write
# to it. The next step of the backward pass that adds something in place then fails, far away from the cause:

# %%
du = np.broadcast_to(dz[:, None, None, :] / 20, (2, 5, 4, 3))
try:
    du += 1
except ValueError as error:
    print("ValueError:", error)
print("memory behind it:", dz.size, "numbers, shown as", du.size)

# %% [markdown]
# Hence the `.copy()` at the end of the shipped function. The closed form of the whole block, on page 4, does without
# the copy in another way: it adds `dz[:, None, None, :] / (H * W)` straight onto the other path.

# %% [markdown]
# ## What is saved
#
# For the backward pass, npse keeps:
#
# | gradient | needs | why |
# |---|---|---|
# | $du$ | the shape of $u$ | squeeze is linear: its derivative does not depend on where we are |
#
# Not one pixel is kept, so there is nothing that could be recomputed instead. That is peculiar to the average. If
# squeeze took the *maximum* of each map, it would have to remember where the maximum was.

# %% [markdown]
# ## Questions
#
# **1.** Suppose squeeze took the maximum. What would $du$ look like? And which of the two gives the better network?
#
# <details><summary>Answer</summary>
#
# $dz[n,c]$ would go to the winning pixel, undivided, and all other pixels would receive 0. The paper tried it on
# ImageNet with SE-ResNet-50 (table 11): 22.57 % top-1 error with the maximum, 22.28 % with the average. The difference
# is small; the network without any block has 23.30 %.
#
# </details>
#
# <br>
#
# **2.** In the pictures above, what would $z_1$ and $z_2$, the edges, be without the ReLU?
#
# <details><summary>Answer</summary>
#
# Nearly 0. Where an object begins the filter gives a positive number, where it ends a negative one of the same size,
# and the average of both is 0. What an average can tell depends on what it is applied to: before or after a ReLU is
# not the same model.
#
# </details>
#
# <br>
#
# **3.** For a map of 32 x 32 pixels, $1/(HW)$ is about 0.001. Can a gradient that small matter at all?
#
# <details><summary>Answer</summary>
#
# Yes. It is small for each pixel, but it is the same for all 1 024 of them, and they act together: the sum over the
# map is $dz$ again, undiminished. And $dz$ itself collects from the whole map, as page 4 shows; there we measure that
# this path is about as strong as the direct one, or stronger.
#
# </details>
#
# ## Now write it yourself
#
# Exercise 3 is this page with holes: `squeeze` and `squeeze_backward`, checked as you write. In a terminal:
#
#     npse exercise start 3
#     npse exercise check 3
#
# ## Next
#
# One number for each channel is known. [Page 3, excitation](03_excitation.ipynb): how a small network turns these
# numbers into gates.
