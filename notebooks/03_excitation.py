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
# # 3 · Excitation
#
# *Squeeze-and-Excitation Networks* ([arXiv 1709.01507](https://arxiv.org/abs/1709.01507)), equation (3) · 40 minutes
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
# [Page 2](02_squeeze.ipynb) condensed each map to one number: how much of this feature does the picture contain?
# Excitation turns these $C$ numbers into $C$ *gates*, each between 0 (shut) and 1 (open), by which the maps will be
# multiplied. Whether a gate opens may depend on all the numbers at once: "there is much red and few edges, so let the
# texture channels through". What it should depend on, and how, is learnt. So excitation is a small neural network
# inside the network: two layers, no more. Its gradient is the classic exercise of backpropagation, and here it is,
# index by index.

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
from npse.notebook.figures import excitation as figures
from npse.reference import (
    dense,
    dense_backward,
    excite,
    excite_backward,
    relu,
    relu_backward,
    sigmoid,
    sigmoid_backward,
    softmax,
)

# %% [markdown]
# ## The formula
#
# $$s = F_{ex}(z, W) = \sigma(g(z, W)) = \sigma(W_2 \ \delta(W_1 z)) \qquad (3)$$
#
# | in the paper | what it is | in the code |
# |---|---|---|
# | $z \in \mathbb{R}^{C}$ | what squeeze found | `z`, shape `(N, C)`: one row for each picture |
# | $W_1 \in \mathbb{R}^{\frac{C}{r} \times C}$ | reduces $C$ numbers to $M = C/r$ hidden ones | `w1`, shape `(M, C)` |
# | $\delta$ | the ReLU, $\delta(a) = \max(a, 0)$ | `relu` |
# | $W_2 \in \mathbb{R}^{C \times \frac{C}{r}}$ | expands them to $C$ again | `w2`, shape `(C, M)` |
# | $\sigma$ | the sigmoid, $\sigma(a) = 1 / (1 + e^{-a})$ | `sigmoid` |
# | $s \in \mathbb{R}^{C}$ | the gates | `s`, shape `(N, C)` |
#
# $r$ is the *reduction ratio*, 16 throughout the paper. The two matrices hold $2 C^2 / r$ numbers, so a large $r$
# keeps the block cheap, and the narrow middle forces it to find something general. The formula has no biases; many
# implementations have them, and so npse takes them as optional arguments `b1` and `b2`.
#
# To differentiate, we give every intermediate result a name and an index. For picture $n$, hidden unit $m$, channel
# $c$:
#
# $$a_1[n,m] = \sum_{c} w_1[m,c] \ z[n,c] \qquad h[n,m] = \max(a_1[n,m], 0)$$
#
# $$a_2[n,c] = \sum_{m} w_2[c,m] \ h[n,m] \qquad s[n,c] = \sigma(a_2[n,c])$$

# %% [markdown]
# ## A picture
#
# The two non-linearities, and the slope of the sigmoid, which will carry every gradient on this page:

# %%
figures.nonlinearities()

# %% [markdown]
# (The dots are the two gates of the pencil example below.)
#
# Why a sigmoid? The paper asks two things of the gates. They must be able to depend on the channels in a non-linear
# way. And they must not exclude each other: several channels may be important at the same time. A softmax would make
# them compete for a total of 1:

# %%
a2 = np.array([[3.0, 3.0, -2.0, 0.0]])
for name, gates in (("sigmoid", sigmoid(a2)), ("softmax", softmax(a2))):
    print(f"{name}: {gates[0].round(2)}, sum {gates.sum():.2f}")

# %% [markdown]
# The first two channels are equally wanted. The sigmoid opens both; the softmax can give each of them no more than a
# half. The bounds matter as well: on ImageNet with SE-ResNet-50 the paper finds 22.28 % top-1 error with sigmoid
# gates, 23.00 % with tanh, and 23.47 % with ReLU, which is worse than no block at all (23.30 %; tables 10 and 12).

