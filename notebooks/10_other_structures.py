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
# # 10 · Other structures, and one of your own
#
# *Squeeze-and-Excitation Networks* ([arXiv 1709.01507](https://arxiv.org/abs/1709.01507)) and later · 45 minutes
#
# [One frame](#One-frame) ·
# [A table of structures](#A-table-of-structures) ·
# [Who hears whom](#Who-hears-whom) ·
# [A filter over the channels](#A-filter-over-the-channels) ·
# [Channels that compete](#Channels-that-compete) ·
# [One of your own](#One-of-your-own) ·
# [Into a network](#Into-a-network) ·
# [Better or not](#Better-or-not) ·
# [Typical mistakes](#Typical-mistakes) ·
# [Questions](#Questions) ·
# [Now write it yourself](#Now-write-it-yourself) ·
# [Next](#Next)
#
# [Page 3](03_excitation.ipynb) computed the gates with two dense layers. Is that the only way? No. People have put a
# short filter there, a normalization, one weight for each channel, or nothing at all. npse has 25 such structures. On
# this page we look at what they have in common, derive the gradients of two, and then invent one.
#
# At the end you will have written a structure with its gradient, had it judged, put it into a network, and trained
# it. And you will know why a short run does not tell you whether it is any good.

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
import textwrap

import numpy as np

import npse
from npse import data, models
from npse.gradcheck import check_gradient
from npse.lab.comparison import paired
from npse.layers.excitation import SqueezedGates
from npse.layers.excitations import EXCITATIONS
from npse.notebook import Play, Source, Worked, numeric_gradient, relative_error
from npse.notebook.figures import other_structures as figures
from npse.reference import (
    channel_conv,
    channel_conv_backward,
    channel_rms,
    channel_rms_backward,
)
from npse.training import evaluate
from npse.training.optimizer import SGD
from npse.training.schedule import one_cycle

# %% [markdown]
# ## One frame
#
# Most structures fit into one frame. A *squeeze* turns the maps $u$ into one number for each channel, $z$. A
# *structure* turns $z$ into as many numbers $a$, the logits. A *gate*, here the sigmoid, turns $a$ into gates $s$.
# Then the maps are scaled.

# %%
figures.frame()

# %% [markdown]
# Blue goes forwards, orange comes back. The two paths of the gradient to $u$, the subject of
# [page 4](04_scale_and_block.ipynb), belong to the frame. Whatever stands in the dashed box, they stay the same. So a
# new structure has to bring very little:
#
# * forwards: from $z$ to $a$, both `(N, C)`;
# * backwards: from $da$ to $dz$, and to the gradients of its own parameters.
#
# That is why inventing a structure is a matter of twenty lines.

# %% [markdown]
# ## A table of structures
#
# $C$ is the number of channels, $r$ the reduction, $K$ the length of a filter.
#
# | name | what it computes | parameters of a block | who |
# |---|---|---|---|
# | `se` | $a = W_2 \ \delta(W_1 z)$ | $2 C^2 / r$ | the paper |
# | `none` | $a = z$ | 0 | SE-Var1 in arXiv 1910.03151 |
# | `per_channel` | $a_c = w_c \ z_c$ | $C$ | SE-Var2, same place |
# | `dense` | $a = W z$ | $C^2$ | SE-Var3, same place |
# | `grouped_dense` | the same in $r$ groups of channels | $C^2 / r$ | SE-GC, same place |
# | `eca` | a filter of $K$ weights slides over the channels | $K$ | arXiv 1910.03151 |
# | `lct` | $a_c = w_c \ \hat{z}_c + b_c$, with $z$ normalized in groups | $2C$ | arXiv 1909.03834 |
# | `gct` | $s_c = 1 + \tanh(\gamma_c \ y_c + \beta_c)$, $y$ as derived below | $3C$ | arXiv 1909.11519 |
# | `srm` | $a = BN(w \cdot \text{mean} + v \cdot \text{deviation})$ | $4C$ | arXiv 1903.10829 |
# | `cbam` | two dense layers for mean and maximum, then a gate for each pixel | $2 C^2 / r + 100$ | arXiv 1807.06521 |
# | `sse` | a gate for each pixel, from all its channels | $C$ | arXiv 1803.02579 |
#
# The whole list, with squeezes and gates to combine them with, is in
# [Structures in place of the two dense layers](../docs/excitations.md). What a table claims can be counted. ResNet-20
# has three blocks of 16, three of 32 and three of 64 channels; npse takes $r = 4$:

