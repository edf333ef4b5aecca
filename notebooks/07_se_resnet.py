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
# # 7 · SE-ResNet: putting it together
#
# [arXiv 1709.01507](https://arxiv.org/abs/1709.01507), section 3 and equation (5) · 45 minutes
#
# [One block](#One-block) ·
# [The way of the gradient](#The-way-of-the-gradient) ·
# [The network, layer by layer](#The-network,-layer-by-layer) ·
# [What it costs](#What-it-costs) ·
# [Checking a whole network](#Checking-a-whole-network) ·
# [Typical mistakes](#Typical-mistakes) ·
# [Questions](#Questions) ·
# [Now write it yourself](#Now-write-it-yourself) ·
# [Next](#Next)
#
# Convolution, squeeze, excitation, scale, batch norm, join: you have been through each of them, forwards and
# backwards. A network is what you get by putting them in a row, and nothing new is needed for its gradient. That is
# the message of this page. *If every part can take a gradient and hand one on, so can the whole.*
#
# By the end you will have built a residual block from the functions of pages 1 to 6, found it inside SE-ResNet-20,
# counted its parameters with a pencil, and checked the gradients of all weights of a network at once.

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

from npse import backend, models
from npse import reference as ops
from npse.bench import cost
from npse.gradcheck import KinkRecorder, check_direction, check_gradient
from npse.layers.residual import Residual
from npse.layers.sequential import Sequential, SequentialBackward
from npse.notebook import Play, Source, Worked, numeric_gradient, relative_error
from npse.notebook.figures import se_resnet as figures
from npse.reference import se, se_backward

# %% [markdown]
# ## One block
#
# Two convolutions, each with a batch norm, and a ReLU between them: this is the **branch**. At its end stands the
# squeeze-and-excitation block. The **shortcut** takes the input $x$ around all that. Then comes the sum, and a ReLU.

# %%
Play(
    figures.block, gradient=True,
    placement=["standard", "pre", "post", "identity", "3x3"],
)

# %% [markdown]
# The paper tried five places for the excitation, and with a running kernel you can see them all. They differ little in
# accuracy, except for *post*, which is worse: there the gates act on the shortcut, too, and the way that is not
# multiplied is lost (page 6). npse offers all five as `placement=`.
#
# Here is a block in the functions of the book, all in one piece. `p` holds the weights by name. Besides $y$ it returns
# a *function*, `backward`, and that function remembers everything it needs:


# %%
def block(x, p):
    a = ops.conv2d(x, p["conv1"], padding=1)
    h, *statistics1 = ops.batch_norm_relu(a, p["gamma1"], p["beta1"])
    b = ops.conv2d(h, p["conv2"], padding=1)
    u, *statistics2 = ops.batch_norm(b, p["gamma2"], p["beta2"])
    v = ops.se(u, p["w1"], p["w2"])
    y = ops.add_relu(v, x)

    def backward(dy):
        d = {}
        dv, dshortcut = ops.add_relu_backward(dy, y)
        du, d["w1"], d["w2"], _, _ = ops.se_backward(dv, u, p["w1"], p["w2"])
        db, d["gamma2"], d["beta2"] = ops.batch_norm_backward(
            du, b, p["gamma2"], *statistics2)
        d["conv2"] = ops.conv2d_backward_w(db, h, p["conv2"].shape, padding=1)
        dh = ops.conv2d_backward_x(db, p["conv2"], h.shape, padding=1)
        da, d["gamma1"], d["beta1"] = ops.batch_norm_relu_backward(
            dh, a, p["gamma1"], p["beta1"], *statistics1)
        d["conv1"] = ops.conv2d_backward_w(da, x, p["conv1"].shape, padding=1)
        dx = ops.conv2d_backward_x(da, p["conv1"], x.shape, padding=1)
        return dx + dshortcut, d

    return y, backward


# %% [markdown]
# Read `backward` from top to bottom and the forward pass from bottom to top, and you read the same list. Every line of
# one has its line in the other. The only line with a thought in it is the last: $x$ was used twice, so two gradients
# come home and are added.
#
# The line with `se` is page 4, all of it:

# %%
Source(se, se_backward)

# %% [markdown]
# Is it right? Eight arrays of weights and the input, entry by entry:

# %% tags=["varies"]
rng = np.random.default_rng(4)
C, M = 4, 2
shapes = {
    "conv1": (3, 3, C, C), "gamma1": (C,), "beta1": (C,),
    "conv2": (3, 3, C, C), "gamma2": (C,), "beta2": (C,),
    "w1": (M, C), "w2": (C, M),
}
p = {name: rng.normal(size=shape) / 2 for name, shape in shapes.items()}
x = rng.normal(size=(2, 3, 5, C))


def forward(x, **p):
    return block(x, p)[0]


def gradients(dy, x, **p):
    dx, d = block(x, p)[1](dy)
    return {"x": dx, **d}


report = check_gradient(forward, gradients, {"x": x, **p})
print(f"{len(report.results)} checks, {len(report.failures)} failures")
print(report.results[0])
assert report.ok

# %% [markdown]
# ## The way of the gradient
#
# Such a function that remembers is called a **closure**, and in npse every layer returns one: `y, backward =
# layer(x)`. Layers in a row are then easy. Forwards, call each and keep its `backward`. Here is the code that does it,
# as it is shipped. `normalized` calls a convolution and the batch norm after it, which share their passes over memory.

# %%
Source(Sequential.__call__)

# %% [markdown]
# Backwards, call those in reverse order. The names of the weights grow on the way back: `weight` becomes
# `conv1.weight`, then `0.conv1.weight`, then `layer1.0.conv1.weight`.

# %%
Source(SequentialBackward.__call__)

# %% [markdown]
# And this is a branch with its shortcut. `end` is the last convolution with all that follows it: batch norm,
# excitation, sum and ReLU. Its backward returns two gradients, `dh` for the branch and `dr` for the shortcut.
# `start_backward.add` carries one further and adds the other.

# %%
Source(Residual.__call__)

# %% [markdown]
# There is no tape, no graph, no engine that looks for the way back. The program that went forwards has left the way
# back behind it.

# %% [markdown]
# ## The network, layer by layer
#
# SE-ResNet-20, for pictures of 32 x 32 pixels: one convolution, three stages of three blocks, an average over each map
# (page 2 under its other name), and a dense layer with ten outputs. At the start of the second and the third stage,
# the first convolution has stride 2: the maps get half as high and wide, and twice as many. Three stages of three
# blocks of two convolutions, one at the start and the dense layer: twenty.

# %%
network = models.se_resnet20()
counted = cost.counted("se_resnet20", {})
print("layer     output of one picture    parameters   multiply-adds")
for row in cost.grouped(counted["layers"], 2):
    size = " x ".join(str(n) for n in row["output"][1:])
    numbers = f"{row['parameters']:12,} {row['multiply_adds']:15,}"
    print(f"{row['layer']:9s} {size:22s} {numbers}")
totals = cost.totals(counted["layers"])
whole, share = totals["network"], totals["share"]
print(f"{'in all':32s} {whole['parameters']:12,} {whole['multiply_adds']:15,}")
weights = network.named_parameters().values()
assert whole["parameters"] == sum(w.size for w in weights)

# %%
figures.where_it_goes(cost.grouped(counted["layers"], 1))

# %% [markdown]
# The parameters are at the end, where there are many channels. The arithmetic is everywhere: half the pixels in each
# direction and twice the channels in and out, and the products are as many as before.
#
# One picture on its way through. The numbers are the mean gate in each block of this untrained network; page 9 shows
# what they become.

# %% tags=["varies"]
picture = np.random.default_rng(0).normal(size=(1, 32, 32, 3)).astype(np.float32)
seen = []


def watch(op, arguments, result):
    if op == "excite":
        seen.append(float(result.mean()))


with backend.observing(watch):
    logits, _ = network(picture)
print("gates:", *(f"{gate:.2f}" for gate in seen))
assert len(seen) == 9
assert logits.shape == (1, 10)

