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
# # 0 · Before you begin
#
# What the other pages take for granted · 30 minutes
#
# [A number that says how wrong we are](#A-number-that-says-how-wrong-we-are) ·
# [Three operations with a pencil](#Three-operations-with-a-pencil) ·
# [A derivative can be measured](#A-derivative-can-be-measured) ·
# [A vector with a pencil](#A-vector-with-a-pencil) ·
# [One step downhill](#One-step-downhill) ·
# [Pictures as arrays](#Pictures-as-arrays) ·
# [Words](#Words) ·
# [Questions](#Questions) ·
# [Next](#Next)
#
# You know Python and NumPy, and you remember the chain rule: if $L$ depends on $r$ and $r$ depends on $q$, then
# $\frac{dL}{dq} = \frac{dL}{dr} \cdot \frac{dr}{dq}$. That is all the mathematics there is in this book. This page
# shows how the rule is used when a computation has many steps, and what the words mean that everybody in this field
# uses without explaining them.
#
# By the end you will have gone backwards through two computations with a pencil, and watched one of them learn.

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

from npse.notebook import Play, Source, Worked
from npse.notebook.figures import before_you_begin as figures
from npse.reference import dense, dense_backward, relu, relu_backward

# %% [markdown]
# ## A number that says how wrong we are
#
# A network turns a picture into an answer. To improve it, one needs a single number that says how bad the answer is:
# the **loss** $L$. Zero would be perfect. The network contains thousands of adjustable numbers, its **weights**, and
# the loss depends on each of them. For each weight we ask: *if I make it a little larger, how much does the loss
# rise?* The answer to this question is the derivative of the loss for this weight, and all answers together are the
# **gradient**. To improve the network, move every weight a little against its answer.
#
# That is the whole of training. What remains is to find the gradient, and it is found backwards, from the loss to the
# weights: this is **backpropagation**.
#
# One abbreviation is used everywhere in npse: **`dv` is the derivative of the loss for $v$**, $\partial L / \partial
# v$. So $dL$ itself is 1: if the loss rises by one, the loss rises by one.

# %% [markdown]
# ## Three operations with a pencil
#
# Let $L = (a b + c)^2$ with $a = 2$, $b = 3$, $c = -4$. Computed one operation at a time:
#
# $$q = a b = 2 \cdot 3 = 6 \qquad r = q + c = 6 - 4 = 2 \qquad L = r^2 = 2^2 = 4$$
#
# Now backwards. Each operation knows its own slope and nothing else. It is handed the derivative of the loss for its
# *output*, which is called the **upstream gradient**. It multiplies this by its slope, and hands the product on to its
# *inputs*.
#
# * The square is handed $dL = 1$. Its slope is $2 r$, so $dr = 1 \cdot 2 \cdot 2 = 4$.
# * The sum is handed $dr = 4$. Its slope is 1 for both terms, so $dq = 4 \cdot 1 = 4$ and $dc = 4 \cdot 1 = 4$.
# * The product is handed $dq = 4$. Its slope for $a$ is $b$, and its slope for $b$ is $a$, so
#   $da = 4 \cdot 3 = 12$ and $db = 4 \cdot 2 = 8$.

# %%
def loss(a, b, c):
    return (a * b + c) ** 2


a, b, c = 2.0, 3.0, -4.0
q = a * b
r = q + c
L = loss(a, b, c)

dL = 1.0
dr = dL * 2 * r
dq, dc = dr, dr
da, db = dq * b, dq * a
worked = Worked({
    "a": a, "b": b, "c": c, "q": q, "r": r, "L": L,
    "dL": dL, "dr": dr, "dq": dq, "dc": dc, "da": da, "db": db,
})
worked

# %% [markdown]
# The operations and what flows between them are a **graph**. This picture is worth keeping in mind: values go
# forwards, gradients come back on the same lines.

# %%
figures.three_operations()

# %% [markdown]
# Three operations, three habits. *A sum copies what it is handed. A product swaps its factors. Everything else
# multiplies by its slope.* And one rule for what is used twice: **if a variable is used in two places, the gradients
# that come back from both places are added.** If the product above were $a \cdot a$, then $a$ would receive $4a$ twice
# over, once as each factor.