# %% [markdown]
# ## With a pencil
#
# Squeeze left us with $z = (3, 2)$. Take two hidden units and
#
# $$W_1 = \begin{pmatrix} 1 & -1 \\ -1 & 1 \end{pmatrix} \qquad
# W_2 = \begin{pmatrix} \ln 3 & 2 \\ -\ln 3 & 1 \end{pmatrix}$$
#
# The first hidden unit asks "is there more of channel 1 than of channel 2?", the second asks the opposite.
# ($\ln 3 \approx 1.0986$ is there because $e^{\ln 3} = 3$ makes the sigmoid easy.) Then
#
# $$a_1 = W_1 z = \begin{pmatrix} 1 \cdot 3 - 1 \cdot 2 \\ -1 \cdot 3 + 1 \cdot 2 \end{pmatrix}
# = \begin{pmatrix} 1 \\ -1 \end{pmatrix}
# \qquad h = \delta(a_1) = \begin{pmatrix} 1 \\ 0 \end{pmatrix}$$
#
# $$a_2 = W_2 h = \begin{pmatrix} \ln 3 \cdot 1 + 2 \cdot 0 \\ -\ln 3 \cdot 1 + 1 \cdot 0 \end{pmatrix}
# = \begin{pmatrix} \ln 3 \\ -\ln 3 \end{pmatrix}$$
#
# $$s_1 = \frac{1}{1 + e^{-\ln 3}} = \frac{1}{1 + \frac{1}{3}} = \frac{3}{4} \qquad
# s_2 = \frac{1}{1 + e^{\ln 3}} = \frac{1}{1 + 3} = \frac{1}{4}$$
#
# Channel 1 is to be kept to three quarters, channel 2 to one quarter.

# %%
ln3 = np.log(3)
z = np.array([[3.0, 2.0]])
w1 = np.array([[1.0, -1.0], [-1.0, 1.0]])
w2 = np.array([[ln3, 2.0], [-ln3, 1.0]])

a1 = dense(z, w1)
h = relu(a1)
a2 = dense(h, w2)
s = excite(z, w1, w2)
worked = Worked({
    "z": z[0], "W_1": w1, "W_2": w2,
    "a_1": a1[0], "h": h[0], "a_2": a2[0], "s_1": s[0, 0], "s_2": s[0, 1],
})
worked

# %% [markdown]
# The same as a picture, from left to right. The second hidden unit is shut by the ReLU, so the second column of $W_2$
# has no say:

# %%
figures.matrices(z, w1, w2)

# %% [markdown]
# Move $z_1$ and $z_2$. As long as $z_1 \gt z_2$ only the first hidden unit is open, after that only the second, and
# the gates change their direction: that is the kink of the ReLU, seen from outside.

# %%
Play(figures.gates, z_1=(3.0, -6.0, 6.0, 0.5), z_2=(2.0, -6.0, 6.0, 0.5))

# %% [markdown]
# ## The shipped function

# %%
Source(excite, dense, relu, sigmoid)

# %% [markdown]
# `x @ w.T` because each picture is a *row* of $z$: for a whole batch, $W_1 z$ becomes $z W_1^T$.
#
# The sigmoid is written in two halves so that the exponent is never positive. Its textbook form breaks down where
# gates are firmly shut:

# %%
print("shipped: ", sigmoid(np.array([-1000.0, 0.0, 1000.0])))
with np.errstate(over="raise"):
    try:
        1 / (1 + np.exp(1000.0))
    except FloatingPointError as error:
        print("textbook:", error)

# %% [markdown]
# ## Backwards
#
# Given is $ds = \partial L / \partial s$, shape `(N, C)`. Wanted are $dw_1$ and $dw_2$, to learn, and $dz$, to pass
# on. We walk the four small formulas from last to first. For each quantity the question is the one of page 1: what has
# it touched?
#
# **Step 1, through the sigmoid.** $a_2[n,c]$ has touched one number, $s[n,c]$. No sum, only a slope:
#
# $$\sigma'(a) = \frac{e^{-a}}{(1 + e^{-a})^2} = \frac{1}{1 + e^{-a}} \cdot \frac{e^{-a}}{1 + e^{-a}}
# = \sigma(a) \ (1 - \sigma(a))$$
#
# $$da_2[n,c] = ds[n,c] \ s[n,c] \ (1 - s[n,c])$$
#
# The slope is written with the *output* $s$, which is at hand, and not with the input $a_2$, which need not be kept.
#
# **Step 2, the weights $w_2$.** $w_2[c,m]$ has touched $a_2[n,c]$ for *every picture* $n$, each time multiplied by
# $h[n,m]$. Hence a sum over the batch:
#
# $$dw_2[c,m] = \sum_{n} da_2[n,c] \ h[n,m]$$
#
# **Step 3, the hidden units.** $h[n,m]$ has touched the gates of *all channels* $c$ of its own picture. Hence a sum
# over the channels:
#
# $$dh[n,m] = \sum_{c} da_2[n,c] \ w_2[c,m]$$
#
# **Step 4, through the ReLU.** Where $a_1$ was positive the slope is 1, where it was negative 0. At exactly 0 there is
# no slope, and npse takes 0, everywhere:
#
# $$da_1[n,m] = dh[n,m] \ \text{ if } h[n,m] \gt 0, \text{ else } 0$$
#
# **Step 5, the weights $w_1$, and step 6, $z$.** The same two thoughts once more, one layer down:
#
# $$dw_1[m,c] = \sum_{n} da_1[n,m] \ z[n,c] \qquad dz[n,c] = \sum_{m} da_1[n,m] \ w_1[m,c]$$
#
# If there are biases, each has touched one number in each picture with slope 1: $db_2[c] = \sum_n da_2[n,c]$ and
# $db_1[m] = \sum_n da_1[n,m]$.
#
# ### On a graph
#
# The same six steps with the numbers of the pencil example, which are computed below. Each box passes on what it
# receives, times its own slope. The second hidden unit is shut: what arrives there, 3, ends there.

