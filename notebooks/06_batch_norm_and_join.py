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
# # 6 · Batch norm, and the residual join
#
# [arXiv 1502.03167](https://arxiv.org/abs/1502.03167) and [1512.03385](https://arxiv.org/abs/1512.03385) · 50 minutes
#
# [The formula](#The-formula) ·
# [A picture](#A-picture) ·
# [With a pencil](#With-a-pencil) ·
# [The shipped function](#The-shipped-function) ·
# [Running statistics](#Running-statistics) ·
# [Backwards](#Backwards) ·
# [The residual join](#The-residual-join) ·
# [Checked live](#Checked-live) ·
# [Typical mistakes](#Typical-mistakes) ·
# [What is saved](#What-is-saved) ·
# [Questions](#Questions) ·
# [Now write it yourself](#Now-write-it-yourself) ·
# [Next](#Next)
#
# Between the convolutions of a network stand two small operations that have nothing to do with attention, and without
# which nobody trains a deep network. **Batch norm** brings each channel to mean 0 and deviation 1. The **residual
# join** adds the input of a block to its output. The join has the easiest gradient of this book. Batch norm has the
# one with the worst reputation, and no wonder: to know the mean, each pixel has to meet all other pixels of the
# batch, and on the way back each of them wants to be heard.
#
# By the end of this page you will have gone through that gradient line by line with a pencil, seen ten lines become
# one, and understood what the one line says.

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

from npse import reference as ops
from npse.gradcheck import check_gradient
from npse.notebook import Play, Source, Worked, numeric_gradient, relative_error
from npse.notebook.figures import batch_norm_and_join as figures
from npse.reference import (
    batch_norm,
    batch_norm_backward,
    batch_norm_backward_staged,
    batch_norm_inference,
    conv2d,
    relu,
    running_statistics,
    scale_add_relu,
    scale_add_relu_backward,
)

# %% [markdown]
# ## The formula
#
# A channel has $B = N H W$ numbers, those of all pixels of all pictures of the batch. Take their mean and their
# variance, subtract the one, divide by the root of the other:
#
# $$\mu[c] = \frac{1}{B} \sum_{n,i,j} x[n,i,j,c] \qquad
# v[c] = \frac{1}{B} \sum_{n,i,j} (x[n,i,j,c] - \mu[c])^2$$
#
# $$\hat{x}[n,i,j,c] = \frac{x[n,i,j,c] - \mu[c]}{\sqrt{v[c] + \epsilon}} \qquad
# y[n,i,j,c] = \gamma[c] \ \hat{x}[n,i,j,c] + \beta[c]$$
#
# | in the formula | what it is | in the code |
# |---|---|---|
# | $x$ | what a convolution has made | `x`, shape `(N, H, W, C)` |
# | $\mu$, $v$ | mean and variance of each channel over the batch | `mean`, shape `(C)`, and `var`, shape `(C)` |
# | $\hat{x}$ | the same numbers, with mean 0 and deviation 1 | not kept: it is made again when it is needed |
# | $\gamma$, $\beta$ | a scale and a shift, learned | `gamma`, shape `(C)`, and `beta`, shape `(C)` |
# | $\epsilon$ | a small number, $10^{-5}$, against division by zero | `eps` |
#
# Why take away mean and deviation, only to put others in their place? Because $\gamma$ and $\beta$ are *parameters*:
# they change slowly, and they do not depend on what the layers below are doing at the moment.

# %% [markdown]
# ## A picture
#
# The four filters of page 1, on three pictures. Above are the values of each channel as the convolution leaves them,
# below the same after batch norm with $\gamma = 1$ and $\beta = 0$. The orange line is the mean.

# %%
x, names = figures.example_maps()
y, mean, var = batch_norm(x, np.ones(4), np.zeros(4))
figures.before_and_after(x, y, names)

# %% [markdown]
# The shapes of the histograms have stayed; only centre and width have changed. A layer that follows finds numbers of
# the same size in every channel, whatever the filters are.
#
# After the batch norm there is a ReLU. Which part of the pixels it lets through is decided by $\beta$ and $\gamma$,
# and no longer by a bias in the convolution, which the mean would swallow. Move both:

# %%
Play(
    figures.scaled_and_shifted,
    gamma=(1.0, 0.0, 3.0, 0.1), beta=(0.5, -3.0, 3.0, 0.1),
)

