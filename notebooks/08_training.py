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
# # 8 · Training
#
# A loss, its gradient, a step, a schedule; and then a network learns · 45 minutes
#
# [The loss with a pencil](#The-loss-with-a-pencil) ·
# [Why the gradient is so simple](#Why-the-gradient-is-so-simple) ·
# [The first minute](#The-first-minute) ·
# [A step with a pencil](#A-step-with-a-pencil) ·
# [Muon, in words and a picture](#Muon,-in-words-and-a-picture) ·
# [The schedule](#The-schedule) ·
# [A training run](#A-training-run) ·
# [What 94 percent takes](#What-94-percent-takes) ·
# [Typical mistakes](#Typical-mistakes) ·
# [Questions](#Questions) ·
# [Now write it yourself](#Now-write-it-yourself) ·
# [Next](#Next)
#
# Everything is there: a network (page 7), its gradient (pages 1 to 6), and the means to believe it (page 5). What is
# missing is a number to make small, and somebody to make it small. This page writes down the loss, takes a step with a
# pencil, and then trains a network while you watch. It takes less than a minute.
#
# By the end you will know what to look at in the first minute of a run, so that you need not wait for the last one.

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

import npse
from npse import data, models
from npse.notebook import Play, Source, Worked, numeric_gradient, relative_error
from npse.notebook.figures import training as figures
from npse.notebook.page_data import page_data
from npse.reference import (
    sgd,
    softmax,
    softmax_cross_entropy,
    softmax_cross_entropy_backward,
)
from npse.training import Config, evaluate, one_cycle, predict, sanity

# %% [markdown]
# ## The loss with a pencil
#
# The last layer gives a **score** for each class, any number, the higher the likelier. (The scores are also called
# logits.) Softmax makes probabilities of them: raise $e$ to each, and divide by the sum. For one picture with three
# classes and the scores $l = (\ln 2, 0, \ln 5)$,
#
# $$p = (\frac{2}{2 + 1 + 5}, \frac{1}{8}, \frac{5}{8}) = (0.25, 0.125, 0.625)$$
#
# The right class is the third. The **cross-entropy** is minus the logarithm of the probability that was given to it:
#
# $$L = -\ln 0.625 \approx 0.47$$
#
# Had the network been sure, the loss would be 0. Had it given the right class a chance of one in a thousand, 6.9.
#
# ### Backwards with a pencil
#
# Let $q = (0, 0, 1)$ say what is right. The gradient for the scores is the simplest that one could wish for, $p - q$:
#
# $$dl = (0.25 - 0, 0.125 - 0, 0.625 - 1) = (0.25, 0.125, -0.375)$$
#
# *Raise what is right, lower what is wrong, each by how wrong it is.* The three numbers add up to zero.

# %%
logits = np.array([[np.log(2), 0, np.log(5)]])
label = np.array([2])
p = softmax(logits)
L = softmax_cross_entropy(logits, label)
dl = softmax_cross_entropy_backward(1.0, logits, label)
worked = Worked({"l": logits[0], "p": p[0], "L": L, "q": [0, 0, 1], "dl": dl[0]})
worked

# %% [markdown]
# Change the scores. What happens to the gradient when the network is sure, and right? And when it is sure, and wrong?

# %%
score = -4.0, 4.0, 0.1
Play(
    figures.probabilities,
    first=(0.7, *score), second=(0.0, *score), third=(1.6, *score),
)

# %% [markdown]
# ## Why the gradient is so simple
#
# With all indices, for picture $n$ and class $k$:
#
# $$p[n,k] = \frac{e^{l[n,k]}}{\sum_{m} e^{l[n,m]}} \qquad L = -\frac{1}{N} \sum_{n,k} q[n,k] \ \ln p[n,k]$$
#
# The logarithm of a probability is a score minus the logarithm of the sum. What has a score $l_k$ touched? Its own
# $\ln p_k$, with slope 1; and through the sum all $\ln p_m$, with slope $-p_k$:
#
# $$\frac{\partial \ \ln p_m}{\partial \ l_k} = \delta_{mk} - p_k$$
#
# ($\delta_{mk}$ is 1 if $m = k$ and else 0.) Multiply by $-q_m$, the slope of the loss, and add up the ways. The first
# part gives $-q_k$. The second gives $p_k$ times the sum of all $q_m$, which is 1. So
#
# $$dl[n,k] = \frac{p[n,k] - q[n,k]}{N}$$
#
# The $N$ is there because the loss is a mean over the pictures. Neither the logarithm nor the exponential is left.
# $q$ need not be all zeros and a one: with **label smoothing** $a$, a share $a$ of it is spread evenly over the
# classes, and the derivation does not change.

