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
# # 4 · Scale, and the whole block
#
# *Squeeze-and-Excitation Networks* ([arXiv 1709.01507](https://arxiv.org/abs/1709.01507)), equation (4) · 60 minutes
#
# [The formula](#The-formula) ·
# [A picture](#A-picture) ·
# [With a pencil](#With-a-pencil) ·
# [The shipped function](#The-shipped-function) ·
# [Backwards](#Backwards) ·
# [Checked live](#Checked-live) ·
# [Who influences whom](#Who-influences-whom) ·
# [Typical mistakes](#Typical-mistakes) ·
# [What is saved](#What-is-saved) ·
# [Full circle](#Full-circle) ·
# [Questions](#Questions) ·
# [Now write it yourself](#Now-write-it-yourself) ·
# [Next](#Next)
#
# The last step of the block is the simplest: multiply every map by its gate. But with it a circle closes. The maps $u$
# are multiplied by gates that were computed *from $u$* ([squeeze](02_squeeze.ipynb), then
# [excitation](03_excitation.ipynb)). So $u$ is used twice: as what is being weighed, and as evidence for how much it
# should weigh. Backwards, the gradient comes home on two paths, and both have to be added. Leaving out the second is
# *the* mistake of this block: nothing crashes, the weights still receive right gradients, the network even trains, and
# the layers below are told something wrong. By the end of this page you will be able to derive both paths, see them as
# numbers, and know which test finds the mistake and which does not.

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
from npse.notebook.figures import block as figures
from npse.reference import (
    conv2d,
    conv2d_backward_w,
    dense,
    excite,
    excite_backward,
    scale,
    scale_backward,
    se,
    se_backward,
    se_backward_staged,
    squeeze,
)

# %% [markdown]
# ## The formula
#
# $$\tilde{x}_c = F_{scale}(u_c, s_c) = s_c \ u_c \qquad (4)$$
#
# | in the paper | what it is | in the code |
# |---|---|---|
# | $u_c$ | map of channel $c$ | `u[..., c]`, where `u` has shape `(N, H, W, C)` |
# | $s_c$ | its gate, one number for the whole map | `s[:, c]`, where `s` has shape `(N, C)` |
# | $\tilde{x}_c$ | the recalibrated map | `y[..., c]`, shaped like `u` |
#
# With all indices: $y[n,i,j,c] = s[n,c] \ u[n,i,j,c]$. And the whole block, equations (2), (3) and (4) in one line:
#
# $$y = F_{scale}(u, \ F_{ex}(F_{sq}(u), W))$$

# %% [markdown]
# ## A picture
#
# The data flow of the block. Grey arrows are values, going forwards. Coloured arrows are gradients, going back: the
# **direct path** in blue, the **squeeze path** in orange.

# %%
figures.data_flow()

# %% [markdown]
# In a residual network the block stands at the end of a branch, after its last batch norm, and before the shortcut is
# added.

# %% [markdown]
# ## With a pencil
#
# What the first three pages have computed:
#
# $$u_1 = \begin{pmatrix} 4 & 0 \\ 8 & 0 \end{pmatrix} \quad
# u_2 = \begin{pmatrix} 0 & -4 \\ 4 & 8 \end{pmatrix} \quad
# z = (3, 2) \quad
# s = \left( \tfrac{3}{4}, \tfrac{1}{4} \right)$$
#
# Each number of a map times its gate:
#
# $$y_1 = \tfrac{3}{4} u_1 = \begin{pmatrix} 3 & 0 \\ 6 & 0 \end{pmatrix} \qquad
# y_2 = \tfrac{1}{4} u_2 = \begin{pmatrix} 0 & -1 \\ 1 & 2 \end{pmatrix}$$

# %%
ln3 = np.log(3)
u = np.zeros((1, 2, 2, 2))
u[0, :, :, 0] = [[4, 0], [8, 0]]
u[0, :, :, 1] = [[0, -4], [4, 8]]
w1 = np.array([[1.0, -1.0], [-1.0, 1.0]])
w2 = np.array([[ln3, 2.0], [-ln3, 1.0]])

s = excite(squeeze(u), w1, w2)
y = scale(u, s)
assert np.array_equal(y, se(u, w1, w2))
worked = Worked({
    "u_1": u[0, :, :, 0], "u_2": u[0, :, :, 1], "z": squeeze(u)[0], "s": s[0],
    "y_1": y[0, :, :, 0], "y_2": y[0, :, :, 1],
})
worked

