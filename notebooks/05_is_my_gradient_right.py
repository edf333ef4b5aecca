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
# # 5 · Is my gradient right?
#
# How the judge of this book works, and what it cannot see · 45 minutes
#
# [A step with a pencil](#A-step-with-a-pencil) ·
# [The curve of the error](#The-curve-of-the-error) ·
# [A kink with a pencil](#A-kink-with-a-pencil) ·
# [Three verdicts](#Three-verdicts) ·
# [What a check cannot see](#What-a-check-cannot-see) ·
# [Good manners](#Good-manners) ·
# [What is wrong with it](#What-is-wrong-with-it) ·
# [How good is a check](#How-good-is-a-check) ·
# [Questions](#Questions) ·
# [Now write it yourself](#Now-write-it-yourself) ·
# [Next](#Next)
#
# A wrong gradient raises no error. The shapes fit, the program runs, the loss falls, only not as far as it could. Four
# pages of this book have therefore ended in the same ritual: measure the gradient with small steps and compare. This
# page looks at the ritual itself. How small is small? What does a measurement say at a kink, where there is no slope?
# And which wrong gradients pass?
#
# By the end you will be able to choose a step, read a verdict, and name the mistakes that your check would miss. You
# need [page 0](00_before_you_begin.ipynb), and the functions of pages 2 to 4.

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

from npse import reference as ops
from npse.gradcheck import check_gradient
from npse.notebook import Play, Source, Worked, numeric_gradient, relative_error
from npse.notebook.figures import is_my_gradient_right as figures

# %% [markdown]
# ## A step with a pencil
#
# The slope of $x^3$ at the point 2 is $3 \cdot 2^2 = 12$. We measure it with a **central difference**: a step $h$ to
# the right, a step $h$ to the left, and the line through both points. With a step of 0.1, and then with one of 0.01:
#
# $$g_1 = \frac{2.1^3 - 1.9^3}{2 \cdot 0.1} = \frac{9.261 - 6.859}{0.2} = 12.01 \qquad
# g_2 = \frac{2.01^3 - 1.99^3}{2 \cdot 0.01} = \frac{8.120601 - 7.880599}{0.02} = 12.0001$$
#
# The error is exactly $h^2$ here. A step of a tenth of the size gives a hundredth of the error: two more digits. Why
# both sides? Because from one side it is far worse. With a step of 0.1 to the right alone:
#
# $$o_1 = \frac{2.1^3 - 2^3}{0.1} = \frac{9.261 - 8}{0.1} = 12.61$$
#
# This error falls like $h$, not like $h^2$. The curve bends, and one side sees only one half of the bend. With both
# sides the halves cancel. What remains is called the **truncation error**: it is what the formula would give wrong if
# we computed with all digits.
#
# ### With four digits
#
# So take $h$ as small as you can? A computer keeps a fixed number of digits. Let it be four: after each evaluation of
# $f$, round to four digits. For steps of 0.1, 0.01, 0.001, 0.0001 and 0.00001:
#
# $$r_1 = \frac{9.261 - 6.859}{0.2} = 12.01, \quad r_2 = \frac{8.121 - 7.881}{0.02} = 12, \quad
# r_3 = \frac{8.012 - 7.988}{0.002} = 12$$
#
# $$r_4 = \frac{8.001 - 7.999}{0.0002} = 10, \qquad r_5 = \frac{8.000 - 8.000}{0.00002} = 0$$
#
# At first it gets better, then worse, and at last all is lost: both values are rounded to the same number. Each
# rounding is wrong by a little, always by about the same little, and we divide it by $2h$. This is the **rounding
# error**: it grows like $1/h$.

# %%
def cube(x):
    return x**3


def cube_of_four_digits(x):
    return np.round(x**3, 3)


two, one = np.array([2.0]), np.array([1.0])
steps = 1e-1, 1e-2, 1e-3, 1e-4, 1e-5
g = [numeric_gradient(cube, two, one, h)[0] for h in steps]
r = [numeric_gradient(cube_of_four_digits, two, one, h)[0] for h in steps]
worked = Worked({
    "g_1": g[0], "g_2": g[1], "o_1": (cube(2.1) - cube(2.0)) / 0.1,
    "r_1": r[0], "r_2": r[1], "r_3": r[2], "r_4": r[3], "r_5": r[4],
})
worked

# %% [markdown]
# These are the two functions that every page uses. Ten lines, and they know nothing of any formula for a gradient:

# %%
Source(numeric_gradient, relative_error)

