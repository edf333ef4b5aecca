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
# # 9 · What the gates learned
#
# *Squeeze-and-Excitation Networks* ([arXiv 1709.01507](https://arxiv.org/abs/1709.01507)), figures 6, 7 · 35 minutes
#
# [A trained network](#A-trained-network) ·
# [The gates of a picture](#The-gates-of-a-picture) ·
# [By class](#By-class) ·
# [Within a class](#Within-a-class) ·
# [All gates at once](#All-gates-at-once) ·
# [Between and within](#Between-and-within) ·
# [What opens a channel](#What-opens-a-channel) ·
# [Frozen, and replaced](#Frozen,-and-replaced) ·
# [The last stage](#The-last-stage) ·
# [After a longer training](#After-a-longer-training) ·
# [Typical mistakes](#Typical-mistakes) ·
# [Questions](#Questions) ·
# [Next](#Next)
#
# [Page 4](04_scale_and_block.ipynb) built the block and its gradients. Nobody told it what the gates are for. They
# were random at first, and training pushed each number a little, some thousand times. Now we look at what came of it.
# Do the gates know the class of a picture? In which layers? And does the network need them to?
#
# At the end you can read the two figures of the paper, make them for a network of your own, and tell the difference
# between "the gates depend on the class" and "the network depends on the gates".

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
from dataclasses import replace
from functools import partial

import numpy as np

import npse
from npse import data, models
from npse.analysis import inspect
from npse.analysis.observation import observe
from npse.analysis.statistics import variances
from npse.analysis.summary import gates_of
from npse.notebook import Play, Source, Worked
from npse.notebook.figures import what_the_gates_learned as figures
from npse.training import evaluate
from npse.training.optimizer import SGD
from npse.training.schedule import one_cycle

# %% [markdown]
# ## A trained network
#
# The page trains a small network on the embedded pictures first, which takes less than a minute.

# %% tags=["varies"]
ops = npse.use("cpu")


def train(network, dataset, epochs, batch_size=128):
    """Train a network from scratch, as page 4 ended and as `npse train` does."""
    optimizer, images = SGD(network), (dataset.images, dataset.labels)
    steps = epochs * data.steps_per_epoch(len(dataset.images), batch_size)
    network.train()
    step = 0
    for epoch in range(epochs):
        for x, labels in data.training_batches(*images, dataset.mean, dataset.std,
                                               batch_size, seed=0, epoch=epoch):
            logits, backward = network(x)
            loss_backward = ops.softmax_cross_entropy_backward
            gradients = backward(loss_backward(np.float32(1), logits, labels))[1]
            optimizer.step(gradients, one_cycle(step, steps, peak=0.4))
            step += 1


dataset = data.load("shapes")
network = models.se_resnet8(seed=0, input_gradient=False)
train(network, dataset, epochs=4)
some = replace(dataset, test_images=dataset.test_images[:1000],
               test_labels=dataset.test_labels[:1000])
accuracy = evaluate(network, some.test_images, some.test_labels,
                    dataset.mean, dataset.std).accuracy
print(f"right on {accuracy:.1%} of {len(some.test_images)} test pictures")

# %% [markdown]
# One call looks at the gates of 1000 test pictures in all blocks, and also asks what happens with other gates. The
# following pictures show what it found. The command `npse inspect RUN` does the same for a run of yours and writes a
# report.

# %%
found = inspect(network, some, "SE-ResNet-8")
figures.classes(found)

# %% [markdown]
# ## The gates of a picture
#
# How does one look into a network while it runs? Without changing the network: for a while, each layer that computes
# gates is asked to show them to a visitor, who may also hand back others. That is all:

# %%
Source(observe)

# %% tags=["varies"]
for name, s in found.observation.gates.items():
    first = " ".join(f"{gate:.2f}" for gate in s[0, :8])
    print(f"{name}: {s.shape[1]} gates, the first of picture 0: {first} ...")

# %% [markdown]
# ## By class
#
# The paper's figure 6: take the mean of each gate over all pictures of a class, and compare the classes. A row is a
# class, a column is a channel, sorted by its mean. Left are the gates themselves, right is what remains without the
# mean over all classes.

# %%
figures.by_class(found)

# %% [markdown]
# How to read it. Where the right side is pale, a block treats all classes alike. Where it has colour, rows differ, so
# the block does different things to different classes. In the paper's network, SE-ResNet-50 on ImageNet, early stages
# are pale, later ones are not: first come features that every picture needs, edges and colours, later those of a few
# classes only. Compare the three rows here. Is it the same?
#
# ## Within a class
#
# A mean can hide anything. The paper's figure 7 adds the spread: for two classes the mean gate as a line, and the
# standard deviation over the pictures of the class as a band. Where bands are narrow and lines apart, the gate is a
# function of the class. Where bands overlap, it depends on the single picture. Choose two classes:

# %%
names = list(found.classes)
last_first = names[-1:] + names[:-1]
Play(partial(figures.two_classes, found), first=names, second=last_first)