# %%
figures.recalibrated(u, s, y)

# %% [markdown]
# ## The shipped function

# %%
Source(scale, se)

# %% [markdown]
# The gate `s[:, None, None, :]` has shape `(N, 1, 1, C)`, and NumPy repeats it over the pixels. This silent *copy* of
# one number to $H \cdot W$ places is worth remembering for what follows.

# %% [markdown]
# ## Backwards
#
# ### Through scale
#
# Given is $dy = \partial L / \partial y$. The recipe, once more: what has a variable touched?
#
# $u[n,i,j,c]$ has touched, in equation (4), the one pixel $y[n,i,j,c]$, with derivative $s[n,c]$. No sum:
#
# $$du_{\text{direct}}[n,i,j,c] = dy[n,i,j,c] \ s[n,c]$$
#
# $s[n,c]$ has touched *every pixel* of its map, each time with derivative $u[n,i,j,c]$. So a sum over the pixels:
#
# $$ds[n,c] = \sum_{i} \sum_{j} dy[n,i,j,c] \ u[n,i,j,c]$$
#
# A sum, not a mean: nothing in equation (4) divides by $HW$. On page 2 a sum went forwards and a copy went back; here
# the copy goes forwards, and the sum comes back.

# %%
Source(scale_backward)

# %% [markdown]
# ### Through the whole block
#
# Now the question is put to $u[n,i,j,c]$ for the block as a whole. Two things were touched: the pixel $y[n,i,j,c]$,
# and the average $z[n,c]$. So there are two ways to the loss, and their contributions are added. We have both already:
#
# 1. scale gives the direct path, $dy \cdot s$, and $ds$;
# 2. excitation (page 3) makes $dz$ of $ds$, and the gradients of the weights on the way;
# 3. squeeze (page 2) makes of $dz$ the share $dz / (HW)$ for each pixel.
#
# $$du[n,i,j,c] = \underbrace{dy[n,i,j,c] \ s[n,c]}_{\text{direct}} +
# \underbrace{\frac{dz[n,c]}{HW}}_{\text{through the squeeze}}$$
#
# The first term looks at one pixel. The second contains, hidden in $dz$, a sum over *all* pixels of *all* channels:
# change one pixel and all gates move a little, and with them the whole output.
#
# ### Backwards with a pencil
#
# Let the gradient that arrives be
#
# $$dy_1 = \begin{pmatrix} 2 & 1 \\ 1 & -1 \end{pmatrix} \qquad dy_2 = \begin{pmatrix} 1 & 4 \\ 2 & -1 \end{pmatrix}$$
#
# **Gates.** $ds_1 = 2 \cdot 4 + 1 \cdot 0 + 1 \cdot 8 - 1 \cdot 0 = 16$, and
# $ds_2 = 1 \cdot 0 + 4 \cdot (-4) + 2 \cdot 4 - 1 \cdot 8 = -16$.
#
# **Excitation.** For exactly these $ds$, page 3 found $dz = (6 \ln 3, \ -6 \ln 3) \approx (6.592, \ -6.592)$.
#
# **Squeeze path.** $HW = 4$, so every pixel of map 1 receives $6 \ln 3 / 4 \approx 1.648$, and every pixel of map 2
# receives $-6 \ln 3 / 4 \approx -1.648$.
#
# **Direct path.** Each $dy$ times its gate. **Both** together:
#
# $$du_1 = \tfrac{3}{4} dy_1 + \frac{6 \ln 3}{4}
# = \begin{pmatrix} 1.5 & 0.75 \\ 0.75 & -0.75 \end{pmatrix} + \frac{6 \ln 3}{4}
# \approx \begin{pmatrix} 3.148 & 2.398 \\ 2.398 & 0.898 \end{pmatrix}$$
#
# $$du_2 = \tfrac{1}{4} dy_2 - \frac{6 \ln 3}{4}
# = \begin{pmatrix} 0.25 & 1 \\ 0.5 & -0.25 \end{pmatrix} - \frac{6 \ln 3}{4}
# \approx \begin{pmatrix} -1.398 & -0.648 \\ -1.148 & -1.898 \end{pmatrix}$$