# %%
figures.two_layers()

# %% [markdown]
# Simplified, the six steps are two elementwise products and four matrix products, which is all that the shipped
# function does. A rule to remember: **the index that is missing on the left is summed on the right.** Weights have no
# $n$, so they sum over pictures; $h$ has no $c$, so it sums over channels.
#
# ### Backwards with a pencil
#
# Let $ds = (16, -16)$ arrive: the loss falls if gate 1 closes and gate 2 opens. Both slopes are
# $\frac{3}{4} \cdot \frac{1}{4} = \frac{3}{16}$.
#
# 1. $da_2 = (16 \cdot \frac{3}{16}, \ -16 \cdot \frac{3}{16}) = (3, -3)$.
# 2. $dw_2[c,m] = da_2[c] \ h[m]$ with $h = (1, 0)$: $dw_2 = \begin{pmatrix} 3 & 0 \\ -3 & 0 \end{pmatrix}$.
# 3. $dh_1 = 3 \cdot \ln 3 + (-3) \cdot (-\ln 3) = 6 \ln 3$, and $dh_2 = 3 \cdot 2 + (-3) \cdot 1 = 3$.
# 4. The second unit was shut: $da_1 = (6 \ln 3, \ 0)$. The 3 is lost.
# 5. $dw_1[m,c] = da_1[m] \ z[c]$ with $z = (3, 2)$:
#    $dw_1 = \begin{pmatrix} 18 \ln 3 & 12 \ln 3 \\ 0 & 0 \end{pmatrix}$.
# 6. $dz_1 = 6 \ln 3 \cdot 1 + 0 \cdot (-1) = 6 \ln 3$, and $dz_2 = 6 \ln 3 \cdot (-1) + 0 \cdot 1 = -6 \ln 3$.
#
# A gradient says what makes the loss *rise*. It rises if $z_1$ grows and if $z_2$ shrinks; that opens gate 1 further,
# and closes gate 2. It fits.

# %%
ds = np.array([[16.0, -16.0]])
dz, dw1, dw2, db1, db2 = excite_backward(ds, z, s, w1, w2)

da2 = sigmoid_backward(ds, s)
dh, _, _ = dense_backward(da2, h, w2)
worked = Worked({
    "ds": ds[0], "da_2": da2[0], "h": h[0], "dw_2": dw2,
    "dh_1": dh[0, 0], "dh_2": dh[0, 1], "da_1": relu_backward(dh, h)[0],
    "z": z[0], "dw_1": dw1, "dz_1": dz[0, 0], "dz_2": dz[0, 1],
})
worked

# %% [markdown]
# ### The shipped gradient

# %%
Source(excite_backward, dense_backward, relu_backward, sigmoid_backward)

# %% [markdown]
# The lines of `excite_backward` between `h` and `return` are the six steps, in order: step 1, steps 2 and 3 together,
# step 4, steps 5 and 6 together. The sums over $n$ and over $c$ are inside the matrix products: `da2.T @ h` sums over
# the pictures, `da2 @ w2` over the channels.

# %% [markdown]
# ## Checked live
#
# With random numbers this time: five pictures, six channels, three hidden units, and biases. One thing has to be
# watched. The ReLU has a kink at 0. A nudge that crosses it measures the slope of neither side, and a correct gradient
# would look wrong. So we make sure that no hidden unit stands within reach of the step.

# %% tags=["varies"]
rng = np.random.default_rng(1)
N, C, M = 5, 6, 3
case = {
    "z": rng.normal(size=(N, C)),
    "w1": rng.normal(size=(M, C)) / 2,
    "w2": rng.normal(size=(C, M)),
    "b1": rng.normal(size=M) / 4,
    "b2": rng.normal(size=C) / 4,
}
ds = rng.normal(size=(N, C))
assert np.abs(dense(case["z"], case["w1"], case["b1"])).min() > 1e-3