# %% [markdown]
# ## The curve of the error
#
# One error falls with $h$, the other rises. Their sum has the shape of a **V**. Below, each dot is a measurement of
# the slope of $x^3$ at 2, with the sixteen digits of float64. The blue line is the truncation error, the dashed one
# the size of the rounding error; both are what theory says, not a fit.

# %%
Play(
    figures.v_curve,
    function=["x³", "sigmoid", "10 x", "x³ + 10000"],
    precision=["float64", "float32"], one_sided=False,
)

# %% [markdown]
# Read the picture from right to left. With $h = 1$ the error is large and honest. It falls by two digits for each
# digit of $h$, down to the bottom of the V, near $h = 10^{-5}$; there about ten digits are right. Further to the left
# the dots scatter: rounding has no rule, it only has a size.
#
# The bottom lies where both errors are equally large. Let $\epsilon$ be the distance between 1 and the next number
# ($2 \cdot 10^{-16}$ in float64). The truncation error is about $h^2$, the rounding error about $\epsilon / h$. They
# are equal at
#
# $$h = \epsilon^{1/3} \approx 6 \cdot 10^{-6}$$
#
# and the error there is about $\epsilon^{2/3}$: of sixteen digits, two thirds remain. In float32, with seven digits,
# it is four or five. That is why every gradient check of this book runs in float64.

# %% tags=["varies"]
for h in (1e-2, 1e-5, 1e-8):
    for kind in (np.float64, np.float32):
        x = two.astype(kind)
        slope = numeric_gradient(cube, x, np.ones_like(x), kind(h))
        error = relative_error(slope, 12.0)
        print(f"h = {h:.0e}, {kind.__name__}: error {error:.0e}")

# %% [markdown]
# Two more things to try above, or to think about:
#
# * $10 x$ has no truncation error at all. For a linear function a large step is the best step; convolution, squeeze
#   and dense layers are of this kind. If the error *falls* as you make $h$ smaller, then the op is not
#   linear.
# * $x^3 + 10000$ has the same slope as $x^3$, and a rounding error hundreds of times larger. What counts is the
#   size of the *values* that are subtracted. Hence a rule for whole networks: check a small loss, not a loss plus
#   something large.
#
# ### How the judge takes its step
#
# `check_gradient` starts at $h = \epsilon^{1/3}$ times the size of the numbers, and looks at the slopes to the left
# and to the right of each entry. If they differ too much, it tries smaller steps, for this entry alone. So a number
# of $10^{-7}$ beside numbers of size 1 is judged with a step of its own, and $\ln x$ is not asked at a negative $x$:


# %%
def logarithm(x):
    return np.log(x)


def logarithm_backward(dy, x):
    return dy / x


x = np.array([2e-5, 1.0, 2.0, 3.0])
same_step = numeric_gradient(logarithm, x, np.ones(4), h=1e-5)
print(f"one step for all: error {relative_error(same_step, 1 / x):.0%}")

x[0] = 1e-7
report = check_gradient(logarithm, logarithm_backward, {"x": x})
print("the judge, and 1e-7 in the first place:", report.results[0].verdict)
assert report.ok

# %% [markdown]
# ## A kink with a pencil
#
# At 0 the ReLU has no slope: 0 from the left, 1 from the right. What does a central difference say, close to the kink
# and exactly at it? At the point 0.25 with a step of 1, then at 0 with a step of 1 and with one of 0.1:
#
# $$k_1 = \frac{1.25 - 0}{2} = 0.625 \qquad k_2 = \frac{1 - 0}{2} = 0.5 \qquad k_3 = \frac{0.1 - 0}{0.2} = 0.5$$
#
# The first answer is wrong, the slope at 0.25 is 1; but a smaller step mends it. The second stays $1/2$ however small
# the step. A maximum does the same where two numbers are equal. Of $\max(3, 3)$ the first is moved, by 1:
#
# $$m = \frac{4 - 3}{2} = 0.5$$
#
# npse gives the whole gradient to the first of equal winners, so it says 1 here, and it takes the slope of the ReLU
# at 0 to be 0. Neither agrees with $1/2$, and neither is *wrong*: at a kink there is no slope, one has to choose a
# value, and a measurement cannot judge the choice.

# %%
def largest(x):
    return x.max(axis=1)


near, kink, tie = np.array([[0.25]]), np.array([[0.0]]), np.array([[3.0, 3.0]])
unit = np.ones((1, 1))
k = [numeric_gradient(ops.relu, x, unit, h)[0, 0]
     for x, h in ((near, 1), (kink, 1), (kink, 0.1))]