# %%
dy = np.zeros_like(u)
dy[0, :, :, 0] = [[2, 1], [1, -1]]
dy[0, :, :, 1] = [[1, 4], [2, -1]]

direct, ds = scale_backward(dy, u, s)
dz = excite_backward(ds, squeeze(u), s, w1, w2)[0]
du, dw1, dw2, _, _ = se_backward(dy, u, w1, w2)
_, H, W, _ = u.shape
worked = Worked({
    "dy_1": dy[0, :, :, 0], "dy_2": dy[0, :, :, 1], "HW": H * W,
    "ds_1": ds[0, 0], "ds_2": ds[0, 1], "dz": dz[0],
    "du_1": du[0, :, :, 0], "du_2": du[0, :, :, 1],
})
worked

# %% [markdown]
# The gradients of the weights are those of page 3, since $ds$ is the same. Both paths and their sum:

# %%
assert np.allclose(dw1, [[18 * ln3, 12 * ln3], [0, 0]])
assert np.allclose(dw2, [[3, 0], [-3, 0]])
figures.both_paths(direct, du)

# %% [markdown]
# Look at channel 2. The direct path says of three pixels "make me larger and the loss rises". The sum says the
# opposite of all four: if any of them grows, $z_2$ grows, gate 1 closes and gate 2 opens, and with this $ds$ the loss
# falls. Here the second path is no small correction. It changes the sign.
#
# Who is right can be seen without any formula. Below is the loss $L = \sum y \cdot dy$ itself, while one pixel of
# channel 2 changes and all others stay. Only one of the two lines is a tangent. Move the pixel; then turn the gate's
# strength down to 0, where the gates no longer depend on $u$, and the two lines become one:

# %%
Play(figures.tangent, value=(-4.0, -10.0, 10.0, 0.5), gate=(1.0, 0.0, 2.0, 0.1))

# %% [markdown]
# ### The shipped gradient

# %%
Source(se_backward)

# %% [markdown]
# It is the three steps above, in order. $z$ and $s$ are computed once more from $u$, since that is cheap; a layer that
# has kept them calls the three backward functions itself.
#
# ### On a graph, one small step at a time
#
# There is another way to write the gradient, longer and without any thinking. It is the picture at the head of this
# page, with every arrow a line. Break the forward pass into elementary lines; then walk back through them, each line
# with its own small derivative, and *wherever a variable was used twice, add*. npse ships this version, too. Nobody
# would run it for speed. It is there to be read, and as a witness:

# %%
Source(se_backward_staged)

# %% [markdown]
# The two paths are easy to see here: `du` is set in the line marked *first use of u*, and in the last line before the
# return the *second use* is added. Both versions must give the same five gradients, up to rounding:

# %% tags=["varies"]
rng = np.random.default_rng(13)
N, H, W, C, M = 2, 3, 4, 6, 3
case = {
    "u": rng.normal(size=(N, H, W, C)) + rng.normal(size=(N, 1, 1, C)),
    "w1": rng.normal(size=(M, C)) * np.sqrt(2 / C),
    "w2": rng.normal(size=(C, M)) * np.sqrt(2 / M),
    "b1": rng.normal(size=M) / 4,
    "b2": rng.normal(size=C) / 4,
}
dy = rng.normal(size=case["u"].shape) / 2 + rng.normal(size=(N, 1, 1, C))

closed = se_backward(dy, **case)
staged = se_backward_staged(dy, **case)
for name, a, b in zip(case, closed, staged, strict=True):
    difference = np.abs(a - b).max()
    print(f"d{name:2s} {a.shape!s:13s} largest difference {difference:.0e}")
    assert np.allclose(a, b, rtol=1e-12, atol=1e-12)

# %% [markdown]
# ## Checked live
#
# Two derivations that agree could still share a mistake. So we measure, with central differences as on page 1, all
# gradients of `scale` and of the whole block:


# %%
def check(forward, arguments, dy, gradients):
    """Compare each gradient with its measurement, one argument after the other."""
    for (name, value), ours in zip(arguments.items(), gradients, strict=True):
        def f(value, name=name):
            return forward(**{**arguments, name: value})

        error = relative_error(ours, numeric_gradient(f, value, dy))
        print(f"{forward.__name__}: d{name:2s} {value.size}: error {error:.0e}")
        assert error < 1e-8