# %%
Source(softmax_cross_entropy, softmax_cross_entropy_backward)

# %% tags=["varies"]
rng = np.random.default_rng(0)
scores, labels = rng.normal(size=(4, 10)), rng.integers(10, size=4)


def smoothed(scores):
    return softmax_cross_entropy(scores, labels, 0.1)


ours = softmax_cross_entropy_backward(1.0, scores, labels, 0.1)
error = relative_error(ours, numeric_gradient(smoothed, scores, np.array(1.0)))
print(f"relative error {error:.0e}")
assert error < 1e-8

# %% [markdown]
# ## The first minute
#
# Now the data. If CIFAR-10 is on this machine (in npse's data folder, or where `NPSE_CIFAR10` says), the page takes
# ten thousand of its photographs. If not, it takes `shapes`, five thousand small drawings that npse makes itself.
# The outputs that you see on GitHub come from `shapes`.

# %%
dataset = page_data()
print(f"{dataset.name}: {len(dataset.images)} images to train, "
      f"{len(dataset.test_images)} to test, {len(dataset.classes)} classes")

# %%
chosen = range(0, 10, 2)
figures.predictions(dataset, chosen, dataset.test_labels[chosen])

# %% [markdown]
# Training in pure NumPy would take many minutes. From here on we use the CPU edition: the same functions with the same
# names and results, compiled. (The first call on a new machine takes some seconds longer.) The network is an
# SE-ResNet-8 with 8, 16 and 32 channels, small enough for a page.

# %%
ops = npse.use("cpu")
options = {"widths": (8, 16, 32), "classes": len(dataset.classes)}
network = models.se_resnet8(**options)
print(f"{sum(w.size for w in network.named_parameters().values()):,} weights")

# %% [markdown]
# ### Is the first loss that of a guess
#
# A network that knows nothing gives each of ten classes a probability of about a tenth, so its first loss should be
# about $\ln 10$, which is 2.3. Much more, and something is badly scaled. Much less, and the label has leaked into the
# picture.

# %% tags=["varies"]
batches = data.training_batches(
    dataset.images, dataset.labels, dataset.mean, dataset.std, 64,
    seed=0, epoch=0, crop=2)
x, labels = next(batches)
logits, backward = network(x)
first = float(ops.softmax_cross_entropy(logits, labels))
print(sanity.first_loss(first, len(dataset.classes)))

# %% [markdown]
# ### Can it learn twenty pictures by heart
#
# The best test there is for a whole training program. Take twenty pictures and nothing else, and train on them until
# the loss is near zero. A network of this size can memorize twenty pictures easily. If yours cannot, something is
# broken, and you have found out in seconds.


# %%
def learn_by_heart(images, labels, lr=0.05, steps=60, tamper=lambda g: g):
    network = models.se_resnet8(**options)
    optimizer = Config(optimizer="sgd").optimizer_for(network)
    for _ in range(steps):
        logits, backward = network(images)
        loss = float(ops.softmax_cross_entropy(logits, labels))
        dlogits = ops.softmax_cross_entropy_backward(1.0, logits, labels)
        _, gradients = backward(dlogits)
        optimizer.step(tamper(gradients), lr)
        if not np.isfinite(loss):
            break
    right = np.mean(logits.argmax(axis=1) == labels)
    return loss, right


twenty, names = x[:20], labels[:20]
loss, right = learn_by_heart(twenty, names)
print("loss below 0.05:", loss < 0.05, "  all twenty right:", right == 1)
assert loss < 0.05

# %% [markdown]
# Which mistakes does this test notice? We plant some:

# %%
tampered = {
    "nothing wrong": {},
    "gradients with the wrong sign": {
        "tamper": lambda g: {name: -value for name, value in g.items()}},
    "learning rate a thousand times smaller": {"lr": 0.05 / 1000},
    "the excitations are never trained": {
        "tamper": lambda g: {n: v * (".se." not in n) for n, v in g.items()}},
    "the first convolution is never trained": {
        "tamper": lambda g: {n: v * (n != "conv1.weight") for n, v in g.items()}},
}
for mistake, how in tampered.items():
    loss, right = learn_by_heart(twenty, names, **how)
    print(f"{mistake:40s}", "passes" if loss < 0.05 else "noticed")

# %% [markdown]
# The last two pass. A network is so good at getting by that a part of it can be dead without anybody noticing: this is
# why gradients are checked (page 5), and why the loss alone is no proof.

# %% [markdown]
# ## A step with a pencil
#
# Plain gradient descent subtracts a part of the gradient. **Momentum** adds a velocity $v$: each step keeps nine
# tenths of the last. **Nesterov's** variant looks ahead by one step of that. With the learning rate $\eta$ and the
# momentum $\mu$ the step is
#
# $v \leftarrow \mu v + dw$, then $w \leftarrow w - \eta (dw + \mu v)$.
#
# Let the loss be the square of a single weight, so its gradient is twice the weight, and start at 2 with velocity 0.
# The rate is 0.1, the momentum 0.9.
#
# $$v_1 = 0.9 \cdot 0 + 4 = 4 \qquad w_1 = 2 - 0.1 \cdot (4 + 0.9 \cdot 4) = 1.24$$
#
# Now the gradient is 2.48:
#
# $$v_2 = 0.9 \cdot 4 + 2.48 = 6.08 \qquad w_2 = 1.24 - 0.1 \cdot (2.48 + 0.9 \cdot 6.08) = 0.4448$$

# %%
w, v = np.array([2.0]), np.array([0.0])
w1, v1 = sgd(w, 2 * w, v, lr=0.1, momentum=0.9)
w2, v2 = sgd(w1, 2 * w1, v1, lr=0.1, momentum=0.9)
worked = Worked({"v_1": v1, "w_1": w1, "v_2": v2, "w_2": w2})
worked

# %%
Source(sgd)

# %% [markdown]
# The steps of plain descent would have led to 1.6 and 1.28. Why hurry? Because a loss is rarely a bowl. It is a
# valley, steep across and nearly flat along. A rate that is small enough for the walls is far too small for the
# floor. Across the valley the gradient changes its sign with each step, and the velocity averages it away; along the
# valley it always says the same, and the velocity adds up.

# %%
Play(
    figures.descent,
    lr=(0.02, 0.005, 0.12, 0.005), momentum=(0.8, 0.0, 0.95, 0.05),
)

# %% [markdown]
# Try the rate 0.09. The plain steps jump from wall to wall; those with momentum, which are longer, fly out of the
# valley. Who adds momentum lowers the rate.
#
# **Weight decay** pulls each weight a little towards zero in each step: it adds $\lambda w$ to the gradient. npse does
# this for the weights of convolutions and dense layers, not for biases and batch norms.

# %% [markdown]
# ## Muon, in words and a picture
#
# The filters of a layer are a matrix: a column for each output channel. Its gradient is strong in a few directions and
# weak in all others, so a step moves a few directions far, and most of them hardly at all. **Muon** (K. Jordan, 2024)
# takes the same step, with momentum and all, and makes all of its directions about equally long, by a few matrix
# products. Here is the gradient of one filter bank of our network, and what Muon makes of it:

# %%
_, gradients = backward(ops.softmax_cross_entropy_backward(1.0, logits, labels))
figures.directions(gradients["layer2.0.conv2.weight"])

# %% [markdown]
# If a batch norm follows, the length of the filters has no effect on the output (page 6, question 2). So Muon also
# keeps it fixed, and its rate says plainly by which share of their length the filters turn in a step: 0.03 is three
# percent. npse uses Muon for the filters of the stages, and SGD for everything else. The function is
# `npse.reference.muon`.