worked = Worked({
    "k_1": k[0], "k_2": k[1], "k_3": k[2],
    "m": numeric_gradient(largest, tie, np.ones(1), h=1)[0, 0],
})
worked

# %% [markdown]
# Move the point towards the kink, and make the step small. When does the measured slope become right?

# %%
Play(figures.kink, at=(3.2, 1.5, 4.5, 0.1), h=(0.6, 0.05, 1.0, 0.05))

# %% [markdown]
# A network with ReLUs has thousands of kinks, and some of them are always near. There are two ways to deal with that.
# The usual one is a generous tolerance, "because of the kinks", and page 4 showed what slips through. The other is to
# *see* the kinks and leave those entries out, one by one. How can they be seen?
#
# * **By asking.** Which side each ReLU is on, and who wins each maximum, is a choice. If all choices are the same at
#   $x - h$, $x$ and $x + h$, there is no kink in between. The ops of the book declare where they choose; for functions
#   of your own you may pass `kinks=`.
# * **By looking.** Compare the slope to the right with the slope to the left, for smaller and smaller steps:

# %%
figures.slopes_on_either_side()

# %% [markdown]
# On a smooth curve the difference falls with the step. Near a kink it drops to nothing at once, as soon as the step no
# longer reaches it. At a kink it stays. So the judge finds kinks that nobody has told it about:

# %%
def passes_above_zero(dy, x):
    return dy * (x > 0)


def largest_backward(dy, x):
    """Give the gradient to every winner, which npse would not do."""
    return dy[:, None] * (x == x.max(axis=1, keepdims=True))


x = np.array([[-1.0, 0.0, 2.0, 1e-7]])
first = check_gradient(ops.relu, passes_above_zero, {"x": x}).results[0]
x = np.array([[3.0, 3.0, 1.0], [1.0, 2.0, 5.0]])
second = check_gradient(largest, largest_backward, {"x": x}).results[0]
for result in (first, second):
    print(textwrap.fill(str(result), 76, subsequent_indent="    "))

# %% [markdown]
# Look at the second line closely. Two entries were left out, and those were the ones with the mistake. *No finite
# difference can say who gets the gradient in a tie.* That takes a comparison with a function that does it right, and
# such a comparison is what the book is for.

# %% [markdown]
# ## Three verdicts
#
# A check that must answer yes or no will sometimes lie. The judge has a third answer. For each entry it keeps an
# **error budget**: how large the truncation and the rounding error of its measurement may be. Then
#
# | verdict | when |
# |---|---|
# | right | every entry agrees within the tolerance, or within its own budget |
# | wrong | an entry differs by more than both together |
# | cannot tell | the budget is so large that an error of 0.1 % could hide in it |
#
# Here is the sigmoid with its right gradient, three times: as it is, computed in float32, and with a large number
# added, as if the loss had a constant term.

# %%
def slope_of_sigmoid(dy, x):
    s = ops.sigmoid(x)
    return dy * s * (1 - s)


def in_float32(x):
    return ops.sigmoid(x).astype(np.float32)


def far_away(x):
    return ops.sigmoid(x) + 1e8


x = np.random.default_rng(0).normal(size=(3, 4))
for forward in (ops.sigmoid, in_float32, far_away):
    result = check_gradient(forward, slope_of_sigmoid, {"x": x}).results[0]
    print(f"{forward.__name__}: {result.verdict}")
    print(textwrap.indent(textwrap.fill(result.message, 76), "    "))

# %% [markdown]
# "Cannot tell" is not a polite "wrong". It says: I would have called a wrong gradient right, so do not believe me. The
# gradient *is* right in all three cases; but in the second and third nobody has shown it. Convert to float64, or take
# the constant away, and ask again.

# %% [markdown]
# ## What a check cannot see
#
# The gradient can be measured as precisely as you like and the check can still be blind, because of *what it was
# given*. Four ways to be too kind.
#
# ### Shapes in which the mistake vanishes
#
# Somebody divides by $H \cdot H$ instead of $H \cdot W$:

# %%
def divides_by_the_height(dy, u):
    _, H, _, _ = u.shape
    return np.broadcast_to(dy[:, None, None, :] / H**2, u.shape).copy()


rng = np.random.default_rng(1)
for shape in ((2, 4, 4, 3), (2, 3, 5, 4)):
    u = rng.normal(size=shape)
    result = check_gradient(ops.squeeze, divides_by_the_height, {"u": u}).results[0]
    print(f"u {shape}: {result.verdict}")