# %%
formulas = {
    "se": lambda C: 2 * C * C // 4,
    "none": lambda C: 0,
    "per_channel": lambda C: C,
    "dense": lambda C: C * C,
    "grouped_dense": lambda C: C * C // 4,
    "eca": lambda C: 3,                                 # K = 3 up to 64 channels
    "lct": lambda C: 2 * C,
    "gct": lambda C: 3 * C,
    "srm": lambda C: 4 * C,
    "cbam": lambda C: 2 * C * C // 4 + 100,
    "sse": lambda C: C,
}


def size(network):
    return sum(w.size for w in network.named_parameters().values())


plain = size(models.resnet20())
counts = {}
for name, formula in formulas.items():
    counts[name] = size(models.se_resnet20(excitation=name)) - plain
    assert counts[name] == 3 * sum(formula(C) for C in (16, 32, 64)), name
print(f"ResNet-20 has {plain:,} parameters. The structures add:")
figures.parameters(counts)

# %% [markdown]
# From nothing at all to sixteen thousand, and all of them do the same job. This is the question that occupied people
# after the paper: how much of the two dense layers is needed?

# %% [markdown]
# ## Who hears whom
#
# A good way to see what a structure is: nudge $z$ of one channel and watch which logits move. That gives a matrix, a
# row for each logit, a column for each channel that was nudged. Here it is for eight channels and random weights:

# %%
figures.who_hears_whom()

# %% [markdown]
# * `dense` lets every channel hear every other one. It is the most general linear structure, and the dearest.
# * `grouped_dense` has walls: within a group everybody hears everybody, and nobody hears through a wall.
# * `eca` hears its neighbours only. Neighbours in what sense? Channels have no natural order; the network arranges
#   its channels while it learns, so that the right ones become neighbours. That is a strange idea, and it works.
# * `per_channel` hears itself.
# * `se` looks as full as `dense`, but it is poorer and richer. Poorer, since it has a narrow middle: here two hidden
#   units, so at most two different kinds of row. Richer, since it has a ReLU: the matrix depends on the picture.
# * `gct` has a strong diagonal and a pale rest. Each channel hears all others, through one number: their size.
#
# Choose a structure and compare two pictures. If both matrices are equal, the structure is linear. Start with `se`,
# then take `eca`, then `gct`:

# %%
Play(figures.two_images, structure=["se", "eca", "gct", "dense", "per_channel"],
     channels=[8, 16])