# %% [markdown]
# ## The schedule
#
# Large steps at first, to get somewhere; small steps at the end, to settle. At the very beginning the steps are small,
# too, while the statistics find their place. npse's schedule is two straight lines:

# %%
Play(figures.schedule, peak=(0.4, 0.05, 1.0, 0.05), warmup=(0.2, 0.0, 0.6, 0.05))

# %%
Source(one_cycle)

# %% [markdown]
# That it falls all the way to *zero* is worth a lot in a short run: the last steps, which hardly move, average out the
# noise of the batches.

# %% [markdown]
# ## A training run
#
# Four epochs, which means that each picture is seen four times, each time shifted by up to two pixels, and mirrored in
# every other epoch. The loop is all there is to it. Read it once from the inside out.

# %% tags=["varies"]
smoothing = 0.1
config = Config(epochs=4, batch_size=64, lr=0.4, filter_lr=0.03)
optimizer = config.optimizer_for(network)
each = data.steps_per_epoch(len(dataset.images), config.batch_size)
steps = config.epochs * each
losses, accuracies = [], []

for epoch in range(config.epochs):
    batches = data.training_batches(
        dataset.images, dataset.labels, dataset.mean, dataset.std,
        config.batch_size, seed=0, epoch=epoch, crop=2)
    for x, labels in batches:
        step = len(losses)
        logits, backward = network(x)
        loss = ops.softmax_cross_entropy(logits, labels, smoothing)
        dlogits = ops.softmax_cross_entropy_backward(1.0, logits, labels, smoothing)
        _, gradients = backward(dlogits)
        rate = one_cycle(step, steps, config.lr, config.warmup)
        optimizer.step(gradients, rate, step / steps)
        losses.append(float(loss))
    test = evaluate(network, dataset.test_images, dataset.test_labels,
                    dataset.mean, dataset.std)
    accuracies.append(test.accuracy)
    print(f"epoch {epoch + 1}: test accuracy {test.accuracy:.1%}")

# %%
figures.curves(losses, accuracies)

# %%
guess = 1 / len(dataset.classes)
print("better than three times a guess:", accuracies[-1] > 3 * guess)
if dataset.name == "shapes":
    print("more than nine of ten test images are right:", accuracies[-1] > 0.9)
assert accuracies[-1] > 3 * guess

# %% [markdown]
# It has learned. Note what `evaluate` did without being asked: it switched the batch norms to their running
# statistics, and back again. Here are test images with what the network says, first three that it gets wrong:

# %%
logits = predict(network, dataset.test_images, dataset.mean, dataset.std)
answers = logits.argmax(axis=1)
order = np.argsort(answers == dataset.test_labels, kind="stable")   # mistakes first
chosen = np.concatenate([order[:3], order[-2:]])
figures.predictions(dataset, chosen, answers[chosen])

# %% [markdown]
# On the command line this is `npse train`, which does the same with a progress bar, checkpoints, the checks of the
# first minute and a report at the end.

# %% [markdown]
# ## What 94 percent takes
#
# The drawings are easy. On CIFAR-10, 94 % is the mark that the shortest published trainings set themselves (K. Jordan,
# arXiv 2404.00498). npse has their recipe, `npse train --recipe fast94`. **Here it reaches 94.1 %** in 12 minutes:
# means of seeds 0 to 4, 8 epochs. Without the averaging over six views of each test image it is 93.3 %.
# [docs/recipes.md](../docs/recipes.md) has the conditions, and the option that leaves each part out. The parts,
# and which of them you have met:
#
# | part | where |
# |---|---|
# | Muon for the filters | above |
# | a rate that rises and falls to zero | above |
# | label smoothing 0.2 | above |
# | shifted and mirrored pictures | above |
# | batch norm without a learned scale, and a rate of its own for its bias | page 6 has the norm |
# | a first layer whose filters are computed from 5 000 pictures and not learned (*whitening*) | new |
# | convolutions that begin by copying their input (*partial identity*) | the idea of the shortcut, without one |
# | GELU, nearly $x \ \sigma(1.7 x)$, in place of the ReLU | page 4, question 4: a channel that gates itself |
# | six views of each test image at the end | worth 0.8 points in these runs |
#
# No part is a secret, and none is responsible alone.