# %% [markdown]
# On square maps this gradient *is* right. Images in this field are nearly always square, and so are careless tests.
# Take sizes that all differ, and none of them 1.
#
# ### A loss that does not care
#
# Many tests use `loss = y.sum()`: the upstream gradient is 1 everywhere. Behind a batch norm, which brings every
# channel to mean 0 (the next page), this sum is *always the same*. Its gradient is zero, whatever $x$ is. So a
# backward pass that forgets half of the formula is called right:

# %%
def norm(x):
    C = x.shape[3]
    return ops.batch_norm(x, np.ones(C, x.dtype), np.zeros(C, x.dtype))[0]


def forgets_the_variance(dy, x):
    over = 0, 1, 2
    return (dy - dy.mean(over)) / np.sqrt(x.var(over) + 1e-5)


x = rng.normal(size=(2, 3, 5, 4))
for name, dy in (("ones", np.ones(x.shape)), ("random", rng.normal(size=x.shape))):
    ours = forgets_the_variance(dy, x)
    difference = np.abs(ours - numeric_gradient(norm, x, dy)).max()
    verdict = "looks right" if difference < 1e-6 else "wrong"
    print(f"dy {name:6s}: {verdict}")
    assert (difference < 1e-6) == (name == "ones")

# %% [markdown]
# It is not only batch norm. With ones as the upstream gradient nobody notices that $dy$ was forgotten, was averaged,
# or was read in the wrong order. *Always check with a random upstream gradient.*
#
# ### Only the parameters
#
# Page 4 had four wrong rows in which $dw_1$ and $dw_2$ were right to the last digit. Check the gradient of every
# argument, above all that of the input.
#
# ### Both passes wrong in the same way
#
# A finite difference compares backward with forward. If both make the same mistake, they agree. This block forgets
# the sigmoid, in both directions, and its gradient is perfect:

# %%
def gates(z, w1, w2):
    return np.maximum(z @ w1.T, 0) @ w2.T


def gates_backward(ds, z, w1, w2):
    h = np.maximum(z @ w1.T, 0)
    da = (ds @ w2) * (h > 0)
    return da @ w1, da.T @ z, ds.T @ h


a = {"z": rng.normal(size=(3, 5)), "w1": rng.normal(size=(2, 5))}
a["w2"] = rng.normal(size=(5, 2))
report = check_gradient(gates, gates_backward, a)
print("the gradient:", "right" if report.ok else "wrong")
difference = relative_error(gates(**a), ops.excite(**a))
print("the gates:   ", "right" if difference < 1e-6 else "not those of the book")

# %% [markdown]
# A right gradient of the wrong function. That is why npse compares every edition with the book, call by call, besides
# checking its gradients.

# %% [markdown]
# ## Good manners
#
# Some mistakes give the right numbers and do the damage elsewhere. So the judge checks how the function *behaves*. It
# calls it again, on copies, with other upstream gradients, in other dtypes and memory layouts:
#
# | rule | what is asked |
# |---|---|
# | linear | is $\text{backward}(2 dy - 3 dy')$ equal to $2 \ \text{backward}(dy) - 3 \ \text{backward}(dy')$? |
# | unchanged | are all arguments the same after the call? |
# | repeatable | does a second call with the same arguments give the same? |
# | dtype | does float32 give float32, and float64 float64? |
# | layout | does it work for arrays that are not contiguous, or read-only? |
# | float32 | is the result in float32 near that in float64? |
#
# Each of these four functions returns the right gradient of `scale`, at least the first time and for those numbers:

# %%
def works_in_place(dy, u, s):
    ds = (dy * u).sum(axis=(1, 2))
    dy *= s[:, None, None, :]
    return dy, ds


kept = {}


def keeps_the_first(dy, u, s):
    if "ds" not in kept:
        kept["ds"] = (dy * u).sum(axis=(1, 2))
    return dy * s[:, None, None, :], kept["ds"]


def clips(dy, u, s):
    dy = np.clip(dy, -5, 5)
    return dy * s[:, None, None, :], (dy * u).sum(axis=(1, 2))


def widens(dy, u, s):
    gates = s[:, None, None, :].astype(np.float64)
    return dy * gates, (dy * u).sum(axis=(1, 2))


case = {"u": rng.normal(size=(2, 3, 4, 5)), "s": rng.uniform(0.1, 0.9, (2, 5))}
for backward in (works_in_place, keeps_the_first, clips, widens):
    kept.clear()
    report = check_gradient(ops.scale, backward, case)
    broken = sorted({result.judged for result in report.failures})
    print(f"{backward.__name__:16s} breaks: {', '.join(broken)}")
    assert broken