# %% tags=["varies"]
def kinks(u, w1, b1, **rest):
    return dense(squeeze(u), w1, b1)                    # what enters the ReLU


assert np.abs(kinks(**case)).min() > 1e-3

some_gates = {"u": case["u"], "s": rng.normal(size=(N, C))}
check(scale, some_gates, dy, scale_backward(dy, **some_gates))
check(se, case, dy, se_backward(dy, **case))

# %% [markdown]
# The judge that npse ships does the same more carefully: it draws its own $dy$, chooses the step for each entry,
# watches the kinks of the ReLU, looks at float32, and at the manners of the function (does it change its arguments,
# does it give the same result twice, is it linear in $dy$):

# %% tags=["varies"]
report = check_gradient(se, se_backward, case, kinks=kinks)
print(report)
assert report.ok

# %% [markdown]
# ## Who influences whom
#
# This section can be skipped at a first reading. It writes down the Jacobian of the block.
#
# For one picture the block is a function from $HWC$ numbers to $HWC$ numbers. How much does output pixel $p$ of
# channel $c$ change with input pixel $p'$ of channel $c'$? Differentiate $y_c(p) = s_c \ u_c(p)$ by the product rule;
# the second summand runs through equations (3) and (2):
#
# $$\frac{\partial \ y_c(p)}{\partial \ u_{c'}(p')} = \underbrace{s_c \ \delta_{cc'} \ \delta_{pp'}}_{\text{direct}}
# \ + \ \underbrace{u_c(p) \ s_c (1 - s_c) \ \frac{[W_2 D W_1]_{cc'}}{HW}}_{\text{through the squeeze}}$$
#
# Here $\delta_{cc'}$ is 1 if $c = c'$ and else 0 (not the ReLU), and $D$ is a diagonal matrix with a 1 for each hidden
# unit that is open. For the pencil example this is an 8 x 8 matrix. We compute it from the formula, and compare it
# with what the shipped function says: fed with a $dy$ that is 1 in one place and else 0, it returns one row of the
# Jacobian.

# %%
maps = u[0].transpose(2, 0, 1).reshape(8)    # channel 1, then channel 2, by pixels
gate = np.repeat(s[0], 4)                    # the gate of each of those numbers
D = np.diag([1, 0])                          # hidden unit 1 is open, 2 is shut
mixing = np.repeat(np.repeat(w2 @ D @ w1, 4, axis=0), 4, axis=1)
direct = np.diag(gate)
through_squeeze = (maps * gate * (1 - gate))[:, None] * mixing / 4

rows = []
for place in range(8):
    one = np.zeros(8)
    one[place] = 1
    dy_one = one.reshape(2, 2, 2).transpose(1, 2, 0)[None]
    rows.append(se_backward(dy_one, u, w1, w2)[0][0].transpose(2, 0, 1).reshape(8))
assert np.allclose(rows, direct + through_squeeze)

figures.jacobian(direct, through_squeeze, np.array(rows))

# %% [markdown]
# Left, the direct path: a diagonal, each pixel influences itself. In the middle the squeeze path. Each row is constant
# within a channel, since all pixels of a map enter the average alike; rows of zeros belong to pixels that are 0, which
# no gate can change. The off-diagonal quarters are the heart of the paper: *channels influence each other*. In a plain
# convolution, that influence is fixed in the filter; here it depends on the picture.

# %% [markdown]
# ## Typical mistakes
#
# ### A table of fingerprints
#
# Below is the backward pass with three knobs: how much of the direct path, which share of $dz$ each pixel receives,
# and how $ds$ is gathered over the pixels. Every knob has one right position.


# %%
def backward(dy, direct=1, share=1 / (H * W), gather=np.sum):
    u, w1, w2, b1, b2 = case.values()
    z = squeeze(u)
    s = excite(z, w1, w2, b1, b2)
    ds = gather(dy * u, axis=(1, 2))
    dz, dw1, dw2, _, _ = excite_backward(ds, z, s, w1, w2, b1)
    du = direct * dy * s[:, None, None, :] + share * dz[:, None, None, :]
    return du, dw1, dw2


right = backward(dy)
assert all(map(np.allclose, right, se_backward(dy, **case)[:3]))