s = excite(**case)
gradients = excite_backward(ds, case["z"], s, case["w1"], case["w2"], case["b1"])
for (name, value), ours in zip(case.items(), gradients, strict=True):
    def f(value, name=name):
        return excite(**{**case, name: value})

    truth = numeric_gradient(f, value, ds)
    error = relative_error(ours, truth)
    print(f"d{name:2s}: {value.size:2d} entries, relative error {error:.0e}")
    assert error < 1e-8


def backward(dy, z, w1, w2, b1, b2):
    return excite_backward(dy, z, excite(z, w1, w2, b1, b2), w1, w2, b1)


def kinks(z, w1, b1, **rest):
    return dense(z, w1, b1)                             # what enters the ReLU


report = check_gradient(excite, backward, case, kinks=kinks)
print(f"the judge: {len(report.results)} checks, {len(report.failures)} failures")
assert report.ok

# %% [markdown]
# ## Typical mistakes
#
# ### The slope of the sigmoid at the wrong place
#
# The slope is $s(1-s)$, with $s$ the output. Two slips are common: the input $a_2$ is put into that formula, or the
# sigmoid is applied once more to $s$, which is an output already. For the first gate of the pencil example, where
# $a_2 = \ln 3$ and $s = 3/4$:

# %%
s1 = 3 / 4
again = sigmoid(np.array(s1))
print(f"right:             {s1 * (1 - s1):7.4f}   s (1 - s)")
print(f"the input instead: {ln3 * (1 - ln3):7.4f}   a (1 - a), wrong sign")
print(f"applied twice:     {again * (1 - again):7.4f}   looks harmless")

# %% [markdown]
# The second one is the more dangerous: all signs are right, training goes on, only worse. Whatever is wrong at this
# place is wrong in every gradient that lies further down. We build four wrong versions of the backward pass and
# measure each of its results against the right one:


# %%
def backward_with(ds, slope, mask, examples=1):
    """Go backwards, with the slope of the sigmoid and the ReLU's mask as given."""
    da2 = ds * slope
    da1 = (da2 @ w2) * mask
    return da1 @ w1, da1.T @ z / examples, da2.T @ h / examples


z, w1, w2 = case["z"], case["w1"], case["w2"]
h = relu(dense(z, w1))
a2 = dense(h, w2)
s = sigmoid(a2)

right = backward_with(ds, s * (1 - s), h > 0)
book = excite_backward(ds, z, s, w1, w2)[:3]
assert all(map(np.allclose, right, book))

again = sigmoid(s)
dh = (ds * s * (1 - s)) @ w2
mistakes = {
    "slope at the input a2": backward_with(ds, a2 * (1 - a2), h > 0),
    "sigmoid applied twice": backward_with(ds, again * (1 - again), h > 0),
    "mask taken from dh": backward_with(ds, s * (1 - s), dh > 0),
    "mean over the batch": backward_with(ds, s * (1 - s), h > 0, examples=N),
}
print("relative error of            dz      dw1      dw2")
for name, wrong in mistakes.items():
    errors = (relative_error(a, b) for a, b in zip(wrong, right, strict=True))
    print(f"{name:24s}", *(f"{error:8.0%}" for error in errors))

# %% [markdown]
# Each row has its own fingerprint.
#
# * *Slope at the wrong place*: everything is wrong.
# * *Mask from the wrong array*: the ReLU's mask belongs to $h$ (or $a_1$), what went forwards. Taken from the gradient
#   that comes back, it spoils all that lies below the ReLU; $dw_2$, above it, stays right.
# * *Mean instead of sum over the batch*: both weights are wrong by the factor $N = 5$ (an error of 80 %), and $dz$ is
#   right. The mean over the batch belongs in the loss, once, and nowhere else.
#
# ### The hidden unit that dies
#
# This is no slip of the pen but a trap in the model. The paper's $r = 16$ was chosen for ImageNet networks with 256
# and more channels. A small ResNet for CIFAR-10 begins with $C = 16$. Then $M = 16/16 = 1$: one hidden unit. In a
# network, $z$ comes from maps that a batch norm has centred, so positive and negative values of $a_1$ are equally
# likely. When it is negative $h = 0$, so $a_2 = 0$, and every gate of that picture is $\sigma(0) = \frac{1}{2}$,
# exactly.