# %% [markdown]
# ## A derivative can be measured
#
# Is $da = 12$ right? Make $a$ a little larger, and a little smaller, and look:

# %%
h = 0.01
up, down = loss(a + h, b, c), loss(a - h, b, c)
print(f"L goes from {down:.4f} to {up:.4f}: slope {(up - down) / (2 * h):.4f}")

# %% [markdown]
# This measurement, a **finite difference**, knows nothing of the chain rule. That is why it is the judge in this book:
# no gradient counts before it agrees with it. Below it is drawn for a loss that is somewhat more curved. Make the step
# $h$ smaller, and the line through the two points turns into the tangent. (With a running kernel the next cell has a
# slider; otherwise it shows the picture of the first value. So it is on all pages.)

# %%
Play(figures.measured_slope, h=(0.8, 0.05, 1.0, 0.05))

# %% [markdown]
# ## A vector with a pencil
#
# A layer of a network computes many numbers at once. Here it gets two numbers, $x = (2, 1)$, and computes three, with
# three rows of weights:
#
# $$W = \begin{pmatrix} 1 & -1 \\ -2 & 1 \\ 0 & 3 \end{pmatrix} \qquad
# a = W x = \begin{pmatrix} 1 \cdot 2 - 1 \cdot 1 \\ -2 \cdot 2 + 1 \cdot 1 \\ 0 \cdot 2 + 3 \cdot 1 \end{pmatrix}
# = \begin{pmatrix} 1 \\ -3 \\ 3 \end{pmatrix}$$
#
# Then a **ReLU**, written $\delta$: it keeps what is positive and replaces the rest by 0.
#
# $$h = \delta(a) = \begin{pmatrix} 1 \\ 0 \\ 3 \end{pmatrix}$$
#
# The answer should have been $t = (0, 1, 1)$, and the loss is half the sum of the squared differences
# $h - t = (1, -1, 2)$:
#
# $$L = \tfrac{1}{2} (1^2 + (-1)^2 + 2^2) = 3$$
#
# Backwards, step by step. Half a square has the slope 1 times its base, so $dh$ is the difference itself, $dh = (1,
# -1, 2)$. The ReLU has slope 1 where $a$ was positive and 0 where it was negative; the second number was shut, so $da
# = (1, 0, 2)$.
#
# **The input.** $x_1$ was used in all three rows, times its weight there. So three gradients come back and are added;
# likewise for $x_2$:
#
# $$dx_1 = 1 \cdot 1 + 0 \cdot (-2) + 2 \cdot 0 = 1 \qquad dx_2 = 1 \cdot (-1) + 0 \cdot 1 + 2 \cdot 3 = 5$$
#
# **The weights.** Each weight was used once: in its row, times the input of its column. So each receives the gradient
# of its row times the input of its column:
#
# $$dW = \begin{pmatrix} 1 \cdot 2 & 1 \cdot 1 \\ 0 \cdot 2 & 0 \cdot 1 \\ 2 \cdot 2 & 2 \cdot 1 \end{pmatrix}
# = \begin{pmatrix} 2 & 1 \\ 0 & 0 \\ 4 & 2 \end{pmatrix}$$

# %%
x = np.array([[2.0, 1.0]])                   # one row: a batch of one
w = np.array([[1.0, -1.0], [-2.0, 1.0], [0.0, 3.0]])
t = np.array([[0.0, 1.0, 1.0]])

a = dense(x, w)
h = relu(a)
L = np.sum((h - t) ** 2) / 2

dh = h - t
da = relu_backward(dh, h)
dx, dw, _ = dense_backward(da, x, w)
worked = Worked({
    "x": x[0], "W": w, "a": a[0], "h": h[0], "t": t[0], "h-t": (h - t)[0], "L": L,
    "dh": dh[0], "da": da[0], "dx_1": dx[0, 0], "dx_2": dx[0, 1], "dW": dw,
})
worked

# %%
figures.one_layer()

# %% [markdown]
# **Why has `dx` the shape of `x`?** Because the gradient answers one question for each entry: "if *this* number were a
# little larger, how much would the loss rise?" Two inputs, two answers; six weights, six answers, in the same places.
# The loss is one number, so each answer is one number. If a gradient ever comes back in another shape than its array,
# it is wrong before you look at a single value.
#
# The functions used above are those that npse ships. They take many pictures at once, one in each row:

# %%
Source(dense, relu, relu_backward, dense_backward)

# %% [markdown]
# ## One step downhill
#
# A gradient says what makes the loss *rise*, so we go the other way. Subtract a twentieth of the gradient from the
# weights, compute the loss again, and repeat:

# %%
for step in range(8):
    h = relu(dense(x, w))
    loss_now = np.sum((h - t) ** 2) / 2
    print(f"step {step}: loss {loss_now:.3f}, answer {h[0].round(2)}")
    _, dw, _ = dense_backward(relu_backward(h - t, h), x, w)
    w = w - 0.05 * dw

# %% [markdown]
# That is learning: two of the three numbers approach what was wanted. The second stays at 0. Its ReLU is shut, so its
# row of weights receives no gradient, and nothing tells it to open. Page 3 returns to this.

# %% [markdown]
# ## Pictures as arrays
#
# A colour picture is three numbers for each pixel: red, green, blue. These are its **channels**. A network looks at
# many pictures at once, a **batch**, since that is faster and makes steadier steps. So pictures are an array of four
# axes:
#
# | axis | letter | what it counts |
# |---|---|---|
# | first | $N$ | the pictures of the batch |
# | second | $H$ | rows of pixels, the height |
# | third | $W$ | columns of pixels, the width |
# | fourth | $C$ | channels: three colours at first, later as many maps as the network has made |
#
# This order is called **NHWC**. (PyTorch uses NCHW, the channels before the rows. The mathematics is the same.)

# %%
figures.axes_of_a_batch()

# %%
batch = np.zeros((2, 4, 5, 3))               # N, H, W, C
print("all:", batch.shape, "   one picture:", batch[0].shape)
print("one channel of one picture:", batch[0, :, :, 2].shape)
print("one pixel of one picture:", batch[0, 2, 1].shape)

# %% [markdown]
# ## Words
#
# | word | meaning |
# |---|---|
# | **operation**, op | a step of the computation, such as a product, a ReLU, a convolution |
# | **forward pass** | the computation from the picture to the loss |
# | **backward pass** | the computation from the loss back to the gradients, in reverse order |
# | **upstream gradient** | the derivative of the loss for an op's output; in the code always `dy` |
# | **weights**, parameters | the numbers that training changes |
# | **map**, feature map | one channel of an array inside the network, an image of height $H$ and width $W$ |
# | **layer** | an op with its own weights |
# | **network** | layers in a row: each takes what the one before it has made |
# | **batch norm** | a layer that shifts and scales each channel to mean 0 and variance 1 over the batch |
# | **ReLU** | $\max(x, 0)$, for each number by itself |
# | **sigmoid** | $1 / (1 + e^{-x})$, which lies between 0 and 1 |
#
# A network for pictures is a row of convolutions (page 1), each followed by a batch norm and a ReLU. The
# squeeze-and-excitation block (pages 2, 3 and 4) stands between them and decides how much each map should count.

# %% [markdown]
# ## Questions
#
# **1.** In $L = (ab + c)^2$, for which values of $a$, $b$, $c$ are all five gradients zero?
#
# <details><summary>Answer</summary>
#
# Whenever $r = ab + c = 0$: then $dr = 2r = 0$, and everything further back is multiplied by it. The loss is 0 there,
# its least value, and no small change makes it rise.
#
# </details>
#
# <br>
#
# **2.** A batch of 32 pictures of 28 x 28 pixels goes into a layer which makes 16 maps of the same size. Which shapes
# have the layer's output, and the gradient of that output?
#
# <details><summary>Answer</summary>
#
# Both `(32, 28, 28, 16)`. A gradient has the shape of its array, always.
#
# </details>
#
# <br>
#
# **3.** In the layer above, what would change in $dx$ if the third weight row were all zeros?
#
# <details><summary>Answer</summary>
#
# Then $a_3 = 0$, and so $h_3 = 0$. The ReLU stands exactly at its kink, where npse takes the slope 0. So $da = (1, 0,
# 0)$ and $dx = (1, -1)$.
#
# </details>
#
# ## Next
#
# You have the tools. [Page 1, convolution](01_convolution.ipynb): where the maps come from, and how a wish about the
# maps becomes a wish about the filters.