# %% [markdown]
# ## A filter over the channels
#
# Efficient channel attention (`eca`) is page 1 in one dimension. A filter $w$ of $K$ weights, $K$ odd, slides over the
# channels. Beyond the ends there are $p = (K - 1) / 2$ zeros; with them, $z$ is called $\tilde{z}$:
#
# $$a[n,c] = \sum_{k} w[k] \ \tilde{z}[n,c + k]$$
#
# All channels share the same few weights. So what has $w[k]$ touched? *Every* logit of *every* picture. Hence a sum
# over both:
#
# $$dw[k] = \sum_{n, c} da[n,c] \ \tilde{z}[n,c + k]$$
#
# And what has $z[n,j]$ touched? Up to $K$ logits. It entered logit $c$ with the weight $w[k]$ for which
# $c + k - p = j$, that is $c = j - k + p$. With $p$ zeros around $da$ as well:
#
# $$dz[n,j] = \sum_{k} w[k] \ d\tilde{a}[n,j - k + 2p]$$
#
# The minus sign before $k$ says that the filter is *mirrored* on the way back, as on page 1.
#
# ### With a pencil: a filter
#
# Four channels, $z = (3, 2, 0, 1)$, and $K = 3$ weights $w = (1, 2, -1)$. With a zero at each end:
#
# $$a = (0 + 2 \cdot 3 - 2, \ 3 + 2 \cdot 2 - 0, \ 2 + 2 \cdot 0 - 1, \ 0 + 2 \cdot 1 - 0) = (4, 7, 1, 2)$$
#
# Let $da = (1, 0, -1, 2)$ come back. For $dz_1$: the first channel entered logit 1 with the weight 2 in the middle,
# and logit 2 with the first weight, 1. And so on, always with the mirrored filter $(-1, 2, 1)$:
#
# $$dz = (2 \cdot 1 + 1 \cdot 0, \ -1 \cdot 1 + 2 \cdot 0 + 1 \cdot (-1), \ -1 \cdot 0 + 2 \cdot (-1) + 1 \cdot 2, \
# -1 \cdot (-1) + 2 \cdot 2) = (2, -2, 0, 5)$$
#
# For the weights, $da$ meets $z$, moved by one to the right, not moved, and moved by one to the left:
#
# $$dw = (0 \cdot 3 - 1 \cdot 2 + 2 \cdot 0, \ 1 \cdot 3 + 0 \cdot 2 - 1 \cdot 0 + 2 \cdot 1, \
# 1 \cdot 2 + 0 \cdot 0 - 1 \cdot 1) = (-2, 5, 1)$$

# %%
z = np.array([[3.0, 2.0, 0.0, 1.0]])
w = np.array([1.0, 2.0, -1.0])
da = np.array([[1.0, 0.0, -1.0, 2.0]])
dz, dw = channel_conv_backward(da, z, w)
worked = Worked({
    "z": z[0], "w": w, "K": len(w), "a": channel_conv(z, w)[0],
    "da": da[0], "dz": dz[0], "dw": dw,
})
worked

# %% [markdown]
# ### The filter as shipped

# %%
Source(channel_conv, channel_conv_backward)

# %% [markdown]
# `dz` is *the same op* once more, with `w[::-1]`. A gradient that is an old friend in disguise: that saves a function,
# and it is a good test of one's derivation.

# %% [markdown]
# ## Channels that compete
#
# The heart of `gct` is a normalization. Each picture's numbers are divided by their root mean square over the
# channels. So a channel is large only *in comparison with the others*:
#
# $$r[n]^2 = \frac{1}{C} \sum_{c} z[n,c]^2 \qquad y[n,c] = z[n,c] / r[n]$$
#
# (The code adds a tiny `eps` under the root, so that $z = 0$ does not divide by zero.) Now $z[n,j]$ has touched two
# things: its own $y[n,j]$, and $r[n]$, through which it has touched *all* $y$ of the picture. Two paths, again. The
# direct one is $dy[n,j] / r[n]$. For the other, $r[n]$ collects first what all channels send it, and since
# $\partial y / \partial r = -y / r$ and $\partial r / \partial z = y / C$, both put together give
#
# $$dz[n,j] = \frac{1}{r[n]} \left( dy[n,j] - y[n,j] \ \frac{1}{C} \sum_{c} dy[n,c] \ y[n,c] \right)$$
#
# ### With a pencil: a normalization
#
# Two channels, $z = (1, 7)$.
#
# $$q = \frac{1 \cdot 1 + 7 \cdot 7}{2} = \frac{50}{2} = 25 \qquad r = 5 \qquad
# y = (\frac{1}{5}, \frac{7}{5}) = (0.2, 1.4)$$
#
# where $q$ is $r^2$. Let $dy = (5, 0)$ come back: only the first channel is asked to shrink. What $r$ collects is
#
# $$g = \frac{5 \cdot 0.2 + 0 \cdot 1.4}{2} = 0.5$$
#
# $$dz = (\frac{5 - 0.2 \cdot 0.5}{5}, \ \frac{0 - 1.4 \cdot 0.5}{5}) = (0.98, -0.14)$$
#
# The second channel gets a gradient although nobody asked anything of it: if it grows, $r$ grows, and the first one
# shrinks. And there is a check by eye. If all of $z$ is doubled, $y$ does not change. So a step along $z$ itself must
# not change the loss:
#
# $$t = 1 \cdot 0.98 + 7 \cdot (-0.14) = 0$$