# %%
rng = np.random.default_rng(2)
pictures, C = 20_000, 16
z = rng.normal(size=(pictures, C))
print("hidden units    pictures with every gate exactly 1/2    1 / 2^M")
for M in (1, 2, 4, 8):
    w1 = rng.normal(size=(M, C)) * np.sqrt(2 / C)
    w2 = rng.normal(size=(C, M)) * np.sqrt(2 / M)
    gates = excite(z, w1, w2)
    dead = (gates == 0.5).all(axis=1)
    print(f"{M:12d}    {dead.mean():36.1%}    {0.5**M:7.1%}")

    dz = excite_backward(rng.normal(size=z.shape), z, gates, w1, w2)[0]
    assert not dz[dead].any()

# %% [markdown]
# The same as a picture. Move $M$, and with it $r = 16 / M$:

# %%
Play(figures.sleeping_gates, hidden_units=(1, 1, 16))

# %% [markdown]
# For half of the pictures the block does nothing but halve everything, and the assertion in the loop says the rest:
# for these pictures $dz$ is exactly zero, and with $h = 0$ they add nothing to $dw_1$ and $dw_2$ either. No error, no
# warning, only a block that is asleep half of the time. This is why npse takes $r = 4$ and at least four hidden units
# unless told otherwise. All $M$ units have to be shut at once, so about $1/2^M$ of the pictures are concerned;
# somewhat more where the units happen to ask similar questions.
#
# (If the weights lead a hidden unit to be shut for *every* picture, it never receives a gradient again. That is the
# usual meaning of a dead ReLU, and with a single unit it would be the end of the block.)

# %% [markdown]
# ## What is saved
#
# For the backward pass, npse keeps:
#
# | array | shape | why |
# |---|---|---|
# | $s$ | `(N, C)` | the slope of the sigmoid is $s(1-s)$ |
# | $z$ | `(N, C)` | factor of $w_1$; and $h$ is computed from it once more |
# | $w_1, w_2, b_1$ | as they are | factors of $z$ and $h$ |
#
# Neither $a_1$ nor $a_2$ is kept: $h \gt 0$ tells as much as $a_1 \gt 0$, and $s$ tells more than $a_2$. Nor is $h$
# kept, although it is needed. To compute it again takes one small matrix product, and the signature is shorter by an
# argument. $b_2$ is not needed at all: it has done its work in $s$. Compared with the maps, all of this is next to
# nothing.
#
# One warning: $s$ must still be the gates when the backward pass begins. Code that computes `s *= 1 - s` in place, or
# that lets another layer write over $s$, spoils the slope without any error. The functions of npse never write to
# their arguments.

# %% [markdown]
# ## Questions
#
# **1.** What are the gates if $z = 0$? What are $dw_1$ and $dw_2$? Why does this matter for a gradient check?
#
# <details><summary>Answer</summary>
#
# Without biases $a_1 = 0$, so $h = 0$, so all gates are $1/2$. $dw_2$ is 0 since $h$ is, $dw_1$ is 0 since $z$ is (and
# the mask, too). A check made there compares zeros with zeros and proves nothing; and $a_1 = 0$ is exactly on the kink
# of the ReLU. This happens in real networks in which the last batch norm of a residual branch starts with $\gamma =
# 0$. Check at random values.
#
# </details>
#
# <br>
#
# **2.** Without the ReLU, excitation would be $\sigma(W_2 W_1 z)$. What would be lost?
#
# <details><summary>Answer</summary>
#
# $W_2 W_1$ is a single matrix of rank at most $M$. Each gate would be a sigmoid of one weighted sum; a question such
# as "is one of the two channels much stronger than the other, no matter which?" cannot be asked by one weighted sum.
#
# </details>
#
# <br>
#
# **3.** How many weights do the gates of ResNet-50's last stage take, with $C = 2048$, $r = 16$ and three blocks?
#
# <details><summary>Answer</summary>
#
# $3 \cdot 2 \cdot 2048^2 / 16 = 1572864$. That is 62.5 % of all the weights that the blocks add to ResNet-50. The
# paper finds that just these can be left out at a cost of less than 0.1 % top-5 error.
#
# </details>
#
# ## Now write it yourself
#
# Exercise 4 is this page with holes: `excite` and `excite_backward`, checked as you write. In a terminal:
#
#     npse exercise start 4
#     npse exercise check 4
#
# ## Next
#
# The gates are known. [Page 4, scale and the whole block](04_scale_and_block.ipynb): they are applied, and the
# gradient finds two ways back.
