# title: A training step
# idea: forward, loss, backward, update: four lines that are repeated a million times

# %% [markdown]
# # Exercise 11: A training step
#
# First the update. Stochastic gradient descent with momentum keeps a velocity $v$ beside each parameter; Nesterov's
# variant looks one step ahead; weight decay pulls weights towards zero:
#
# $$g = dw + \lambda w, \qquad v \leftarrow \mu v + g, \qquad
# w \leftarrow w - \eta \, (g + \mu v) \ \text{(Nesterov)} \quad\text{or}\quad w - \eta \, v$$
#
# Then a whole step of the smallest network there is: squeezed maps $z$, one dense layer, the loss of exercise 10
# (without smoothing), plain gradient descent.
#
# $$l = z W^T + b, \qquad dW = dl^T z, \qquad db = \sum_n dl, \qquad W \leftarrow W - \eta \, dW, \quad
# b \leftarrow b - \eta \, db$$
#
# | array | shape |
# |---|---|
# | `z` | `(N, C)` |
# | `labels` | `(N,)`, whole numbers |
# | `w`, `b` | `(K, C)`, `(K,)` |
#
# Return new arrays: the old parameters stay as they are.

# %%
import numpy as np


def sgd(w, dw, v, lr, momentum=0.9, weight_decay=0.0, nesterov=True):
    """One update -> new w, new v."""
    # BEGIN SOLUTION
    g = dw + weight_decay * w
    v = momentum * v + g
    return w - lr * (g + momentum * v if nesterov else v), v
    # END SOLUTION


def training_step(z, labels, w, b, lr):
    """One step of a linear classifier -> loss before the step, new w (K, C), new b (K,)."""
    # BEGIN SOLUTION
    logits = z @ w.T + b
    shifted = logits - logits.max(axis=1, keepdims=True)
    logp = shifted - np.log(np.exp(shifted).sum(axis=1, keepdims=True))
    target = labels[:, None] == np.arange(len(w))
    loss = -logp[target].mean()
    dlogits = ((np.exp(logp) - target) / len(z)).astype(z.dtype)
    return loss, w - lr * dlogits.T @ z, b - lr * dlogits.sum(axis=0)
    # END SOLUTION

# %% [example]
new_w, new_v = sgd(np.array([1.0, -2.0]), np.array([0.5, 0.5]), np.array([1.0, 0.0]), 0.1, weight_decay=0.01)
print("w", new_w.round(4), "v", new_v.round(4))
rng = np.random.default_rng(11)
z, labels = rng.normal(size=(6, 3)), np.array([0, 1, 2, 0, 1, 2])
w, b = np.zeros((3, 3)), np.zeros(3)
for step in range(3):
    loss, w, b = training_step(z, labels, w, b, 1.0)
    print("step", step, "loss", round(float(loss), 4))

# %% [hint]
# sgd is the three formulas, one after the other; mind that v in the last one is the new one. Write no `+=` or `-=`:
# that would change the caller's arrays.

# %% [hint]
# The first loss of the example is log(3): all probabilities are 1/3 when w and b are zero. If it is not, the loss is
# wrong; if it does not fall, a gradient has the wrong sign.

# %% [hint]
# Use your functions of exercise 10: they can be copied into this file. Gradients of the dense layer are matrix
# products; the one for w is shaped like w, (K, C), and sums over the batch.

# %% [tests]
from npse.exercises.task import Task
from npse.gradcheck.cases.case import Case, distinct, signed


def case(label, result, N, C, K):
    return Case(
        ("training_step",), label,
        make=lambda rng: {"z": distinct(rng, N, C), "labels": rng.integers(K, size=N), "w": signed(rng, K, C),
                          "b": signed(rng, K)},
        forward=lambda ops, z, labels, w, b: ops.training_step(z, labels, w, b, 0.3)[result])


def cases(result):
    return [case("K < C", result, 4, 5, 3), case("N = 1, K = C", result, 1, 3, 3), case("K > C", result, 5, 2, 4)]


TASKS = (Task("sgd", values=2), Task("training_step", cases(0), part="loss", values=1),
         Task("training_step", cases(1), part="w", values=2, contract=0),
         Task("training_step", cases(2), part="b", values=1, contract=0))

# %% [mistake] uphill
# loses: training_step, w: values
# kind: forward
_step = training_step

def training_step(z, labels, w, b, lr):
    loss, after, b = _step(z, labels, w, b, lr)
    return loss, 2 * w - after, b

# %% [mistake] the old velocity is used
# loses: sgd: values
# kind: forward
_sgd = sgd

def sgd(w, dw, v, lr, momentum=0.9, weight_decay=0.0, nesterov=True):
    g = dw + weight_decay * w
    return w - lr * (g + momentum * v), momentum * v + g

# %% [mistake] the caller's bias is changed
# loses: training_step, loss: contract
# kind: changed in place
_step = training_step

def training_step(z, labels, w, b, lr):
    loss, new_w, new_b = _step(z, labels, w, b, lr)
    b[...] = new_b
    return loss, new_w, new_b