mistakes = {
    "direct path only": backward(dy, share=0),
    "squeeze path only": backward(dy, direct=0),
    "1/(HW) forgotten": backward(dy, share=1),
    "1/(HW) twice": backward(dy, share=1 / (H * W) ** 2),
    "ds averaged, not summed": backward(dy, gather=np.mean),
}
print("relative error of             du      dw1      dw2")
for name, wrong in mistakes.items():
    errors = (relative_error(a, b) for a, b in zip(wrong, right, strict=True))
    print(f"{name:24s}", *(f"{error:8.0%}" for error in errors))

# %% [markdown]
# * **The first four rows are invisible in the weights.** $dw_1$ and $dw_2$ are right to the last digit; only $du$ is
#   wrong. Who checks just the gradients of the parameters, as many do, sees nothing. *Check the gradient of the
#   input.*
# * **Averaging $ds$** is wrong everywhere below: the weights by the factor $HW = 12$ (an error of 92 %), and $du$
#   almost as if the squeeze path were missing, as its share has been divided by $HW$ twice.
# * Not gathering $ds$ at all would leave it with the shape of $u$, and the next function would refuse it. Mistakes
#   that change a shape are the friendly ones.
#
# ### The check that is too kind
#
# How large is the error when the squeeze path is missing? A third in this table, but that depends on $dy$. Below it is
# measured on square maps of growing size: once for a $dy$ of white noise, as gradient checks use it, and once for a
# $dy$ that is the same at all pixels of a map. The latter is what the last block of a real network receives, because
# behind it stands a global average pooling, whose gradient is constant over the map (page 2).

# %%
print("map        white noise    constant over the map")
for size in (2, 4, 8, 16, 32):
    errors = {"noise": [], "constant": []}
    for seed in range(20):
        rng = np.random.default_rng(seed)
        maps = rng.normal(size=(4, size, size, 8)) + rng.normal(size=(4, 1, 1, 8))
        first = rng.normal(size=(4, 8)) * np.sqrt(2 / 8)
        second = rng.normal(size=(8, 4)) * np.sqrt(2 / 4)
        gates = excite(squeeze(maps), first, second)[:, None, None, :]
        noise = rng.normal(size=maps.shape)
        constant = np.broadcast_to(rng.normal(size=(4, 1, 1, 8)), maps.shape)
        for kind, upstream in (("noise", noise), ("constant", constant)):
            truth = se_backward(upstream, maps, first, second)[0]
            errors[kind].append(relative_error(upstream * gates, truth))
    noise, constant = map(np.median, errors.values())
    print(f"{size:2d} x {size:2d}    {noise:11.1%}    {constant:21.0%}")

# %% [markdown]
# Under white noise the missing path fades as the maps grow, for $ds$ sums up numbers of random sign. On maps of 32 x
# 32 pixels an error of half a percent remains: somebody with a tolerance of one percent, "because of the kinks", will
# pass a gradient that is wrong by a third when it matters. Three remedies, and npse uses all of them: small maps,
# float64 with a tight tolerance, and all entries of all arguments.
#
# ### In place
#
# `dy *= s[:, None, None, :]` saves an array, and computes the right direct path. But $dy$ does not belong to the
# block. In a residual network, the shortcut waits for the same array:

# %%
shortcut = dy.copy()
careless = shortcut                                 # another name, the same memory
gates = excite(squeeze(case["u"]), case["w1"], case["w2"], case["b1"], case["b2"])
careless *= gates[:, None, None, :]
print(f"gradient that the shortcut finds: error {relative_error(shortcut, dy):.0%}")

# %% [markdown]
# No gradient check of the block alone can see that. A check of its manners can: the judge above compares all arguments
# before and after.

# %% [markdown]
# ## What is saved
#
# For the backward pass, npse keeps:
#
# | array | shape | why |
# |---|---|---|
# | $u$ | `(N, H, W, C)` | factor of $s$ in equation (4): $ds = \sum dy \cdot u$ |
# | $s$ | `(N, C)` | factor of $u$ in equation (4), and slope of the sigmoid |
# | $z$, weights | small | for excitation, see page 3 |
#
# $u$ is the one large array. Could it be spared, since $u = y / s$ and $y$ is kept by the next layer anyway? Not
# safely. Where a gate is nearly shut, $y$ is nearly 0, and dividing by $s$ turns rounding into noise; and after an
# in-place ReLU, $y$ itself is gone. What is cheap is recomputed: `se_backward` takes $u$ and the weights only, and
# makes $z$ and $s$ again, which costs one pass over $u$.