# %% [markdown]
# Clipping the gradient is something people do on purpose. But it belongs to the optimizer, in one place, where it can
# be seen; within a layer it makes the gradient of everything below another one than that of the loss.

# %% [markdown]
# ## What is wrong with it
#
# "Wrong, worst entry 0.262, should be 3.15." Now what? The judge goes on: it makes mistakes on purpose, hundreds of
# them, until one gives exactly the wrong numbers that it was shown. Then it says which one that was. Six backward
# passes, all with the right shapes. Try to see the mistake yourself before you read the answer below.

# %%
def scale_1(dy, u, s):
    return dy * s[:, None, None, :], (dy * u).mean(axis=(1, 2))


def dense_2(dy, x, w):
    return dy @ w, x.T @ dy


def sigmoid_3(dy, x):
    return dy * ops.sigmoid(x)


def norm_4(dy, x, gamma, beta):
    mean, var = x.mean(axis=(0, 1, 2)), x.var(axis=(0, 1, 2))
    _, dgamma, dbeta = ops.batch_norm_backward(dy, x, gamma, mean, var)
    return dy * gamma / np.sqrt(var + 1e-5), dgamma, dbeta


def loss_5(dy, logits):
    p = ops.softmax(logits)
    p[np.arange(3), [0, 2, 1]] -= 1
    return dy * p


def se_6(dy, u, w1, w2):
    _, dw1, dw2, _, _ = ops.se_backward(dy, u, w1, w2)
    gates = ops.excite(ops.squeeze(u), w1, w2)
    return dy * gates[:, None, None, :], dw1, dw2


# %%
def loss(logits):
    return ops.softmax_cross_entropy(logits, np.array([0, 2, 1]))


def affine_norm(x, gamma, beta):
    return ops.batch_norm(x, gamma, beta)[0]


def draw(**shapes):
    return {name: rng.normal(size=shape) for name, shape in shapes.items()}


patients = [
    (ops.scale, scale_1, case),
    (ops.dense, dense_2, draw(x=(5, 3), w=(3, 3))),
    (ops.sigmoid, sigmoid_3, draw(x=(3, 4))),
    (affine_norm, norm_4, draw(x=(2, 3, 5, 4), gamma=4, beta=4)),
    (loss, loss_5, draw(logits=(3, 4))),
    (ops.se, se_6, draw(u=(2, 3, 4, 6), w1=(2, 6), w2=(6, 2))),
]
for forward, backward, arguments in patients:
    report = check_gradient(forward, backward, arguments)
    first = report.failures[0]
    said = textwrap.fill(first.diagnosis.text, 76)
    print(f"{backward.__name__}\n{textwrap.indent(said, '    ')}")

# %% [markdown]
# Each answer names the array, the axis or the term, and then the formula. It can do so for functions that it has never
# seen, by recording the calls of NumPy that your forward pass makes. Here is one that no book contains, Mish, with a
# square forgotten:

# %%
def mish(x):
    return x * np.tanh(np.log1p(np.exp(x)))


def mish_backward(dy, x):
    t = np.tanh(np.log1p(np.exp(x)))
    return dy * (t + x * (1 - t) * ops.sigmoid(x))        # it should be 1 - t**2


report = check_gradient(mish, mish_backward, draw(x=(3, 4)))
print(textwrap.fill(report.failures[0].diagnosis.text, 76))

# %% [markdown]
# And where nothing explains the numbers, it says so, with what it has ruled out. How it works is told in
# [docs/judge.md](../docs/judge.md).

# %% [markdown]
# ## How good is a check
#
# A check that never finds anything is pleasant to have. To know whether it is any good, one has to plant mistakes and
# see which are found. npse has a zoo of them: 354 bugs, each a small change of the book, some of them from real
# repositories. Here are seven, shown to six designs of gradient check: the judge with the book at hand; the judge
# without it, as for functions of your own; and four that are in use elsewhere.

# %%
from npse.zoo import BUGS, DESIGNS, survey

chosen = [
    "squeeze_forgets_the_area", "statistics_are_constants",
    "divides_by_the_variance",
    "sigmoid_ignores_the_upstream_gradient", "centres_in_place",
    "shuffle_passes_the_gradient", "reverses_the_momentum",
]
by_name = {bug.name: bug for bug in BUGS}
print("columns:", " | ".join(DESIGNS))
for row in survey([by_name[name] for name in chosen], seeds=1):
    dots = "".join("●" if shape else "·" for shape in row.caught.values())
    print(f"{dots}  {row.bug.name}")