# %% [markdown]
# ## With a pencil
#
# One channel with four numbers, $x = (9, 3, 3, 1)$, so $B = 4$. Let $\gamma = 3$ and $\beta = 1$, and let
# $\epsilon$ be zero, for once.
#
# $$\mu = \frac{9 + 3 + 3 + 1}{4} = 4 \qquad c = x - \mu = (5, -1, -1, -3)$$
#
# $$v = \frac{25 + 1 + 1 + 9}{4} = 9 \qquad r = \frac{1}{\sqrt{v}} = \frac{1}{3}$$
#
# $$\hat{x} = c \cdot r = (\frac{5}{3}, -\frac{1}{3}, -\frac{1}{3}, -1) \qquad
# y = 3 \cdot \hat{x} + 1 = (6, 0, 0, -2)$$
#
# Check it: $\hat{x}$ adds up to $0$, and its squares add up to 4, which is $B$.

# %%
x = np.array([9.0, 3, 3, 1]).reshape(1, 2, 2, 1)
gamma, beta = np.array([3.0]), np.array([1.0])
y, mean, var = batch_norm(x, gamma, beta, 0.0)
xhat, _, _ = batch_norm(x, np.ones(1), np.zeros(1), 0.0)
worked = Worked({
    "x": x.ravel(), "B": x.size, "\\gamma": gamma, "\\beta": beta,
    "\\mu": mean, "c": (x - mean).ravel(), "v": var, "r": 1 / np.sqrt(var[0]),
    "\\hat{x}": xhat.ravel(), "y": y.ravel(),
})
worked

# %% [markdown]
# ## The shipped function

# %%
Source(batch_norm)

# %% [markdown]
# Three lines. It returns the statistics too, as the gradient and the running averages need them. The variance divides
# by $B$, not by $B - 1$: this is the *biased* variance.

# %% [markdown]
# ## Running statistics
#
# When the network is used there may be no batch: somebody shows it one picture. And even with a batch, the answer to
# one picture should not depend on which others happen to come along. So in training two averages run along, and at
# inference they take the place of $\mu$ and $v$.
#
# ### Running averages with a pencil
#
# The running mean starts at 0, the running variance at 1, and each batch moves them by a tenth of the way. For the
# batch above, with the *unbiased* variance, 36 divided by 3 in place of 4:
#
# $$m = 0.9 \cdot 0 + 0.1 \cdot 4 = 0.4 \qquad s = 0.9 \cdot 1 + 0.1 \cdot \frac{36}{3} = 2.1$$

# %%
m, s = running_statistics(mean, var, 4, np.zeros(1), np.ones(1), momentum=0.1)
worked = Worked({"m": m, "s": s})
worked

# %%
Source(batch_norm_inference, running_statistics)

# %% [markdown]
# Two variances in one layer, the biased for the batch and the unbiased for the average: that is a convention of the
# field, and networks from elsewhere give the same numbers only if it is kept. With a batch of 128 pictures of 32 x 32
# pixels it makes no difference that anybody could see. In the last stage of a small test it does.

# %% [markdown]
# ## Backwards
#
# Given is $dy$. The gradients of $\gamma$ and $\beta$ are quickly found. Both were used at every pixel of their
# channel, so they sum over pixels: $\beta$ was added, $\gamma$ was multiplied by $\hat{x}$.
#
# $$d\beta[c] = \sum_{n,i,j} dy[n,i,j,c] \qquad d\gamma[c] = \sum_{n,i,j} dy[n,i,j,c] \ \hat{x}[n,i,j,c]$$
#
# What has a pixel $x$ touched? Its own $\hat{x}$; and the mean, which has touched everybody's $\hat{x}$; and the
# variance, which has too. Nobody can do that in one step. So we don't.
#
# ### On a graph, one small step at a time
#
# Break the forward pass into lines that each do a single thing, and walk back through them. Where a variable was used
# twice, add. The numbers are those of the pencil example; values stand above, gradients below. Let
# $dy = (3, 0, 0, 1)$ arrive. With a running kernel you can move `line` from 0 to 7 and see the gradients appear one
# after another.

# %%
Play(figures.staged, line=(7, 0, 7))