# %% [markdown]
# ## Full circle
#
# The gradient has reached $u$, and $u$ was made by a convolution. So here are all four pages in a few lines: pixels,
# maps, averages, gates, recalibrated maps, and back to the filter that page 1 started with.

# %% tags=["varies"]
x = np.zeros((1, 3, 3, 2))
x[0, :, :, 0] = [[0, 2, 2], [0, 2, 0], [3, 3, 3]]
x[0, :, :, 1] = [[0, 0, 3], [1, 0, 0], [0, 2, 2]]
w = np.zeros((2, 2, 2, 2))
w[:, :, 0, 0], w[:, :, 1, 0] = [[-2, 2], [0, 0]], [[0, 0], [0, 2]]
w[:, :, 0, 1], w[:, :, 1, 1] = [[0, -2], [0, 2]], [[0, 0], [0, 1]]
dy = np.zeros((1, 2, 2, 2))
dy[0, :, :, 0], dy[0, :, :, 1] = [[2, 1], [1, -1]], [[1, 4], [2, -1]]

u = conv2d(x, w)                                    # (1)
y = se(u, w1, w2)                                   # (2), (3), (4)
du = se_backward(dy, u, w1, w2)[0]                  # both paths
dw = conv2d_backward_w(du, x, w.shape)              # and on to the filters

truth = numeric_gradient(lambda w: se(conv2d(x, w), w1, w2), w, dy)
print(f"dw: {dw.size} entries, relative error {relative_error(dw, truth):.0e}")
assert relative_error(dw, truth) < 1e-8

# %% [markdown]
# ## Questions
#
# **1.** What is the block, and what is its gradient, if $W_2 = 0$ and there are no biases?
#
# <details><summary>Answer</summary>
#
# All gates are $\sigma(0) = 1/2$, so the block halves its input. The squeeze path is zero, since $dh = da_2 W_2 = 0$;
# so $du = dy / 2$, and $dw_1 = 0$. But $dw_2 = da_2^T h$ is not zero, and that gets the training going.
#
# </details>
#
# <br>
#
# **2.** At the start of training the gates are near $1/2$. What does this do to the size of the branch, and why does
# nobody mind?
#
# <details><summary>Answer</summary>
#
# Its values are halved, its variance is quartered. The shortcut is not, so a residual block begins somewhat closer to
# the identity, which does no harm; and the layers that follow can make up for it.
#
# </details>
#
# <br>
#
# **3.** Someone trains with $s$ taken as a constant in the backward pass of $u$ (in PyTorch: squeezing `u.detach()`).
# Which parameters of the network still receive right gradients?
#
# <details><summary>Answer</summary>
#
# $W_1$ and $W_2$ of the *last* block, and everything above it. All that lies below receives its gradient through $du$,
# which is wrong: the filters that make $u$ are never told that they also serve as evidence for the gates.
#
# </details>
#
# <br>
#
# **4.** For a 1 x 1 map with $C = 1$ and no ReLU in the way, the block is $y = u \ \sigma(k u)$ with $k = w_2 w_1$.
# Differentiate it with school calculus and find the two paths.
#
# <details><summary>Answer</summary>
#
# The product rule: $y' = \sigma(ku) + u \ k \ \sigma(ku)(1 - \sigma(ku))$. The first summand is the direct path, the
# second the squeeze path with $HW = 1$. (For $k = 1$ this function is known as SiLU or swish. A channel that gates
# itself is a smooth ReLU.)
#
# </details>
#
# ## Now write it yourself
#
# Exercise 5 is `scale` with its gradient, exercise 6 the whole block with both paths. In a terminal:
#
#     npse exercise start 5
#     npse exercise start 6
#     npse exercise check 6
#
# ## Next
#
# The block is complete, forwards and backwards. A network needs a few more parts around it, above all batch norm,
# whose gradient holds a surprise of the same kind: there, too, each pixel influences the result on more than one path.
# But first, [page 5, is my gradient right?](05_is_my_gradient_right.ipynb): how far one can trust the measurements
# that every page so far has relied on.