# %% [markdown]
# (● is caught, · is missed.) The last bug exchanges the two weights of a running average, which has no gradient; only
# the comparison with the book sees it. The whole zoo, as measured for [docs/zoo.md](../docs/zoo.md) with five seeds:
#
# | design | upstream gradient | caught, of 354 |
# |---|---|---|
# | judge | random | 354 |
# | judge, no book | random | 336 |
# | all elements | random | 319 |
# | random direction | random | 320 |
# | sum, all | ones | 290 |
# | sum, one index | ones | 235 |

# %%
measured = [("judge", 354), ("judge, no book", 336), ("all elements", 319),
            ("random direction", 320), ("sum, all", 290), ("sum, one index", 235)]
figures.designs(measured, 354)

# %% [markdown]
# On the correct book the judge raised no false alarm in 2 933 000 checks, with 1000 seeds. The others raised between 23
# and 108 in 1 455. Who then widens the tolerance misses more.
#
# **Do not believe this table too quickly.** The judge has seen these bugs: where it could not explain one, it was
# improved. So there is a second measurement, on *mutants*: right backward passes in which a program changes one place
# as people do, a lost factor, an exchanged pair, a forgotten axis. The kinds of change are divided in two by chance,
# and one half was held out. On that half, with 500 mutants in each row (so one mutant is 0.2 %):
#
# | held out | caught | first sentence right | misleading |
# |---|---|---|---|
# | ops of the book | 99.8 % | 94.2 % | 0.6 % |
# | foreign functions | 100.0 % | 93.8 % | 0.2 % |
#
# The judge's blind spots are in the same document, by name. One of them is worth remembering: a backward pass that
# rounds a saved value to float32 can pass, since the error is smaller than the tolerance. A finite difference *checks*
# a gradient. It proves nothing.

# %% [markdown]
# ## Questions
#
# **1.** You check a convolution in float64 and find a relative error of $10^{-7}$ with $h = 10^{-9}$. Is the gradient
# wrong?
#
# <details><summary>Answer</summary>
#
# Probably not. At $h = 10^{-9}$ the rounding error is about $\epsilon / h \approx 2 \cdot 10^{-7}$ of the values. A
# convolution is linear, so there is no truncation error: take $h = 10^{-2}$, or even 1. The error must fall to about
# $10^{-13}$. If it stays, the gradient is wrong.
#
# </details>
#
# <br>
#
# **2.** A test checks the gradient of one random entry in each array, with a tolerance of one percent, and repeats it
# with another seed every night. What will it never find, and what will it find after some weeks?
#
# <details><summary>Answer</summary>
#
# It will find, some night, a mistake at the border of a map, when the random entry lies there. It will never find
# errors below one percent, such as a forgotten $\epsilon$, however long it runs; nor mistakes that need another
# shape or another dtype; nor a function that changes its arguments.
#
# </details>
#
# <br>
#
# **3.** Why does the judge check that backward is linear in $dy$? For which forward passes must it be?
#
# <details><summary>Answer</summary>
#
# For all of them. Backward multiplies $dy$ by the derivative of forward, and that derivative depends on the
# arguments, not on $dy$. Clipping, a sign, a forgotten $dy$ or a value added to an earlier result all break
# linearity, and no step size is needed to see it.
#
# </details>
#
# <br>
#
# **4.** A colleague's layer passes the check in every entry, with random $dy$ and awkward shapes, but training is
# worse than before. Name two mistakes that are still possible.
#
# <details><summary>Answer</summary>
#
# Forward computes another function than intended, and backward agrees with it. Or backward writes into $dy$ or into a
# saved array, so another layer finds wrong numbers. Or the layer keeps state between calls. The first needs a
# reference, the others the rules of good manners.
#
# </details>
#
# ## Now write it yourself
#
# Exercises 15 and 16 turn this page around: six functions with a mistake each, three of them from public repositories.
# You find the bug, with the judge at your side. In a terminal:
#
#     npse exercise start 15
#     npse exercise start 16
#     npse exercise check 16
#
# For functions of your own, in a file `mine.py`: `npse check mine.py`.
#
# ## Next
#
# You have an instrument that can be trusted. [Page 6, batch norm and the residual join](06_batch_norm_and_join.ipynb)
# gives it something difficult: a gradient in which every pixel of the batch has a say in every other.