# %% [markdown]
# ## All gates at once
#
# Are gates used at all, or do they stay near 1/2, where a fresh network has them? The dashed line marks 1/2.

# %%
figures.histograms(found)

# %% [markdown]
# A gate near 0 or 1 has another meaning than one near 1/2, and a price: the slope $s (1 - s)$ of
# [page 3](03_excitation.ipynb) is nearly zero there. If a gate is near an end for *every* picture, it cannot learn any
# more.

# %% [markdown]
# ## Between and within
#
# Figures are for eyes. A number says it more strictly. The variance of a gate over all pictures is the sum of two
# parts: the variance of the class means, *between*, and the mean variance inside the classes, *within*. Their ratio is
# small if the gate does not care about the class.
#
# ### With a pencil: two classes
#
# One gate, four pictures. The first two, of class A, have the gates 0.2 and 0.4; the other two, of class B, have 0.6
# and 0.8. The class means are
#
# $$m_A = \frac{0.2 + 0.4}{2} = 0.3 \qquad m_B = \frac{0.6 + 0.8}{2} = 0.7$$
#
# and the mean of all is $m = \frac{0.3 + 0.7}{2} = 0.5$. Each mean is 0.2 away from it, each gate is 0.1 away from the
# mean of its class:
#
# $$b = \frac{(0.3 - 0.5)^2 + (0.7 - 0.5)^2}{2} = 0.04 \qquad
# w = 0.1^2 = 0.01 \qquad q = 0.04 / 0.01 = 4$$
#
# And $b + w = 0.05$ is the variance of all four. Between is four times within: this gate is a matter of class.

# %%
gates, labels = np.array([[0.2], [0.4], [0.6], [0.8]]), np.array([0, 0, 1, 1])
between, within = variances(gates, labels)
worked = Worked({
    "m_A": gates[:2].mean(), "m_B": gates[2:].mean(), "m": gates.mean(),
    "b": between, "w": within, "q": between / within, "b+w": gates.var(),
})
worked

# %% [markdown]
# The same for all blocks of the network:

# %% tags=["varies"]
for name, block in found.blocks.items():
    print(f"{name}: between / within {block.ratio:.2f}, "
          f"by chance {block.by_chance:.3f}")

# %%
figures.ratios(found)

# %% [markdown]
# The orange line is what gates without any relation to the classes would have. It is not zero! The mean of a hundred
# random numbers is a little off, for every class, and that looks like a difference between classes.

# %% [markdown]
# ## What opens a channel
#
# Turn the question round. Take a channel and ask for the pictures that open it most, and those that close it most.
# Here are the three channels of a block whose gates vary most. Choose a block:

# %%
Play(partial(figures.openers, found), block=found.shown[::-1])

# %% [markdown]
# You will see something: all cool, all round, all striped. So did we. Look at it with care. These are the *extremes*
# of the most *variable* channels, and the eye finds a pattern in any five pictures. It is a hint at what the channel
# reacts to among these pictures, not at what it means.
#
# And once more the other way round: one picture of each class, and how far it opens each channel of the last block:

# %%
figures.opened(found)

# %% [markdown]
# ## Frozen, and replaced
#
# So far we have only looked. Now we touch. The network stays as it is, but in one block the gates are replaced, and we
# count right answers again. Four replacements:
#
# * *mean*: every picture gets the mean gates over all pictures. The block is frozen; it cannot look at its picture;
# * *one*: the block does not scale at all;
# * *half*: all gates are 1/2, which keeps the usual size;
# * *shuffled*: every picture gets the gates of another one.

# %%
figures.effects(found)

# %% [markdown]
# The thin bars reach two standard errors to each side; they cover the choice of pictures. Read it like this. If *mean*
# is at zero, the block does not need to look at its picture: a constant for each channel would do as well, and could
# be merged into the weights before it. If *shuffled* falls while *mean* stays, the gates carry something about the
# picture that does harm when it is wrong, but that is no help when it is right.
#
# Compare this with the ratios above. A block with a large ratio may well have *mean* at zero. **That the gates depend
# on the class does not show that the network depends on the gates.** The one is a correlation, the other an
# experiment.
#
# And the experiment has a limit, too: a network that was *trained* with frozen gates could have arranged itself
# otherwise. Only training with and without, with several seeds, answers that. [Page 10](10_other_structures.ipynb)
# does it in small.

# %% [markdown]
# ## The last stage
#
# The paper observes that in its network the gates of the last stage are nearly the same for all classes: most are near
# 1 in one block, and equal up to their size in the other. So the excitation of the last stage can be left out at
# little cost, and it is the most expensive one, since there are most channels. Is it so here? Two numbers for each
# block: how far the gates are from *one* number for the whole block, and how far from one number *for each channel*,
# both relative to the mean gate. Near 0 %, the block is constant:

# %% tags=["varies"]
for name, block in found.blocks.items():
    print(f"{name}: from one number {block.from_constant:.0%}, "
          f"from one per channel {block.from_channel_constant:.0%}")