# %% [markdown]
# ### Backwards with a pencil
#
# $$dy = (3, 0, 0, 1) \qquad d\beta = 3 + 0 + 0 + 1 = 4 \qquad
# d\gamma = 3 \cdot \frac{5}{3} + 1 \cdot (-1) = 4$$
#
# **Line 1**, $y = \gamma \hat{x} + \beta$. The product hands on $dy$ times $\gamma$:
#
# $$d\hat{x} = 3 \cdot (3, 0, 0, 1) = (9, 0, 0, 3)$$
#
# **Lines 2 and 3**, $\hat{x}$ is $c$ times $r$. Again a product. $c$ receives it times $r$; this is the *first use* of
# $c$. And $r$ is one number that was used at every pixel, so it sums:
#
# $$p = \frac{1}{3} \cdot (9, 0, 0, 3) = (3, 0, 0, 1) \qquad dr = 9 \cdot 5 + 3 \cdot (-3) = 36$$
#
# **Line 4**, $r$ is $v^{-1/2}$. Its slope is $-\frac{1}{2} v^{-3/2}$, and $v^{3/2}$ is 27:
#
# $$dv = -\frac{36}{2 \cdot 27} = -\frac{2}{3}$$
#
# **Line 5**, $v$ is the average of $c^2$: the *second use* of $c$. Each $c$ has the slope $2c / 4$ in it. Add both
# uses:
#
# $$q = -\frac{2}{3} \cdot \frac{1}{2} \cdot (5, -1, -1, -3) = (-\frac{5}{3}, \frac{1}{3}, \frac{1}{3}, 1)$$
#
# $$dc = p + q = (\frac{4}{3}, \frac{1}{3}, \frac{1}{3}, 2)$$
#
# **Line 6**, $c$ is $x$ minus $\mu$, with one $\mu$ for all pixels. So $d\mu$ is minus the sum. **Line 7**, $x$ was
# used twice: as itself, and with a share of a quarter in $\mu$.
#
# $$d\mu = -(\frac{4}{3} + \frac{1}{3} + \frac{1}{3} + 2) = -4$$
#
# $$dx = dc + \frac{d\mu}{4} = (\frac{1}{3}, -\frac{2}{3}, -\frac{2}{3}, 1)$$

# %%
dy = np.array([3.0, 0, 0, 1]).reshape(x.shape)
dx, dgamma, dbeta = batch_norm_backward_staged(dy, x, gamma, mean, var, 0.0)


def through_variance(c):
    return 1 / np.sqrt(np.sum(c**2, keepdims=True) / 4)


c = (x - mean).ravel()
p = gamma * dy.ravel() / 3
dr = np.array([np.sum(3 * dy.ravel() * c)])
dv = -dr / (2 * 27)
q = 2 * c * dv / 4
assert relative_error(q, numeric_gradient(through_variance, c, dr)) < 1e-8
worked = Worked({
    "dy": dy.ravel(), "d\\beta": dbeta, "d\\gamma": dgamma,
    "d\\hat{x}": gamma * dy.ravel(),
    "p": p, "dr": dr, "dv": dv, "q": q, "dc": p + q,
    "d\\mu": -np.sum(p + q), "dx": dx.ravel(),
})
worked

# %% [markdown]
# The last line comes from the shipped version below, and $q$ agrees with its
# measurement. Two facts about the result: it adds up to zero, and so does its product with $c$:
# $\frac{5}{3} + \frac{2}{3} + \frac{2}{3} - 3$. That is no accident, as we shall see.
#
# ### The shipped gradient
#
# npse ships the walk as it is, to be read, and as a witness:

# %%
Source(batch_norm_backward_staged)

# %% [markdown]
# ### The closed form
#
# Now put the lines into each other. Write $g$ for $dy$. After line 2, $p = \gamma r \, g$. In line 3,
# $dr = \gamma \sum g \, c$; since $c = \hat{x} / r$, this is $\gamma \, d\gamma / r$. Line 4 makes it
# $dv = -\frac{1}{2} \gamma \, d\gamma \, r^2$. Line 5: $q = 2 c \, dv / B = - \gamma r \, \hat{x} \, d\gamma / B$. The
# square and the root have cancelled. Line 6 sums $p + q$: the sum of $g$ is $d\beta$, the sum of $\hat{x}$ is 0, so
# $d\mu = - \gamma r \, d\beta$. And line 7 adds up:
#
# $$dx[n,i,j,c] = \frac{\gamma[c]}{\sqrt{v[c] + \epsilon}} \left( dy[n,i,j,c] - \frac{d\beta[c]}{B} -
# \hat{x}[n,i,j,c] \ \frac{d\gamma[c]}{B} \right)$$
#
# Read it aloud. *Take the gradient that arrives. Remove its mean. Remove its part along* $\hat{x}$. *Scale.* Why those
# two parts? Add a constant to a channel, and $y$ does not change. Stretch a channel, and $y$ does not change either
# (but for $\epsilon$). A change that changes nothing must have gradient zero; so $dx$ has no part in those two
# directions. Whoever remembers this can write the formula down without deriving it.