# %%
z = np.array([[1.0, 7.0]])
dy = np.array([[5.0, 0.0]])
y = channel_rms(z, eps=0.0)
dz = channel_rms_backward(dy, z, eps=0.0)
worked = Worked({
    "z": z[0], "q": np.mean(z**2), "r": (z / y)[0, 0], "y": y[0], "dy": dy[0],
    "g": np.mean(dy * y), "dz": dz[0], "t": np.sum(z * dz),
})
worked

# %% [markdown]
# ### The normalization as shipped

# %%
Source(channel_rms, channel_rms_backward)

# %% [markdown]
# Both judged, with random numbers:

# %%
rng = np.random.default_rng(0)
filtered = {"z": rng.normal(size=(3, 6)), "w": rng.normal(size=3)}
normalized = {"z": rng.normal(size=(3, 6)) + 1}
for forward, backward, case in (
    (channel_conv, channel_conv_backward, filtered),
    (channel_rms, channel_rms_backward, normalized),
):
    report = check_gradient(forward, backward, case)
    print(f"{forward.__name__}: {len(report.failures)} failures")
    assert report.ok

# %% [markdown]
# ## One of your own
#
# Here is an idea for a structure that is not in the table. A channel may be important not because it is large, but
# because it *stands out* from the rest. So let us subtract from each $z$ the mean over the channels, and give each
# channel one weight $t$ that says how much it cares:
#
# $$m[n] = \frac{1}{C} \sum_{c} z[n,c] \qquad a[n,c] = t[c] \ (z[n,c] - m[n])$$
#
# We call it `stand_out`. Take a pencil before you read on. The recipe is always the same: *what has it touched?*
#
# $t[c]$ has touched logit $c$ of every picture, with the slope $z[n,c] - m[n]$:
#
# $$dt[c] = \sum_{n} da[n,c] \ (z[n,c] - m[n])$$
#
# $z[n,j]$ has touched its own logit with the slope $t[j]$. And it has touched $m[n]$ with the slope $1/C$, and through
# it *all* logits of its picture, with the slopes $-t[c]$. With $e = t \cdot da$ for short:
#
# $$e[n,c] = t[c] \ da[n,c] \qquad dz[n,j] = e[n,j] - \frac{1}{C} \sum_{c} e[n,c]$$
#
# Two paths, for the third time on this page. A mean that is subtracted on the way forwards is subtracted on the way
# back.
#
# ### With a pencil: stand_out
#
# Let $z = (5, 2, 0, 1)$ and $t = (1, 2, -1, 2)$.
#
# $$m = \frac{5 + 2 + 0 + 1}{4} = 2 \qquad
# a = (1 \cdot 3, \ 2 \cdot 0, \ -1 \cdot (-2), \ 2 \cdot (-1)) = (3, 0, 2, -2)$$
#
# Let $da = (1, 1, -1, 0)$ come back.
#
# $$dt = (1 \cdot 3, \ 1 \cdot 0, \ -1 \cdot (-2), \ 0 \cdot (-1)) = (3, 0, 2, 0)$$
#
# $$e = (1 \cdot 1, \ 2 \cdot 1, \ -1 \cdot (-1), \ 2 \cdot 0) = (1, 2, 1, 0)$$
#
# The mean of $e$ is 1, so
#
# $$dz = (1 - 1, \ 2 - 1, \ 1 - 1, \ 0 - 1) = (0, 1, 0, -1)$$
#
# The numbers of $dz$ add up to 0. They must: if all of $z$ grows by the same amount, nothing stands out more than
# before.