# %% [markdown]
# In our small networks the last stage is far from constant. An observation
# about one network, on one data set, is no law of nature. That holds for the paper's, and for ours.

# %% [markdown]
# ## After a longer training
#
# The network above has seen few pictures for a minute. npse comes with a larger one, SE-ResNet-20, trained on the
# photographs of CIFAR-10, and with what `npse inspect` found about its gates on the 10 000 test images. So we can look
# at these gates without training, and without the photographs:

# %%
name = "se_resnet20-cifar10"
trained, longer = models.load(name), gates_of(name)
count = sum(w.size for w in trained.named_parameters().values())
print(f"{longer.title}: {count:,} parameters, right on "
      f"{longer.effects.accuracy:.1%} of {longer.effects.images} test images")

# %%
figures.by_class(longer)

# %% [markdown]
# Now the classes have names that say something. Look for classes whose rows resemble each other, such as automobile
# and truck, and compare two of them:

# %%
names = longer.classes
Play(partial(figures.two_classes, longer),
     first=names[1:] + names[:1], second=names[-1:] + names[:-1])

# %% [markdown]
# And does this network need its gates? The same experiment:

# %%
figures.effects(longer)

# %%
for block, kinds in longer.effects.by_block.items():
    changes = [f"{kind} {100 * effect.change:+.1f} ± {100 * effect.error:.1f}"
               for kind, effect in kinds.items()]
    print(block, *changes, sep="  ")

# %% [markdown]
# Read it like the one above. In which blocks do frozen gates (*mean*) cost more than two standard errors? In which is
# only *shuffled* harmful? It is still one network, trained once: another seed may answer otherwise.
#
# `npse predict cat.jpg` asks this network for the class of a picture of yours.

# %% [markdown]
# ## Typical mistakes
#
# ### A pattern by chance
#
# With few pictures, class means differ even if nothing is there. We give the pictures random classes and compute the
# ratio again, for all 1000 pictures and for the first 50:

# %% tags=["varies"]
rng = np.random.default_rng(0)
s = found.observation.gates[found.shown[-1]]
for count in (1000, 50):
    shuffled = rng.permutation(found.labels[:count])
    between, within = variances(s[:count], shuffled)
    K = len(set(shuffled.tolist()))
    print(f"{count} pictures, random classes: {between / within:.3f}, "
          f"expected {(K - 1) / (count - K):.3f}")

# %% [markdown]
# ### Looking in training mode
#
# In training, batch norm takes the mean and deviation of the *batch*. Then the gates of a picture depend on the other
# pictures beside it. We compute the gates of the same 32 pictures twice, in a batch of their own and in a batch with
# 96 others, in both modes:

# %% tags=["varies"]
x = ops.normalize(some.test_images[:128], dataset.mean, dataset.std)
before = {name: array.copy() for name, array in network.named_buffers().items()}
for mode in ("training", "inference"):
    network.train() if mode == "training" else network.eval()
    alone, together = network(x[:32])[0], network(x)[0][:32]
    changed = np.abs(alone - together).max() / np.abs(together).max()
    print(f"{mode}: the logits change by {changed:.0%} of the largest")
for name, owner, key in network.slots("buffers"):
    owner[key] = before[name]               # training mode has moved them

# %% [markdown]
# `observe` switches to inference and back by itself, so that this cannot happen.
#
# ### Half is not off
#
# "Switch the excitation off" is often done by setting the gates to 1. But the layers behind it were trained with maps
# that the gates had made smaller, on the average by the mean gate. Gates of 1 are a new size *and* no recalibration.
# Compare *one* with *mean* in the picture above: only *mean* keeps the size of each channel.

# %% [markdown]
# ## Questions
#
# **1.** A block has a ratio between / within of 6, and *mean* changes nothing. What could you do with this block?
#
# <details><summary>Answer</summary>
#
# Replace its gates by their means, and merge those into the batch norm before it: its $\gamma$ and $\beta$ times the
# mean gate. The block then costs nothing. (Measure the accuracy again, on pictures that were not used to choose.)
#
# </details>
#
# <br>
#
# **2.** Why is *shuffled* often worse than *mean*, although the gates of another picture are real gates?
#
# <details><summary>Answer</summary>
#
# The mean is never far off. The gates of another picture are often those of another class: they open what that class
# needs and close what this one needs. A wrong hint is worse than none.
#
# </details>
#
# <br>
#
# **3.** In figure 6 of the paper the classes are very different things, such as a goldfish and a plane. What would you
# expect of two breeds of dogs?
#
# <details><summary>Answer</summary>
#
# Lines closer together, in the early stages hardly to be told apart. Similar classes share features, and gates are
# about features. That is why the choice of classes decides how impressive such a figure looks.
#
# </details>
#
# ## Next
#
# The two dense layers have learned something. Could something simpler have learned it, too?
# [Page 10](10_other_structures.ipynb) puts other structures in their place, and one of your own.