# %%
Source(batch_norm_backward)

# %% [markdown]
# As a matrix, for the four numbers of the example: how much $\hat{x}$ of one row changes with $x$ of one column,
# without the factor $r$.

# %%
figures.jacobian(xhat.ravel())

# %% [markdown]
# Only the first part is diagonal. The other two say that every pixel has a say in every other, and more so between
# pixels far from the mean. Here is the surprise that page 4 promised: batch norm, too, has more than one path, and
# there are three.
#
# ### Which of the two should one run
#
# Both give the same numbers. But each operation on a whole array has to fetch it from memory, and that is what costs
# time here, not the arithmetic. We count how often an operation goes over an array of the full size:


# %%
class Counted(np.ndarray):
    """An array that counts the operations on arrays of its size."""

    passes = 0

    def __array_ufunc__(self, ufunc, method, *inputs, **options):
        Counted.passes += any(np.size(value) == self.size for value in inputs)
        inputs = [np.asarray(value) for value in inputs]
        result = getattr(ufunc, method)(*inputs, **options)
        return np.asarray(result).view(Counted)


rng = np.random.default_rng(0)
big = rng.normal(size=(4, 8, 8, 6))
upstream = rng.normal(size=big.shape)
gamma6 = rng.normal(size=6)
_, mean6, var6 = batch_norm(big, gamma6, gamma6)
results = []
for function in (batch_norm_backward_staged, batch_norm_backward):
    Counted.passes = 0
    inside = function.__wrapped__          # without the check of its arguments
    maps = upstream.view(Counted), big.view(Counted)
    results.append(inside(*maps, gamma6, mean6, var6))
    print(f"{function.__name__:27s} {Counted.passes} passes over the maps")
assert all(np.allclose(a, b, 1e-10, 1e-12) for a, b in zip(*results, strict=True))

# %% [markdown]
# The compiled editions need two: one that sums $dy$ and $dy \ \hat{x}$, one that writes $dx$. This is the difference
# between a derivation and a program.

# %% [markdown]
# ## The residual join
#
# A residual block computes $y = \delta(s \odot u + x)$: the branch $u$, weighed by its gates (page 4), plus the input
# $x$ of the block as it is, then a ReLU. The gradient needs no thought. The ReLU passes $g = dy$ where $y$ is
# positive. A sum copies: the shortcut receives $g$, and the branch receives $g$.
#
# $$g[n,i,j,c] = dy[n,i,j,c] \text{ if } y[n,i,j,c] \gt 0, \text{ else } 0$$
#
# For the shortcut this is all, $dx = g$. For the branch and its gates,
#
# $$du[n,i,j,c] = g[n,i,j,c] \ s[n,c] \qquad ds[n,c] = \sum_{i,j} g[n,i,j,c] \ u[n,i,j,c]$$
#
# ### The join with a pencil
#
# One channel, four pixels, the gate $\frac{1}{2}$:
#
# $$u = (4, -6, 2, 0) \qquad x = (1, 1, -3, 2) \qquad
# a = \frac{1}{2} \cdot (4, -6, 2, 0) + (1, 1, -3, 2) = (3, -2, -2, 2)$$
#
# $$y = \delta(a) = (3, 0, 0, 2)$$
#
# Let $dy = (1, 5, 2, -1)$ arrive. The two middle pixels are shut.
#
# $$dx = (1, 0, 0, -1) \qquad du = \frac{1}{2} \cdot (1, 0, 0, -1) = (\frac{1}{2}, 0, 0, -\frac{1}{2}) \qquad
# ds = 1 \cdot 4 + (-1) \cdot 0 = 4$$

# %%
u = np.array([4.0, -6, 2, 0]).reshape(1, 2, 2, 1)
shortcut = np.array([1.0, 1, -3, 2]).reshape(1, 2, 2, 1)
dy = np.array([1.0, 5, 2, -1]).reshape(1, 2, 2, 1)
s = np.array([[0.5]])
y = scale_add_relu(u, s, shortcut)
du, ds, dshortcut = scale_add_relu_backward(dy, u, s, y)
worked = Worked({
    "u": u.ravel(), "x": shortcut.ravel(), "a": (s[0, 0] * u + shortcut).ravel(),
    "y": y.ravel(), "dy": dy.ravel(),
    "dx": dshortcut.ravel(), "du": du.ravel(), "ds": ds,
})
worked

# %%
figures.join()