# %%
def stand_out(z, t):
    """z (N, C), t (C,) -> a (N, C)."""
    return t * (z - z.mean(axis=1, keepdims=True))


def stand_out_backward(da, z, t):
    """Return dz (N, C) and dt (C,)."""
    dt = np.sum(da * (z - z.mean(axis=1, keepdims=True)), axis=0)
    e = t * da
    return e - e.mean(axis=1, keepdims=True), dt


z, t = np.array([[5.0, 2.0, 0.0, 1.0]]), np.array([1.0, 2.0, -1.0, 2.0])
da = np.array([[1.0, 1.0, -1.0, 0.0]])
dz, dt = stand_out_backward(da, z, t)
worked = Worked({
    "z": z[0], "t": t, "m": z.mean(), "a": stand_out(z, t)[0],
    "da": da[0], "dt": dt, "e": (t * da)[0], "dz": dz[0],
})
worked

# %% [markdown]
# A pencil shows one example. The judge shows many numbers, and it also looks at float32, at strange memory layouts,
# and at whether a function changes its arguments:

# %%
case = {"z": rng.normal(size=(3, 6)), "t": rng.normal(size=6)}
report = check_gradient(stand_out, stand_out_backward, case)
print(f"{len(report.results)} checks, {len(report.failures)} failures")
assert report.ok

# %% [markdown]
# ## Into a network
#
# A layer wraps the two functions. `SqueezedGates` is the frame from the head of this page: squeeze, gate, scale, and
# both paths of the gradient. We only say what stands in the box. Then the structure gets a name:


# %%
class StandOut(SqueezedGates):
    """A weight for each channel, 1 at first, for how far it stands out."""

    def __init__(self, channels, gate="sigmoid"):
        super().__init__(gate, {"weight": np.ones(channels, np.float32)})

    def logits(self, z):
        t = self.parameters["weight"]

        def backward(da):
            dz, dt = stand_out_backward(da, z, t)
            return dz, {"weight": dt}

        return stand_out(z, t), backward


EXCITATIONS["stand_out"] = StandOut

# %% [markdown]
# From now on `excitation="stand_out"` works wherever npse builds a network in this notebook. First the layer alone:
# does the gradient with respect to $u$ hold both paths of the frame, and does the weight get its own?

# %% tags=["varies"]
layer = StandOut(5)
layer.parameters["weight"] = rng.normal(size=5)
u, dy = rng.normal(size=(2, 3, 4, 5)), rng.normal(size=(2, 3, 4, 5))
du, gradients = layer(u)[1](dy)
truth = numeric_gradient(lambda u: layer(u)[0], u, dy)
print(f"du: error {relative_error(du, truth):.0e}")
assert relative_error(du, truth) < 1e-8


def of_weight(t):
    layer.parameters["weight"] = t
    return layer(u)[0]


truth = numeric_gradient(of_weight, layer.parameters["weight"].copy(), dy)
print(f"dt: error {relative_error(gradients['weight'], truth):.0e}")
assert relative_error(gradients["weight"], truth) < 1e-8

# %%
network = models.se_resnet8(excitation="stand_out")
names = [name for name in network.named_parameters() if ".se." in name]
print(*names, sep="\n")
print(f"{size(network) - size(models.resnet8())} parameters more than ResNet-8")

# %% [markdown]
# ## Better or not
#
# Now the dangerous part. We train small networks on the embedded pictures, reduced to 16 x 16 pixels so that a run
# takes a second or two: 30 steps of 128 pictures. Three networks: the paper's `se`, our `stand_out`, and a plain one.
# Three seeds each. A seed decides the first weights and the order of the pictures, nothing else.