# %% [markdown]
# ## What it costs
#
# The paper counts what the excitations add: two matrices for each block, $W_1$ with $C/r$ rows of $C$ numbers, and
# $W_2$ with as many. For $S$ stages, with $N_s$ blocks of $C_s$ channels in stage $s$:
#
# $$\frac{2}{r} \sum_{s=1}^{S} N_s \cdot {C_s}^2 \qquad (5)$$
#
# ### For this network, with a pencil
#
# Three stages of three blocks with 16, 32 and 64 channels, and npse's usual reduction of 4:
#
# $$P = \frac{2}{4} \cdot (3 \cdot 16^2 + 3 \cdot 32^2 + 3 \cdot 64^2) = \frac{2}{4} \cdot (768 + 3072 + 12288) =
# 8064$$
#
# Compare one convolution, the last of the network, with 3 x 3 taps from 64 to 64 channels:
# $3 \cdot 3 \cdot 64 \cdot 64 = 36864$ weights. All nine excitations together have less than a quarter of that.
#
# ### For SE-ResNet-50, with a pencil
#
# There a block ends in 256, 512, 1024 and 2048 channels, and there are 3, 4, 6 and 3 of them. The paper takes a
# reduction of 16:
#
# $$Q = \frac{2}{16} \cdot (3 \cdot 256^2 + 4 \cdot 512^2 + 6 \cdot 1024^2 + 3 \cdot 2048^2)$$
#
# $$Q = \frac{2}{16} \cdot (196608 + 1048576 + 6291456 + 12582912) = 2514944$$
#
# This is the paper's "2.5 million additional parameters", beyond the 25 million of ResNet-50.


# %%
def added(network):
    weights = network.named_parameters()
    return sum(w.size for name, w in weights.items() if ".se." in name)


worked = Worked({
    "P": added(models.se_resnet20(reduction=4)),
    "Q": added(models.se_resnet50(reduction=16, bias=False)),
})
worked

# %% [markdown]
# Change the reduction, and see both networks. The vertical axis is in percent of the network without excitations:

# %%
Play(figures.equation_5, reduction=(4, 1, 32))

# %% [markdown]
# And the arithmetic? Nearly nothing:

# %%
for key in ("parameters", "multiply_adds", "bytes"):
    print(f"{key.replace('_', '-'):14s} {share[key]:.2%} is for excitations")

# %% [markdown]
# So the excitations cost 3 % of the parameters and half a percent of the multiplications. In *time* it is more than
# that, as always when little is computed with much memory: for SE-ResNet-50 about 4 % where the multiply-adds are
# 0.33 %. [docs/cost.md](../docs/cost.md) has the measurement, with its conditions.

# %% [markdown]
# ## Checking a whole network
#
# SE-ResNet-20 has 280 538 weights. An entry-by-entry check would need twice as many forward passes. But a gradient is
# a promise about *every* direction: if all weights move at once along a direction $V$, the loss changes by the sum of
# gradient times $V$. That takes two forward passes:
#
# $$\sum_{w} dw \cdot V_w \approx \frac{L(w + h V) - L(w - h V)}{2h}$$
#
# One direction for each array, and one through all of them. An error in a single entry of a million may hide in it; an
# error in a *formula* does not, because it moves everything. There are kinks, of course: with a thousand ReLUs a step
# nearly always crosses some. So the check records on which side each of them is, and if one changes, it takes another
# direction with a smaller step.
#
# First with a small SE-ResNet, three blocks, in float64:

# %%
rng = np.random.default_rng(0)
small = models.se_resnet8(widths=(4, 6, 8), image_size=8).astype(np.float64)
start = small.named_parameters()
small.update({key: w + 0.2 * rng.normal(size=w.shape) for key, w in start.items()})
parameters = small.named_parameters()
x, labels = rng.normal(size=(3, 8, 9, 3)), np.array([1, 7, 3])


def loss(parameters):
    small.update(parameters)
    logits, _ = small(x)
    return ops.softmax_cross_entropy(logits, labels)


recorder = KinkRecorder()
with backend.observing(recorder):
    logits, backward = small(x)
    dlogits = ops.softmax_cross_entropy_backward(1.0, logits, labels)
    dx, gradients = backward(dlogits)
    report = check_direction(loss, parameters, gradients, recorder)
print(f"{len(gradients)} arrays, {sum(g.size for g in gradients.values())} weights")
print(f"{len(report.results)} directions, {len(report.failures)} failures")
assert report.ok
assert len(gradients) == 35

# %% [markdown]
# Would it notice anything? Three mistakes, planted into the gradients: one array too large by a percent, one filter
# upside down, and one weight out of a matrix forgotten.

# %%
mistakes = "too large", "upside down", "one entry"
planted = {mistake: dict(gradients) for mistake in mistakes}
name = "layer2.0.se.fc1.weight"
planted["too large"][name] = 1.01 * gradients[name]
name = "layer1.0.conv1.weight"
planted["upside down"][name] = gradients[name][::-1].copy()
name = "fc.weight"
planted["one entry"][name] = gradients[name].copy()
planted["one entry"][name][3, 5] = 0