# %%
Source(scale_add_relu, scale_add_relu_backward)

# %% [markdown]
# Why does this little sum matter so much? Follow a gradient back through thirty blocks of a convolution and a ReLU,
# once with a shortcut around each block and once without. The filters are random, and half as large as the usual
# rule makes them, as if somebody had been a little careless.


# %%
def gradient_lengths(shortcut, blocks=30):
    rng = np.random.default_rng(3)
    x, lengths, backwards = rng.normal(size=(8, 6, 6, 8)), [1.0], []
    for _ in range(blocks):
        w = rng.normal(size=(3, 3, 8, 8)) * np.sqrt(2 / 72) / 2
        h = conv2d(x, w, padding=1)
        f = relu(h)
        backwards.append((w, f, x.shape))
        x = f + shortcut * x
    g = rng.normal(size=x.shape)
    first = np.linalg.norm(g)
    for w, f, shape in reversed(backwards):
        back = ops.conv2d_backward_x(ops.relu_backward(g, f), w, shape, padding=1)
        g = back + shortcut * g
        lengths.append(np.linalg.norm(g) / first)
    return lengths


lengths = {"with shortcuts": gradient_lengths(1), "without": gradient_lengths(0)}
lost = lengths["without"][-1] < 1e-6
print("without shortcuts less than a millionth is left:", lost)
figures.through_blocks(lengths)

# %% [markdown]
# Without shortcuts, each block multiplies the gradient by something, and thirty factors below 1 come to nothing. (With
# filters of twice the size they would come to far too much.) With shortcuts, what arrives is *added* to what the
# branch returns, so there is always a way that is not multiplied.

# %% [markdown]
# ## Checked live

# %% tags=["varies"]
rng = np.random.default_rng(2)
case = {
    "x": rng.normal(size=(2, 3, 4, 5)) * 2 + 1,
    "gamma": rng.normal(size=5), "beta": rng.normal(size=5),
}


def forward(x, gamma, beta):
    return batch_norm(x, gamma, beta)[0]


def closed(dy, x, gamma, beta):
    _, mean, var = batch_norm(x, gamma, beta)
    return batch_norm_backward(dy, x, gamma, mean, var)


def line_by_line(dy, x, gamma, beta):
    _, mean, var = batch_norm(x, gamma, beta)
    return batch_norm_backward_staged(dy, x, gamma, mean, var)


for backward in (closed, line_by_line):
    report = check_gradient(forward, backward, case)
    checks = len(report.results)
    print(f"{backward.__name__}: {checks} checks, {len(report.failures)} failures")
    assert report.ok

dy = rng.normal(size=case["x"].shape)
dx = closed(dy, **case)[0]
truth = numeric_gradient(lambda x: forward(**{**case, "x": x}), case["x"], dy)
print(f"dx against a central difference: error {relative_error(dx, truth):.0e}")
print(f"sum over each channel: at most {np.abs(dx.sum(axis=(0, 1, 2))).max():.0e}")


# %%
def join(u, s, x):
    return scale_add_relu(u, s, x)


def join_backward(dy, u, s, x):
    return scale_add_relu_backward(dy, u, s, scale_add_relu(u, s, x))


arguments = {
    "u": rng.normal(size=(2, 3, 4, 5)), "s": rng.uniform(0.1, 0.9, (2, 5)),
    "x": rng.normal(size=(2, 3, 4, 5)),
}
report = check_gradient(join, join_backward, arguments)
print(f"the join: {len(report.results)} checks, {len(report.failures)} failures")
assert report.ok

# %% [markdown]
# ## Typical mistakes
#
# ### Constant statistics, and other half formulas
#
# How wrong is $dx$ if a term is forgotten? Once for a small batch, and once for a larger one.

# %%
print("relative error of dx, B =        24     6144")
errors = {}
for shape in ((2, 3, 4, 5), (24, 16, 16, 5)):
    x, dy = rng.normal(size=shape) + 1, rng.normal(size=shape) + 0.5
    gamma = np.ones(5)
    _, mean, var = batch_norm(x, gamma, gamma)
    B, root = x.size // 5, np.sqrt(var + 1e-5)
    xhat = (x - mean) / root
    right, dgamma, dbeta = batch_norm_backward(dy, x, gamma, mean, var)
    wrong = {
        "statistics constant": dy / root,
        "mean constant": (dy - xhat * dgamma / B) / root,
        "variance constant": (dy - dbeta / B) / root,
        "unbiased variance": batch_norm_backward(
            dy, x, gamma, mean, var * B / (B - 1))[0],
    }
    for name, value in wrong.items():
        errors.setdefault(name, []).append(relative_error(value, right))