# %% tags=["varies"]
ops = npse.use("cpu")               # compiled; the first run on a machine compiles
shapes = data.load("shapes")


def halved(images):
    """Average squares of 2 x 2 pixels."""
    N, H, W, C = images.shape
    squares = images.reshape(N, H // 2, 2, W // 2, 2, C)
    return squares.mean(axis=(2, 4)).astype(np.uint8)


small, small_test = halved(shapes.images), halved(shapes.test_images)
STEPS = 30


def train(seed, **options):
    """Train an SE-ResNet-8 for a few steps; return the share of right answers."""
    network = models.se_resnet8(seed=seed, input_gradient=False, **options)
    optimizer = SGD(network)
    network.train()
    batches = data.training_batches(small, shapes.labels, shapes.mean, shapes.std,
                                    batch_size=128, seed=seed, epoch=0, crop=2)
    for step, (x, labels) in zip(range(STEPS), batches, strict=False):
        logits, backward = network(x)
        dlogits = ops.softmax_cross_entropy_backward(np.float32(1), logits, labels)
        optimizer.step(backward(dlogits)[1], one_cycle(step, STEPS, peak=0.4))
    return evaluate(network, small_test, shapes.test_labels,
                    shapes.mean, shapes.std).accuracy


variants = {
    "se": {"excitation": "se"},
    "stand_out": {"excitation": "stand_out"},
    "plain": {"se": False},
}
accuracies = {}
for name, options in variants.items():
    accuracies[name] = {seed: train(seed, **options) for seed in (0, 1, 2)}
    values = " ".join(f"{value:7.1%}" for value in accuracies[name].values())
    print(f"{name:10s} {values}")

# %%
figures.seeds(accuracies)

# %% [markdown]
# (The numbers above are those of the machine that made this page. On yours the last digits of a sum may differ, and
# after 30 steps that has grown.)
#
# Look at the *rows* before you look at the columns. The same network, trained in the same way, reaches quite different
# accuracies with different seeds. Whoever had run only seed 0, or only the seed that suits them, could have told a
# story. What may be said is computed like this: compare each seed with the *same* seed of the baseline, take the mean
# of the differences, and ask how far it is to be trusted:

# %% tags=["varies"]
for name in ("stand_out", "plain"):
    found = paired(accuracies[name], accuracies["se"], comparisons=2)
    print(f"{name:9s} less se: {100 * found.mean:+.1f} points, "
          f"95 % interval {100 * found.low:+.1f} to {100 * found.high:+.1f}")

# %% [markdown]
# With three seeds an interval reaches 4.3 standard errors to each side, so it is wide. If it holds zero, these runs
# *cannot tell* the networks apart. That does not mean that they are equally good. And even if it does not hold zero,
# all that we have learned is about runs of 30 steps, on reduced pictures of discs and crosses. Early in training the
# ranking can be another than at the end.
#
# The honest experiment is the same thing, longer, and it is one command. It trains each network with several seeds,
# can be stopped and continued, and says in words what the numbers carry:
#
#     npse ablate structures --dry-run
#     npse ablate structures --seeds 0-4 --only eca
#
# [Experiments](../docs/experiments.md) explains the table that comes out. For the command to know `stand_out`, it has
# to live in a file and not in a notebook: [Add an excitation](../docs/add_an_excitation.md) shows the four blocks of
# code, and you have already written three of them.

# %% [markdown]
# ## Typical mistakes
#
# ### The forgotten mean
#
# The most tempting gradient of `stand_out` treats $m$ as a constant. The judge says what it sees:


# %% tags=["varies"]
def forgetful(da, z, t):
    return t * da, stand_out_backward(da, z, t)[1]


report = check_gradient(stand_out, forgetful, case)
print(textwrap.fill(str(report.failures[0]), 84))
print(f"{len(report.failures)} of {len(report.results)} checks failed")

# %% [markdown]
# ### How much is lost?
#
# The same slip in all three structures of this page: one path of two is missing, or the filter is not mirrored. The
# error of $dz$ for 4 to 256 channels, the median of twenty random cases:

# %%
print("channels   stand_out without m   gct without r   eca not mirrored")
for C in (4, 16, 64, 256):
    errors = []
    for seed in range(20):
        rng = np.random.default_rng(seed)
        z, da = rng.normal(size=(8, C)) + 1, rng.normal(size=(8, C))
        t, w = rng.normal(size=C), rng.normal(size=3)
        right = (stand_out_backward(da, z, t)[0], channel_rms_backward(da, z),
                 channel_conv_backward(da, z, w)[0])
        wrong = (t * da, da / np.sqrt(np.mean(z**2, axis=1, keepdims=True)),
                 channel_conv(da, w))
        errors.append([*map(relative_error, wrong, right)])
    first, second, third = np.median(errors, axis=0)
    print(f"{C:8d}   {first:19.1%}   {second:13.1%}   {third:16.1%}")

# %% [markdown]
# The first two fade as the channels grow: each channel's share in a mean is $1/C$, and random gradients cancel in it.
# A check on 256 channels with a generous tolerance would let them pass. *Check on few channels.* The mirrored filter
# does not fade; but it would be invisible with a symmetric filter. *Check with weights that have no symmetry.*
#
# ### A gate that cannot open
#
# A structure that begins with all weights 0 begins with all logits 0 and all gates $1/2$. For `stand_out` that is
# harmless: $dt$ is not zero, and training gets it going. For a product of two weights that are both 0 it would be the
# end, because each one's gradient is the other one. In the two dense layers of page 3 one of the matrices may be zero,
# never both.

# %% [markdown]
# ## Questions
#
# **1.** How many parameters would `eca` need for $C = 2048$ channels, and how many the two dense layers with $r = 16$?
#
# <details><summary>Answer</summary>
#
# The filter grows with the logarithm of the channels: npse takes $(\log_2 C + 1) / 2$, rounded down and made odd; for
# 2048 that is 6, made 7. The two dense layers need $2 \cdot 2048^2 / 16 = 524288$.
#
# </details>
#
# <br>
#
# **2.** In `stand_out`, what happens to the gates if one map becomes brighter everywhere, and what if all do?
#
# <details><summary>Answer</summary>
#
# If one does, its own $z - m$ grows by $(1 - 1/C)$ of the step, and that of each other one shrinks by $1/C$ of it. If
# all maps become brighter by the same amount, nothing changes. This structure cannot see how bright a picture is, and
# that may be an advantage or a loss. Only training tells.
#
# </details>
#
# <br>
#
# **3.** `gct` uses $1 + \tanh$ as its gate, and begins with $\gamma = \beta = 0$. What is the block then?
#
# <details><summary>Answer</summary>
#
# The identity: all gates are $1 + \tanh(0) = 1$. So it can be put into a network that is trained already without
# changing what the network says.
#
# </details>
#
# <br>
#
# **4.** Somebody trains `se` and `eca` with one seed each and finds 79.8 % and 80.0 %. What may they write?
#
# <details><summary>Answer</summary>
#
# That one run of each gave these numbers. With one seed there is no deviation, so there is no interval, so there is no
# comparison.
#
# </details>
#
# ## Now write it yourself
#
# Exercise 14 is the block with `eca` in place of the dense layers, forwards and backwards, both paths. In a terminal:
#
#     npse exercise start 14
#     npse exercise check 14
#
# ## Next
#
# The structures are cheap compared with the convolutions around them. [Page 11](11_five_speeds.ipynb) looks at one
# convolution, and makes it a thousand times as fast without changing a single result.