# %% [markdown]
# ## Typical mistakes
#
# ### The rate

# %%
for lr in (0.0005, 0.05, 50):
    with np.errstate(all="ignore"):
        loss, right = learn_by_heart(twenty, names, lr=lr, steps=30)
    verdict = "learns" if loss < 0.5 else "hardly moves" if loss < 3 else "is lost"
    print(f"lr {lr:<7g} {verdict}")

# %% [markdown]
# Between "hardly moves" and "is lost" there are usually two or three powers of ten. Take the largest rate that does
# not shake, and divide by two.
#
# ### Labels of the neighbour
#
# Shuffle the pictures and forget to shuffle the labels along with them. The loss stays near $\ln 10$ for a long
# time; but twenty pictures can *still* be learned by heart, as every picture keeps its label, if a wrong one. What
# notices is the test accuracy, which stays near that of a guess. So look at a few pictures with their labels before
# you train, as we did above.

# %%
wrong = np.random.default_rng(0).permutation(dataset.labels)
agree = np.mean(wrong == dataset.labels)
loss, _ = learn_by_heart(twenty, wrong[:20])
print(f"labels that are right by chance: {agree:.0%}")
print("learned by heart all the same:", loss < 0.05)

# %% [markdown]
# ### Evaluating in training mode
#
# Page 6 again: then the answer for a picture depends on its neighbours. With large batches of all classes the accuracy
# hardly changes, which is why it goes unnoticed; with one class after another in the test set it collapses.

# %%
order = np.argsort(dataset.test_labels, kind="stable")[:len(dataset.test_labels)]
normalized = ops.normalize(dataset.test_images[order], dataset.mean, dataset.std)
sorted_labels = dataset.test_labels[order]
right = {"training mode": 0, "inference": 0}
for mode in right:
    network.train() if mode == "training mode" else network.eval()
    kept = network.state()
    for first in range(0, len(order), 50):
        answers = network.predict(normalized[first:first + 50]).argmax(axis=1)
        right[mode] += int(np.sum(answers == sorted_labels[first:first + 50]))
    network.update(kept)
lost = (right["inference"] - right["training mode"]) / len(order)
print("test images sorted by class, batches of 50:")
print("more than a tenth of the accuracy is lost in training mode:", lost > 0.1)

# %% [markdown]
# ## Questions
#
# **1.** The loss of the first batch is 2.30 to three digits, and stays there. What has happened?
#
# <details><summary>Answer</summary>
#
# $\ln 10 = 2.303$: all classes get the same probability, whatever the picture. The last layer is zero, or everything
# before it is; or the rate is. If only the *first* loss is 2.303, the last layer starts at zero, which is a fair
# choice.
#
# </details>
#
# <br>
#
# **2.** With label smoothing 0.1, what is the least possible loss for ten classes?
#
# <details><summary>Answer</summary>
#
# It is reached when $p = q$, so it is the entropy of $q$: 0.91 for the right class and 0.01 for each of nine others.
# $-0.91 \ln 0.91 - 9 \cdot 0.01 \ln 0.01 \approx 0.50$. A loss of 0.5 in the picture above is therefore perfection.
#
# </details>
#
# <br>
#
# **3.** You double the batch size and keep everything else. What changes in a step, and what would you try?
#
# <details><summary>Answer</summary>
#
# The loss is a mean, so the gradient has the same size and half the variance; there are half as many steps in an
# epoch. With the same rate, the run makes about half the way. A larger rate is worth trying, up to twice as large,
# as long as it does not shake.
#
# </details>
#
# ## Now write it yourself
#
# Exercise 10 is the loss with its gradient, exercise 11 the update and a whole training step. In a terminal:
#
#     npse exercise start 10
#     npse exercise start 11
#     npse exercise check 11
#
# ## Next
#
# The network tells a ring from a cross. How much of that do its gates have to do with?
# [Page 9, what the gates learned](09_what_the_gates_learned.ipynb), looks at them.