for name, (small, large) in errors.items():
    print(f"{name:27s} {small:8.1%} {large:8.1%}")

# %% [markdown]
# A forgotten mean does not fade with the size of the batch, because $dy$ has a mean of its own. The variance term and
# the wrong variance do fade: two percent are left, and less than a thousandth. Check batch norm on *few* numbers.
#
# ### Training mode at inference
#
# A network that still normalizes with the batch gives an answer for your picture that depends on your neighbours'
# pictures. Here is the same picture in two batches:

# %%
mine, others = rng.normal(size=(1, 4, 4, 3)), rng.normal(size=(2, 3, 4, 4, 3)) * 2
for mode in ("training", "inference"):
    answers, one, zero = [], np.ones(3), np.zeros(3)
    for company in others:
        batch = np.concatenate([mine, company])
        if mode == "training":
            y, _, _ = batch_norm(batch, one, zero)
        else:
            y = batch_norm_inference(batch, one, zero, zero, one)
        answers.append(y[0])
    answer = "the same" if np.array_equal(*answers) else "another"
    print(f"{mode:9s}: {answer} answer in another batch")

# %% [markdown]
# And the gradients differ, too: at inference mean and variance *are* constants, and then `dy * gamma / root` is the
# right formula. That it exists, and is right elsewhere, is what makes the first mistake so common.
#
# ### Forgetting the shortcut
#
# A block that returns the branch's gradient alone trains, slowly. The weights of this block receive right gradients;
# those of all blocks below do not. It is the mistake of page 4 once more: check the gradient of the *input*.

# %% [markdown]
# ## What is saved
#
# For the backward pass, npse keeps:
#
# | array | shape | why |
# |---|---|---|
# | $x$ | `(N, H, W, C)` | $\hat{x}$ is made again from it, with one subtraction and one product for each number |
# | $\mu$, $v$, $\gamma$ | `(C,)` | small |
# | $y$ of the join | `(N, H, W, C)` | the mask of its ReLU; the next block keeps it anyway, as its input |
# | $u$ of the join | `(N, H, W, C)` | for $ds$; it is not kept, but made again from the batch norm's input |
#
# $\hat{x}$ could be kept in place of $x$; but $x$ is kept by nobody else, so nothing would be won. A ReLU between
# batch norm and convolution needs no mask of its own: its output is positive where it was open.

# %% [markdown]
# ## Questions
#
# **1.** A convolution before a batch norm has no bias. What gradient would a bias there receive?
#
# <details><summary>Answer</summary>
#
# Exactly zero. It would be added to all pixels of a channel, so its gradient is the sum of $dx$ over the channel, and
# that is 0. It would never move.
#
# </details>
#
# <br>
#
# **2.** All filters of a convolution are multiplied by 10. What happens to the output of the batch norm that follows,
# and to the gradient of the filters?
#
# <details><summary>Answer</summary>
#
# The output stays (but for $\epsilon$). The gradient becomes ten times *smaller*: the factor $\gamma / \sqrt{v}$ has
# shrunk. So large filters learn slowly and small ones fast, whatever the learning rate. Page 8 meets an optimizer that
# makes use of this.
#
# </details>
#
# <br>
#
# **3.** What is $dx$ if all numbers of a channel are equal?
#
# <details><summary>Answer</summary>
#
# $v = 0$, so $\hat{x} = 0$ and only $\epsilon$ keeps the division alive: $dx$ is $\gamma (dy - \overline{dy}) /
# \sqrt{\epsilon}$, about 316 times $dy$. This happens to a channel that is dead over the whole batch.
#
# </details>
#
# <br>
#
# **4.** In training with a batch of one picture and a map of 1 x 1, what does batch norm return?
#
# <details><summary>Answer</summary>
#
# $\beta$, whatever the picture is: the only number is its own mean. And there is no unbiased variance. npse refuses
# such a batch in `running_statistics`, with a message.
#
# </details>
#
# ## Now write it yourself
#
# Exercise 7 is batch norm with its walk line by line, exercise 8 the closed form, exercise 9 the join. In a terminal:
#
#     npse exercise start 7
#     npse exercise start 8
#     npse exercise start 9
#     npse exercise check 9
#
# ## Next
#
# All parts are on the table. [Page 7, SE-ResNet](07_se_resnet.ipynb) puts them together, counts what they cost, and
# checks the gradient of a whole network at once.