for mistake, wrong in planted.items():
    with backend.observing(recorder):
        report = check_direction(loss, parameters, wrong, recorder)
    found = ", ".join(result.argument for result in report.failures)
    print(f"{mistake:12s} found in: {found}")
    assert not report.ok

# %% [markdown]
# It names the array, though not the mistake: for that, take the op that made it, and ask as on page 5. This is the
# usual order of work. The whole network first, as it is fast; if it is wrong, the parts.

# %% [markdown]
# ## Typical mistakes
#
# ### A layer that remembers only the last call
#
# Many keep what backward needs in the layer itself, `self.x = x`. Then call the layer twice before going back, as one
# does with shared weights, or with two views of a picture:


# %%
class Remembers:
    def __call__(self, z, w):
        self.z, self.w = z, w
        return ops.dense(z, w)

    def backward(self, dy):
        return ops.dense_backward(dy, self.z, self.w)[1]


def returns_a_closure(z, w):
    return ops.dense(z, w), lambda dy: ops.dense_backward(dy, z, w)[1]


rng = np.random.default_rng(8)
first, second, w = (rng.normal(size=shape) for shape in ((5, 3), (5, 3), (4, 3)))
dy = rng.normal(size=(5, 4))
truth = numeric_gradient(lambda w: ops.dense(first, w), w, dy)

layer = Remembers()
layer(first, w)
layer(second, w)
_, backward = returns_a_closure(first, w)
returns_a_closure(second, w)
ours = {"kept in the layer": layer.backward(dy), "closure": backward(dy)}
for name, dw in ours.items():
    right = relative_error(dw, truth) < 1e-6
    print(f"{name:18s}", "right" if right else "wrong: that of the second call")

# %% [markdown]
# ### Too few hidden units
#
# With 16 channels and the paper's reduction of 16, one hidden unit is left. At the start its ReLU is shut for about
# half of the pictures, and then *all* gates are exactly $\sigma(0) = 1/2$, and nothing below learns anything from
# them:

# %%
rng = np.random.default_rng(9)
for hidden in (1, 2, 4):
    shut = []
    for _ in range(200):
        z = rng.normal(size=(64, 16))
        w1 = rng.normal(size=(hidden, 16)) * np.sqrt(2 / 16)
        w2 = rng.normal(size=(16, hidden)) * np.sqrt(2 / hidden)
        shut.append(np.mean(np.all(ops.excite(z, w1, w2) == 0.5, axis=1)))
    share = np.mean(shut)
    print(f"{hidden} hidden: for {share:.0%} of the pictures all gates are 1/2")

# %% [markdown]
# Hence npse's default: a reduction of 4, and never fewer than 4 hidden units.

# %% [markdown]
# ## Questions
#
# **1.** The first convolution of a stage halves the map and doubles the channels. What happens to the shortcut there?
#
# <details><summary>Answer</summary>
#
# The sum needs two arrays of one shape, so the shortcut must change, too. npse takes a 1 x 1 convolution with stride 2
# and a batch norm (`downsample`); `shortcut="identity"` takes every second pixel and adds channels of zeros, without
# any weights.
#
# </details>
#
# <br>
#
# **2.** In SE-ResNet-50 the last stage has 12.6 of the 20.1 million squares in equation (5). The paper tried to
# leave its excitations out. What does that save, and what may it cost?
#
# <details><summary>Answer</summary>
#
# 62.5 % of the additional parameters: with r = 16, about 1.57 of 2.51 million. The paper puts the price at less than
# 0.1 % of top-5 error. Page 9 asks a network the same question.
#
# </details>
#
# <br>
#
# **3.** `backward` of a network returns `dx`, the gradient for the picture, which training does not need. What would
# one use it for, and what does npse do about its cost?
#
# <details><summary>Answer</summary>
#
# For checking; for seeing which pixels matter; for pictures that fool the network. In training the first convolution
# is built with `input_gradient=False` and returns None in its place, which spares one of the larger operations.
#
# </details>
#
# ## Now write it yourself
#
# Exercise 6 is the block inside the block: `se` and `se_backward`, both paths. In a terminal:
#
#     npse exercise start 6
#     npse exercise check 6
#
# ## Next
#
# The network stands, and its gradient is right. [Page 8, training](08_training.ipynb): it learns.
